"""Files laid out on disk: what a mount shows to one RUN, and a build context that came as an archive."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from msgspec.structs import replace

from dockersim.digest import DiffID
from dockersim.errors import ContentError
from dockersim.filesystem import Entry, Kind, Node
from dockersim.filesystem.tree import Inode
from dockersim.sandbox.owners import can_own
from dockersim.snapshots.disk import Contents, Disk, store_errors

_CHUNK = 1 << 20


class Opener(Protocol):
    """Whoever can open the files of a tree: an ``Origin``, or an archive."""

    def open(self, node: Node) -> BinaryIO:
        """Open the content of a FILE."""


def lay_out(opener: Opener, node: Node, target: Path) -> None:
    """Make a copy of ``node``, and of what is below it, at ``target``, where nothing stands yet.

    A copy it is even where the files lie on this disk: the command must see what .dockerignore leaves, owners as an
    image has them, and may write into a ``rw`` mount without the learner's files changing.
    """
    with store_errors("files cannot be laid out"):
        _Layout(opener).make(node, str(target))


class _Layout:
    """Copies one tree; further names of a file become links to the first."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._disk = Disk(privileged=can_own())
        self._nothing = Contents(_NoLayers())
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
        with self._opener.open(node) as source, open(path, "xb") as copy:
            shutil.copyfileobj(source, copy, _CHUNK)
        self._disk.finish(path, node.entry)  # by its name, since Windows sets no times of open files


class _NoLayers:
    """Contents come from the opener; here is nothing."""

    def open_tar(self, diff_id: DiffID) -> BinaryIO:
        """Say so."""
        raise ContentError(f"layer {diff_id} is not here")


def _walk(top: Node, target: str) -> Iterator[tuple[Node, str]]:
    """Give each node with its path on disk, directories before what is in them."""
    waiting = [(top, target)]
    while waiting:
        node, path = waiting.pop()
        yield node, path
        waiting.extend((child, f"{path}/{name}") for name, child in (node.children or {}).items())
