"""What a container has changed in its root file system, for docker's diff, export and system df.

The changes are read from the container's folder as those of a RUN are read from its snapshot, and put on the tree of
its layers. Nothing is mounted, so it may run or not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import BinaryIO, Final

from dockersim.containers.life import Folder
from dockersim.content import LayerStore
from dockersim.digest import DiffID, Digest
from dockersim.filesystem import LayerEntry, Node, Tree, Whiteout, layer_between
from dockersim.sandbox.owners import can_own
from dockersim.snapshots.disk import Disk, open_file, store_errors
from dockersim.snapshots.scan import read_written, scan

_LIVE: Final = DiffID(Digest("container"))
"""Names, in a tree, the layer that is not one yet."""


class ContainerFiles:
    """The files of one container as they are now, or as they were left."""

    def __init__(self, folder: Folder, layers: Sequence[DiffID], store: LayerStore) -> None:
        self._folder = folder
        self._store = store
        self.before = store.tree(layers)

    @cached_property
    def tree(self) -> Tree:
        """The whole file system: the layers of the image, and what was changed since."""
        with store_errors("the container's files cannot be read"):
            return self.before.apply(self._written(), _LIVE)

    @cached_property
    def layer(self) -> tuple[LayerEntry, ...]:
        """The changes as a layer: with the directories above them, and whiteouts for what is gone."""
        return layer_between(self.before, self.tree)

    def open(self, node: Node) -> BinaryIO | None:
        """Open the content of a FILE that the container has written; None for one of its image's layers."""
        if node.layer not in (_LIVE, None):
            return None
        with store_errors(f"/{node.entry.path} cannot be read"):
            return open_file(f"{self._top}/{node.entry.path}")

    @property
    def _top(self) -> str:
        """The directory in which its changes are."""
        return self._folder.at("upper" if self._is_overlay else "root")

    @property
    def _is_overlay(self) -> bool:
        return os.path.isdir(self._folder.at("upper"))

    def _written(self) -> list[LayerEntry]:
        privileged = can_own()
        overlay = self._is_overlay
        disk = Disk(privileged=privileged, devices=privileged and overlay, keep_usable=not (privileged or overlay))
        found = list(scan(self._top))
        gone = [] if overlay else _gone(self.before, {path for path, _ in found})
        written = read_written(disk, self._top, found, self.before, overlay=overlay, gone=gone)
        return [*map(Whiteout, gone), *written]


def _gone(before: Tree, found: set[str]) -> list[str]:
    """List the paths that are not there any more; of a directory only itself."""
    gone: list[str] = []
    for node in before.walk():
        path = node.entry.path
        if path not in found and not (gone and path.startswith(f"{gone[-1]}/")):
            gone.append(path)
    return gone
