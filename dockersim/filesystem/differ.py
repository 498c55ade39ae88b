"""The differ: what is different between two trees, and the layer that turns one into the other.

The real thing is containerd's continuity/fs (diff.go, ``Changes`` and ``sameDirent``) and BuildKit's
util/overlay, whose rules ``same`` follows: a path has changed if its type, mode, owner, size, content or link
is another one, or the time of a file; of a directory the time alone does not count, or every directory in
which something was made would be "modified".

The law: ``diff(a.apply(layer_between(a, b)), b) == ()``.

>>> a = Tree.EMPTY.apply([Entry("d/old", Kind.FILE), Entry("d/kept", Kind.FILE)])
>>> b = a.apply([Whiteout("d/old"), Entry("d/new", Kind.FILE, size=3)])
>>> [(change.what.value, change.path) for change in diff(a, b)]
[('added', 'd/new'), ('deleted', 'd/old')]
>>> layer_between(a, b)[0].path, layer_between(a, b)[-1]
('d', Whiteout(path='d/old'))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from dockersim.digest import Digest
from dockersim.filesystem.entry import Entry, Kind, LayerEntry, Whiteout
from dockersim.filesystem.tree import Inode, Node, Tree, in_byte_order

SECOND = 1_000_000_000


class What(Enum):
    """What happened to a path. The values are the words of the trace document."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"


class Change(Struct, frozen=True):
    """One path that is different: ``before`` is None for what was added, ``after`` for what was deleted."""

    path: str
    what: What
    before: Entry | None
    after: Entry | None


def diff(before: Tree, after: Tree) -> tuple[Change, ...]:
    """List what is different, in layer order.

    A deleted directory is one change, as it is one whiteout in a layer: what was in it is
    ``before.walk(path)``. So is a directory in whose place something else stands. Of an added directory
    everything in it is listed. Costs in proportion to what is different, as directories that the trees share
    are skipped whole.
    """
    return tuple(_change(old, new) for old, new in _compare(before, after))


def layer_between(before: Tree, after: Tree) -> tuple[LayerEntry, ...]:
    """List the layer that turns ``before`` into ``after``, as BuildKit would write it.

    With every change come its parents, as they stand in ``after``, but never the root. A name that is gone is
    a whiteout; opaque marks are never needed. Of the names of one file in this layer the first carries the
    content and the rest are hard links to it; a new name of a lower file is a full copy.
    """
    layer: list[LayerEntry] = []
    listed = {""}
    first_names: dict[Inode, str] = {}
    for old, new in _compare(before, after):
        path = _path(old, new)
        layer.extend(_unlisted_parents(after, path, listed))
        if new is None:
            layer.append(Whiteout(path))
            continue
        layer.append(_as_written(new, first_names))
        if new.children is not None:
            listed.add(path)
    return tuple(layer)


def layer_from(before: Tree, written: Iterable[LayerEntry]) -> tuple[LayerEntry, ...]:
    """Turn what lies in the upper directory of an overlay on ``before`` into a layer, as BuildKit would write
    it.

    Overlay copies a file up when it is merely opened for writing or chmod-ed to what it was; such a copy is
    left out, since nothing is different. An opaque directory becomes whiteouts of the old names that are
    gone. A second name of a file in the upper directory is given as a HARDLINK.
    """
    return layer_between(before, before.apply(written))


def same(before: Entry, after: Entry) -> bool:
    """Tell whether two entries of one path count as unchanged."""
    if before is after:
        return True
    unchanged = (
        before.kind is after.kind
        and before.mode == after.mode
        and before.uid == after.uid
        and before.gid == after.gid
        and before.device == after.device
        and before.xattrs == after.xattrs
    )
    if not unchanged or before.kind is Kind.DIRECTORY:
        return unchanged
    return (
        before.size == after.size
        and before.link == after.link
        and same_time(before.mtime_ns, after.mtime_ns)
        and _same_content(before, after)
    )


def same_time(one: int, other: int) -> bool:
    """Tell whether two times are equal, as far as both are known.

    Layers hold whole seconds. So a time without a part of a second may have been cut, and only its seconds
    count.
    """
    if one == other:
        return True
    return one // SECOND == other // SECOND and (one % SECOND == 0 or other % SECOND == 0)


def content_decides(before: Entry, after: Entry) -> bool:
    """Tell whether a file must be hashed before ``same`` can say that nothing is different.

    So it is where all else is equal and the times are whole seconds: a program may have written the file
    twice within one. ``same`` answers no while the content is not known, which at worst stores a file once
    more.
    """
    if before.kind is not Kind.FILE or (before.digest is not None and after.digest is not None):
        return False
    return not same(before, after) and same(replace(before, digest=_ANY), replace(after, digest=_ANY))


_ANY = Digest("")


def _same_content(before: Entry, after: Entry) -> bool:
    if before.digest is not None and after.digest is not None:
        return before.digest == after.digest
    if before.kind is not Kind.FILE or before.size == 0:
        return True
    return before.mtime_ns == after.mtime_ns and before.mtime_ns % SECOND != 0


def _compare(before: Tree, after: Tree) -> Iterator[tuple[Node | None, Node | None]]:
    """Yield the pairs of nodes that differ, in layer order; one of the two may be missing."""
    stack = _pairs(before.root.children or {}, after.root.children or {})
    while stack:
        old, new = stack.pop()
        if old is None or new is None or not same(old.entry, new.entry):
            yield old, new
        if new is not None and new.children is not None:
            below = old.children if old is not None and old.children is not None else {}
            stack.extend(_pairs(below, new.children))


def _pairs(before: Mapping[str, Node], after: Mapping[str, Node]) -> list[tuple[Node | None, Node | None]]:
    """Pair up two directories by name, the last name first; nodes that both share are left out."""
    if before is after:
        return []
    names = [name for name, node in after.items() if before.get(name) is not node]
    names += [name for name in before if name not in after]
    return [(before.get(name), after.get(name)) for name in reversed(in_byte_order(names))]


def _path(old: Node | None, new: Node | None) -> str:
    node = new or old
    return node.entry.path if node else ""


def _change(old: Node | None, new: Node | None) -> Change:
    what = What.MODIFIED if old and new else What.ADDED if new else What.DELETED
    return Change(_path(old, new), what, old.entry if old else None, new.entry if new else None)


def _unlisted_parents(after: Tree, path: str, listed: set[str]) -> list[Entry]:
    """List the directories above ``path`` that the layer does not have yet, the highest first."""
    missing = []
    parent = path.rpartition("/")[0]
    while parent not in listed:
        listed.add(parent)
        missing.append(parent)
        parent = parent.rpartition("/")[0]
    nodes = [after.get(name) for name in reversed(missing)]
    return [node.entry for node in nodes if node is not None]


def _as_written(node: Node, first_names: dict[Inode, str]) -> Entry:
    """Return the entry that stands for a node in a new layer, whose tar is not written yet."""
    entry = node.entry
    if node.inode is not None:
        first = first_names.setdefault(node.inode, entry.path)
        if first != entry.path:
            return replace(entry, kind=Kind.HARDLINK, link=first, size=0, digest=None, data=None)
    return entry if entry.data is None else replace(entry, data=None)
