"""COPY, ADD and WORKDIR done: the new layer is computed on the tree and written as a tar; nothing is mounted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, cast

from dockersim.content import Layer, LayerStore, NewLayer
from dockersim.engine.archives import Archive, open_archive
from dockersim.engine.files import Files
from dockersim.engine.network import Fetched
from dockersim.engine.sources import InlineOrigin, Origin, digested_tree, exclusions, matched, open_in_layer
from dockersim.engine.users import owner
from dockersim.errors import BuildError, ContentError
from dockersim.filesystem import (
    Copied,
    Copying,
    CopyRules,
    Entry,
    Kind,
    Node,
    Source,
    Tree,
    make_directory,
    parse_chmod,
)
from dockersim.filesystem.matching import Matched
from dockersim.solver import CopyOp, WorkdirOp


def write_copy(layers: LayerStore, below: Files, op: CopyOp, origin: Origin, fetched: Fetched, now_ns: int) -> Layer:
    """Write the layer of a COPY or ADD on top of ``below``. Raises BuildError where something is in the way."""
    excluded = exclusions(op)
    rules = CopyRules(
        now_ns,
        owner(Files(Tree.EMPTY, below.opener) if op.link else below, op.chown) if op.chown else None,
        parse_chmod(op.chmod) if op.chmod else None,
        op.link,
        (lambda path: excluded.decide(path).excluded) if excluded else None,
    )
    copying = Copying(below.tree, op.destination, rules)
    if op.parents:
        copying.make_destination()  # also where nothing matches
    for source in matched(op, origin):
        if op.unpack and _unpack(copying, source, origin, layers):
            continue
        parents = source.parents if op.parents else None
        copying.add(Source(source.name, digested_tree(origin, source, op), parents, origin, source.base))
    for one in fetched.downloads.files:
        source = Matched(one.node.entry.path, one.node)
        if not (op.unpack_urls and _unpack(copying, source, fetched.downloads, layers)):
            copying.add(Source(source.name, source.node, None, fetched.downloads))
    for repository in fetched.repositories:
        whole = Matched("", repository.tree.root)
        copying.add(Source("", digested_tree(repository, whole, op), None, repository))
    inline = InlineOrigin(op.inline)
    for name, _ in op.inline:
        if "/" in name or name in (".", ".."):
            raise BuildError(
                f"open /{name}: no such file or directory", hint="a here-document's name is that of a file"
            )
        node = inline.tree.get(name)
        if node is not None:
            copying.add(Source(name, node, None, inline))
    return _write(layers, copying.layer())


def write_workdir(layers: LayerStore, below: Files, op: WorkdirOp, now_ns: int) -> Layer:
    """Write the layer of a WORKDIR: the directories that were missing, which belong to the USER.

    BuildKit reads the USER here as it reads a ``--chown``, which knows less than what RUN goes by.
    """
    who = owner(below, op.user) if op.user else (0, 0)
    entries = make_directory(below.tree, op.path, who, now_ns)
    return _write(layers, [Copied(entry) for entry in entries])


def _unpack(copying: Copying, source: Matched, origin: Origin, layers: LayerStore) -> bool:
    """Unpack the source if it is an archive; say whether it was one. ADD goes by content, not by name."""
    if source.node.entry.kind is not Kind.FILE:
        return False
    with origin.open(source.node) as stream:
        archive = open_archive(stream, layers.content.root)
    if archive is None:
        return False
    copying.unpack(archive.entries, archive)
    return True


def _write(layers: LayerStore, copied: Iterable[Copied]) -> Layer:
    with layers.new_layer() as new:
        for one in copied:
            _add(layers, new, one)
        return new.commit()


def _add(layers: LayerStore, new: NewLayer, one: Copied) -> None:
    if one.source is None or not isinstance(one.entry, Entry) or one.entry.kind is not Kind.FILE:
        new.add(one.entry)
        return
    with _open(layers, one.source, cast("Origin | Archive | None", one.origin)) as stream:
        try:
            new.add(one.entry, stream)
        except ContentError as error:
            message = f"/{one.source.entry.path} changed while it was copied"
            raise BuildError(message, hint="build again") from error


def _open(layers: LayerStore, node: Node, origin: Origin | Archive | None) -> BinaryIO:
    return open_in_layer(layers, node) if origin is None else origin.open(node)
