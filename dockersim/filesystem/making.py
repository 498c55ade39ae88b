"""A file system in the making: what COPY, ADD and WORKDIR put into it, and where each file's content comes from."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from dockersim.errors import BuildError
from dockersim.filesystem.differ import layer_between
from dockersim.filesystem.entry import Entry, Kind, LayerEntry
from dockersim.filesystem.tree import UNLISTED_LIMIT, Draft, Node, Tree, find, resolve


class Copied(Struct, frozen=True):
    """One entry of the new layer; a FILE has the content of the node ``source``, which came with ``origin``.

    Without an ``origin`` that node is one of the tree below: an archive had a further name for a file of it.
    """

    entry: LayerEntry
    source: Node | None = None
    origin: object = None


class Making:
    """A tree on top of ``below``, to which one step adds; what is made now has the time ``now_ns``.

    ``sources`` says of a file's path which node and origin have its content; ``marks`` are the whiteouts of archives,
    by the path of the file that stands for each.
    """

    def __init__(self, below: Tree, now_ns: int) -> None:
        self.draft = Draft(below.root, None)
        self.now_ns = now_ns
        self.sources: dict[str, tuple[Node, object]] = {}
        self.marks: dict[str, LayerEntry] = {}
        self._below = below
        self._unlisted = 0

    def find(self, path: str) -> Node | None:
        """Find the node at ``path`` as it is now, following no link."""
        return find(self.draft.root, path)

    def resolved(self, path: str) -> str:
        """Follow the links in ``path``; raise BuildError where they go in circles."""
        real = resolve(self.draft.root, path)
        if real is None:
            raise BuildError(f"{path}: too many levels of symbolic links")
        return real

    def make_directories(self, path: str, like: Entry) -> None:
        """Make a directory and those above it as far as they are missing, each but for its path ``like``."""
        made, node = "", self.draft.root
        names = path.split("/") if path else []
        for depth, name in enumerate(names):
            below = node.children.get(name) if node.children is not None else None
            if below is None:
                self._make_missing(made, names[depth:], like)
                return
            made, node = joined(made, name), below
            if node.children is None:
                raise BuildError(f"mkdir /{made}: not a directory", hint="a file is in the way")

    def _make_missing(self, above: str, names: list[str], like: Entry) -> None:
        """Make directories one in the other, none of which is there."""
        self._unlisted += len(names)
        if self._unlisted > UNLISTED_LIMIT:
            raise BuildError(f"more than {UNLISTED_LIMIT} directories would have to be made that nobody has listed")
        self.touch(above)
        for at, name in enumerate(names):
            above = joined(above, name)
            is_last = at == len(names) - 1
            self.draft.add(replace(like, path=above, mtime_ns=like.mtime_ns if is_last else self.now_ns))

    def touch(self, path: str) -> None:
        """Note that something was made in a directory: its time is now."""
        self.set_time(path, self.now_ns)

    def set_time(self, path: str, time_ns: int) -> None:
        """Give what stands at ``path`` a time; the root has none that would count."""
        node = self.find(path)
        if path and node is not None and node.entry.mtime_ns != time_ns:
            self.draft.add(replace(node.entry, mtime_ns=time_ns))

    def layer(self) -> tuple[Copied, ...]:
        """List what the layer has, in its order, with where the content of each file comes from."""
        entries = layer_between(self._below, Tree(self.draft.root))
        return tuple(Copied(self.marks.get(entry.path, entry), *self._content(entry)) for entry in entries)

    def _content(self, entry: LayerEntry) -> tuple[Node | None, object]:
        if not isinstance(entry, Entry) or entry.kind is not Kind.FILE:
            return None, None
        return self.sources.get(entry.path) or (self.find(entry.path), None)


def joined(folder: str, name: str) -> str:
    """Join two parts of a path, either of which may be empty."""
    return f"{folder}/{name}" if folder and name else folder or name
