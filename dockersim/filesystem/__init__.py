"""File systems as layers: what a layer says, the tree a stack of layers makes, and what is different between
two.

An image holds no file system, only changes to one: each layer is a tar of the paths that were added or
modified, and of marks ("whiteouts") for those that were deleted. Here are the entries of a layer (``entry``),
the tree they make when applied (``tree``), the differ that turns two trees into a layer again (``differ``),
the tar itself (``tar_header``, ``tar_writer``, ``tar_reader``), its index (``index``), and COPY and ADD,
which are pure arithmetic on a tree (``making``, ``copying``, ``unpacking``).

The real thing: OCI image-spec, layer.md; containerd's pkg/archive (applying) and continuity/fs (the differ);
Go's archive/tar; BuildKit's fileop solver for COPY. The law of the package: ``apply(a, layer_between(a, b))``
is ``b``, and equal entries make equal bytes.

>>> base = Tree.EMPTY.apply([Entry("etc/motd", Kind.FILE, size=5)])
>>> step = base.apply([Whiteout("etc/motd")])
>>> [(change.what.value, change.path) for change in diff(base, step)]
[('deleted', 'etc/motd')]
"""

from dockersim.filesystem.chmod import Chmod, parse_chmod
from dockersim.filesystem.copying import Copying, CopyRules, Source, make_directory
from dockersim.filesystem.differ import Change, What, content_decides, diff, layer_between, layer_from, same
from dockersim.filesystem.entry import Entry, Kind, LayerEntry, Opaque, Whiteout, content_bytes
from dockersim.filesystem.index import dump_index, load_index
from dockersim.filesystem.making import Copied
from dockersim.filesystem.tar_reader import Content, Limits, index_layer, read_layer
from dockersim.filesystem.tar_writer import LayerWriter, Readable
from dockersim.filesystem.tree import Inode, Node, Tree

__all__ = [
    "Change",
    "Chmod",
    "Content",
    "Copied",
    "CopyRules",
    "Copying",
    "Entry",
    "Inode",
    "Kind",
    "LayerEntry",
    "LayerWriter",
    "Limits",
    "Node",
    "Opaque",
    "Readable",
    "Source",
    "Tree",
    "What",
    "Whiteout",
    "content_bytes",
    "content_decides",
    "diff",
    "dump_index",
    "index_layer",
    "layer_between",
    "layer_from",
    "load_index",
    "make_directory",
    "parse_chmod",
    "read_layer",
    "same",
]
