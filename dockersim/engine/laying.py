"""Files laid out for one RUN to see: what a mount of the context, a stage or an image shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from dockersim.content import LayerStore
from dockersim.engine.sources import Origin
from dockersim.filesystem import Entry, Kind, Node
from dockersim.filesystem.tree import Inode
from dockersim.snapshots.disk import Contents, Disk, store_errors

_CHUNK = 1 << 20


def lay_out(origin: Origin, node: Node, target: Path, layers: LayerStore) -> None:
    """Make a copy of ``node``, and of what is below it, at ``target``, where nothing stands yet.

    A copy it is even where the files lie on this disk: the command must see what .dockerignore leaves, owners as an
    image has them, and may write into a ``rw`` mount without the learner's files changing.
    """
    with store_errors("laying out files for a mount"):
        _Layout(origin, layers).make(node, str(target))


class _Layout:
    """Copies one tree; further names of a file become links to the first."""

    def __init__(self, origin: Origin, layers: LayerStore) -> None:
        self._origin = origin
        self._disk = Disk(privileged=os.geteuid() == 0)
        self._nothing = Contents(layers)  # contents come from the origin
        self._first: dict[Inode, str] = {}

    def make(self, top: Node, target: str) -> None:
        folders: list[tuple[str, Entry]] = []
        for node, path in _walk(top, target):
            if node.children is not None:
                os.mkdir(path, 0o700)
                folders.append((path, node.entry))
            elif node.inode is not None and (first := self._first.setdefault(node.inode, path)) != path:
                os.link(first, path, follow_symlinks=False)
            elif node.entry.kind is Kind.FILE:
                self._file(node, path)
            else:
                self._disk.make(path, node.entry, None, self._nothing)
        for path, entry in reversed(folders):
            self._disk.finish(path, replace(entry, mode=entry.mode if entry.path else 0o755))

    def _file(self, node: Node, path: str) -> None:
        with self._origin.open(node) as source, open(path, "xb") as copy:
            shutil.copyfileobj(source, copy, _CHUNK)
            copy.flush()
            self._disk.finish(copy.fileno(), node.entry)


def _walk(top: Node, target: str) -> Iterator[tuple[Node, str]]:
    """Give each node with its path on disk, directories before what is in them."""
    waiting = [(top, target)]
    while waiting:
        node, path = waiting.pop()
        yield node, path
        waiting.extend((child, f"{path}/{name}") for name, child in (node.children or {}).items())
