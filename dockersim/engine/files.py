"""Looking into a file system without mounting it: the tree comes from the layers' indexes, content from their tars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from msgspec import Struct

from dockersim.errors import ContentError, DockersimError
from dockersim.filesystem import Entry, Kind, Node, Tree

Opener = Callable[[Node], BinaryIO]
"""Opens the content of a FILE node for reading, from its first byte to its last."""


class NoSuchPath(DockersimError):
    """A path is not in this file system."""


class RunResult(Struct, frozen=True):
    """What a command in a throw-away copy came to: its exit code and all it wrote."""

    exit_code: int
    output: str


class Files(Struct, frozen=True):
    """The file system after a step. Paths are absolute or relative to ``/``; links are followed inside it."""

    tree: Tree
    opener: Opener

    def exists(self, path: str) -> bool:
        """Tell whether something stands at ``path``."""
        return self._find(path) is not None

    def stat(self, path: str) -> Entry:
        """Give type, mode, owner, size and the rest of what stands at ``path``. Raises NoSuchPath."""
        return self._node(path).entry

    def ls(self, path: str = "/") -> tuple[Entry, ...]:
        """List a directory, by name; a file lists as itself. Raises NoSuchPath."""
        node = self._node(path)
        if node.entry.kind is not Kind.DIRECTORY:
            return (node.entry,)
        return tuple(child.entry for child in self.tree.children(node.entry.path))

    def read(self, path: str) -> bytes:
        """Read a file. Raises NoSuchPath, or ContentError for what is not a file."""
        node = self._node(path)
        if node.entry.kind is not Kind.FILE:
            raise ContentError(f"/{node.entry.path} is a {node.entry.kind.value}, not a file")
        with self.opener(node) as stream:
            return stream.read()

    def text(self, path: str) -> str:
        """Read a file as UTF-8 text; what is not UTF-8 is shown as replacement marks."""
        return self.read(path).decode("utf-8", "replace")

    def walk(self, path: str = "/") -> Iterator[Entry]:
        """Give everything below ``path``, depth first, by name. Raises NoSuchPath."""
        for node in self.tree.walk(self._node(path).entry.path):
            yield node.entry

    def _node(self, path: str) -> Node:
        node = self._find(path)
        if node is None:
            raise NoSuchPath(f"{path}: No such file or directory")
        return node

    def _find(self, path: str) -> Node | None:
        resolved = self.tree.resolve(path)
        return None if resolved is None else self.tree.get(resolved)
