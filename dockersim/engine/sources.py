"""Where COPY takes its files from: the context, a stage, an image or the Dockerfile itself, all as trees."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from msgspec import Struct
from msgspec.structs import replace

from dockersim.content import LayerStore
from dockersim.digest import DiffID, sha256
from dockersim.dockerfile import IgnoreRules, has_wildcard
from dockersim.engine.context import Context
from dockersim.engine.windows import window
from dockersim.errors import ContextError, DockerfileError
from dockersim.filesystem import Entry, Kind, Node, Tree
from dockersim.filesystem.matching import Matched, sources_of, sources_with_parents
from dockersim.solver import CopyOp, Input, RunMount, Source

_NO_CHECKSUM = "failed to compute cache key"
_WHERE = "the path is looked up below the build context, and .dockerignore may leave it out"


class Origin(Protocol):
    """A tree whose files can be read."""

    @property
    def tree(self) -> Tree:
        """The files; those of a context may have no digest yet."""

    def digested(self, entry: Entry) -> Entry:
        """Give the entry with its content's digest."""

    def open(self, node: Node) -> BinaryIO:
        """Open the content of a FILE."""


OriginOf = Callable[[Source | None, tuple[DiffID, ...]], Origin]
"""Gives the origin that a source of the plan means; the layers are those of a stage or image."""


class ContextOrigin(Struct, frozen=True):
    """The build context."""

    context: Context

    @property
    def tree(self) -> Tree:
        """The directory as .dockerignore leaves it."""
        return self.context.tree()

    def digested(self, entry: Entry) -> Entry:
        """Give the entry with the digest from the stat index, or from reading the file."""
        if entry.kind is not Kind.FILE or entry.digest is not None:
            return entry
        return replace(entry, digest=self.context.digest(entry))

    def open(self, node: Node) -> BinaryIO:
        """Open a file of the context."""
        return self.context.open(node.entry.path)


class LayersOrigin(Struct, frozen=True):
    """A stage or an image: what its layers make.

    Deviation: BuildKit copies from the file system in which a stage was built, where a RUN may have linked a new name
    to a file of an earlier step; here both are copied, as in the image, whose layers do not tell of that link.
    """

    layers: LayerStore
    diff_ids: tuple[DiffID, ...]

    @property
    def tree(self) -> Tree:
        """The file system of the layers."""
        return self.layers.tree(self.diff_ids)

    def digested(self, entry: Entry) -> Entry:
        """Layers know the digests of their files."""
        return entry

    def open(self, node: Node) -> BinaryIO:
        """Open a file inside its layer's tar."""
        return open_in_layer(self.layers, node)


def open_in_layer(layers: LayerStore, node: Node) -> BinaryIO:
    """Open the content of a FILE node of a tree made of layers; it reads from the layer's tar, to the file's end."""
    layer = node.layer
    if layer is None or node.entry.data is None:
        return io.BytesIO(b"")
    return window(lambda: layers.open_tar(layer), node.entry.data, node.entry.size)


class InlineOrigin(Struct, frozen=True):
    """The here-documents of a COPY: files that stand in the Dockerfile."""

    texts: tuple[tuple[str, str], ...]

    @property
    def tree(self) -> Tree:
        """One file a here-document."""
        return Tree.EMPTY.apply(
            Entry(name, Kind.FILE, size=len(data), digest=sha256(data))
            for name, text in self.texts
            if (data := text.encode("utf-8", "surrogateescape")) is not None
        )

    def digested(self, entry: Entry) -> Entry:
        """The digest is known already."""
        return entry

    def open(self, node: Node) -> BinaryIO:
        """Give the text as a file."""
        return io.BytesIO(dict(self.texts)[node.entry.path].encode("utf-8", "surrogateescape"))


def matched(op: CopyOp, origin: Origin) -> tuple[Matched, ...]:
    """Find the sources that ``op`` names. Raises ContextError in BuildKit's words for one that is not there."""
    # Deviation: BuildKit looks for all sources of a COPY at the same time; of several sources that are not there it
    # tells of any, dockersim of the first.
    try:
        find = _with_parents if op.parents else _plain
        return tuple(found for pattern in op.patterns for found in find(op, origin.tree, pattern))
    except ContextError as error:
        error.message = f"{_NO_CHECKSUM}: {error.message}"
        error.hint = error.hint or _WHERE
        raise


def _plain(op: CopyOp, tree: Tree, pattern: str) -> tuple[Matched, ...]:
    return sources_of(tree, pattern)


def _with_parents(op: CopyOp, tree: Tree, pattern: str) -> tuple[Matched, ...]:
    """Find what --parents takes; a file that is named and excluded at once counts as missing."""
    found = sources_with_parents(tree, pattern)
    excludes = exclusions(op)
    named = excludes is not None and not has_wildcard(pattern) and found[0].node.children is None
    if excludes is not None and named and excludes.decide(found[0].below).excluded:
        raise ContextError(f'"/{found[0].name}": not found', hint="--exclude names it")
    return found


def exclusions(op: CopyOp) -> IgnoreRules | None:
    """Read the patterns of --exclude, None if there are none. Raises ContextError in BuildKit's words for a bad one."""
    try:
        return IgnoreRules.of(op.exclude) if op.exclude else None
    except DockerfileError as error:
        message = f"{_NO_CHECKSUM}: invalid excludepatterns: [{' '.join(op.exclude)}]: {error.message}"
        raise ContextError(message, hint="see --exclude") from error


def mounted_node(one: RunMount, origin: Origin) -> Node:
    """Find what a mount shows, links followed. Raises ContextError in BuildKit's words if it is not there."""
    resolved = origin.tree.resolve(one.mount.source)
    node = None if resolved is None else origin.tree.get(resolved)
    if node is None:
        raise ContextError(f'{_NO_CHECKSUM}: "/{one.mount.source}": not found', hint=_WHERE)
    return node


def inputs(op: CopyOp | RunMount, origin: Origin) -> Iterator[Input]:
    """Name every path that ``op`` takes or shows, for its cache key."""
    return (_input(name, origin.digested(entry)) for name, entry in taken(op, origin))


def taken(op: CopyOp | RunMount, origin: Origin) -> Iterator[tuple[str, Entry]]:
    """Give every path that ``op`` takes or shows, by the name that its cache key has for it."""
    return _copied(op, origin) if isinstance(op, CopyOp) else _shown(op, origin)


def _shown(one: RunMount, origin: Origin) -> Iterator[tuple[str, Entry]]:
    """Name what a mount shows by the paths that the command sees: what a file is called at its source is no matter."""
    top = mounted_node(one, origin)
    if top.entry.path:
        yield one.mount.target, top.entry
    start = len(top.entry.path) + 1 if top.entry.path else 0
    for node in origin.tree.walk(top.entry.path) if top.children is not None else ():
        yield f"{one.mount.target}/{node.entry.path[start:]}", node.entry


def _copied(op: CopyOp, origin: Origin) -> Iterator[tuple[str, Entry]]:
    excludes = exclusions(op)
    for source in matched(op, origin):
        if source.node.children is None:
            yield source.name, source.node.entry
            continue
        if source.name:
            # The directory itself counts, too; of the context's root, which has no name, BuildKit knows nothing.
            yield f"{source.name}/", source.node.entry
        start = len(source.node.entry.path) + 1 if source.node.entry.path else 0
        above = f"{source.below}/" if op.parents else ""
        for node in origin.tree.walk(source.node.entry.path):
            below = node.entry.path[start:]
            if excludes is None or not excludes.decide(above + below).excluded:
                yield f"{source.name}/{below}" if source.name else below, node.entry


def _input(path: str, entry: Entry) -> Input:
    kind = entry.kind.value
    return Input(path, kind, entry.digest or "", entry.mode, entry.uid, entry.gid, entry.link)


def digested_tree(origin: Origin, source: Matched, op: CopyOp) -> Node:
    """Give the source's node with the digests of all files below it that ``op`` takes, as ``Copying`` needs them."""
    excludes = exclusions(op)
    if excludes is None or isinstance(origin, LayersOrigin):
        return _digested(source.node, origin)
    top = source.node.entry.path
    above = f"{source.below}/" if op.parents and source.below else ""
    return _digested(source.node, _Wanted(origin, excludes, len(top) + 1 if top else 0, above))


class _Wanted(Struct, frozen=True):
    """An origin of which what --exclude names is not read: paths are ``above`` and the path from ``start`` on."""

    origin: Origin
    excludes: IgnoreRules
    start: int
    above: str

    @property
    def tree(self) -> Tree:
        return self.origin.tree

    def digested(self, entry: Entry) -> Entry:
        below = entry.path[self.start :]  # empty for a source that is a file: that one is named
        left_out = below and self.excludes.decide(self.above + below).excluded
        return entry if left_out else self.origin.digested(entry)

    def open(self, node: Node) -> BinaryIO:
        return self.origin.open(node)


def _digested(top: Node, origin: Origin) -> Node:
    if top.children is None:
        return _digested_leaf(top, origin)
    if isinstance(origin, LayersOrigin):
        return top
    whole: dict[str, Node] = {}
    waiting = [(top.children, whole)]
    while waiting:  # not by recursion: an archive may be two thousand directories deep
        below, made = waiting.pop()
        for name, child in below.items():
            if child.children is None:
                made[name] = _digested_leaf(child, origin)
            else:
                inner: dict[str, Node] = {}
                made[name] = replace(child, children=inner)
                waiting.append((child.children, inner))
    return replace(top, children=whole)


def _digested_leaf(node: Node, origin: Origin) -> Node:
    entry = origin.digested(node.entry)
    return node if entry is node.entry else replace(node, entry=entry)
