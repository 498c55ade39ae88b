"""The root file system of one container: the image's layers, and what the container changes, which is its own.

Where overlayfs is to be had the layers are shared by all containers and builds, and only an upper directory belongs to
the container; elsewhere the whole tree is laid out for it. Ownership is as in a RUN: see ``snapshots.disk``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dockersim.containers.life import Folder
from dockersim.content import LayerStore
from dockersim.digest import DiffID
from dockersim.errors import ContainerError
from dockersim.filesystem import Tree, layer_between
from dockersim.sandbox.contract import DirectoryRoot, OverlayRoot, RootFilesystem
from dockersim.sandbox.owners import can_own
from dockersim.snapshots.contract import SnapshotKey, Snapshotter
from dockersim.snapshots.disk import Disk, store_errors
from dockersim.snapshots.layout import Layout

# Deviation: what an image declares as VOLUME is a plain directory of each container and goes with it; docker keeps it
# in an anonymous volume.


def make_root(folder: Folder, layers: Sequence[DiffID], store: LayerStore, *, overlay: bool) -> None:
    """Make what will hold the container's changes: an upper directory, or the whole tree."""
    privileged = can_own()
    disk = Disk(privileged=privileged, devices=privileged and overlay, keep_usable=not (privileged or overlay))
    tree = store.tree(layers)
    with store_errors("the container's file system cannot be made"):
        top = folder.at("upper" if overlay else "root")
        os.mkdir(top, 0o700)
        if overlay:
            os.mkdir(folder.at("work"), 0o700)
        else:
            Layout(top, disk, store, whiteouts=False).make(layer_between(Tree.EMPTY, tree), tree)
        disk.finish(top, tree.root.entry)


def find_root(folder: Folder, layers: Sequence[DiffID], snapshots: Snapshotter) -> RootFilesystem:
    """Give the root file system to run in; the layers below it are laid out again if they are not any more."""
    if os.path.isdir(folder.at("root")):
        return DirectoryRoot(Path(folder.at("root")))
    key = SnapshotKey(f"container-{os.path.basename(folder.path)}")
    prepared = snapshots.prepare(key, layers)
    snapshots.discard(key)  # it was only asked for the layers below, which stay
    if isinstance(prepared, OverlayRoot):
        return OverlayRoot(prepared.lower, Path(folder.at("upper")), Path(folder.at("work")))
    raise ContainerError(
        "the container was made with overlayfs, which this sandbox has not", hint="leave DOCKERSIM_SANDBOX unset"
    )
