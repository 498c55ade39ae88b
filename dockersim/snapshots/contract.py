"""What a snapshotter is: root file systems laid out from layers, ready to be changed by one process.

Layers in the content store are the truth; what a snapshotter keeps on disk is only their unpacked form, and may be
deleted at any time. As in containerd a snapshotter returns mounts, it does not mount.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import BinaryIO, NewType, Protocol

from msgspec import Struct

from dockersim.digest import DiffID
from dockersim.filesystem.entry import Entry, LayerEntry
from dockersim.sandbox.contract import RootFilesystem
from dockersim.snapshots.ledger import NOTHING_RECORDED, Ledger

SnapshotKey = NewType("SnapshotKey", str)
"""The caller's name of one snapshot in the making: letters, digits, ``-`` and ``_``."""


class Changes(Struct, frozen=True):
    """What happened in a snapshot since it was prepared.

    ``entries`` is the layer: in layer order (depth first, names by byte value), with parents, whiteouts, owners as
    the ledger knows them, and digests of the files (empty where it is cheaper to hash while writing the tar).
    """

    entries: tuple[LayerEntry, ...]


class LayerSource(Protocol):
    """Where a snapshotter gets the layers from that it has not laid out yet (the content store)."""

    def entries(self, diff_id: DiffID) -> Sequence[LayerEntry]:
        """List what the layer says, in its order."""

    def open_tar(self, diff_id: DiffID) -> BinaryIO:
        """Open the layer's uncompressed tar; ``Entry.data`` are offsets into it."""


class Snapshotter(Protocol):
    """Lays out layers as root file systems and tells what a process changed in them."""

    def prepare(self, key: SnapshotKey, layers: Sequence[DiffID]) -> RootFilesystem:
        """Lay out ``layers``, lowest first, as a root file system that may be written to.

        Before: ``key`` is new. After: the root file system shows the layers, and nothing else. Not repeatable.
        """

    def changes(self, key: SnapshotKey, ledger: Ledger = NOTHING_RECORDED) -> Changes:
        """Tell what is different in ``key`` from the layers it was prepared from, as BuildKit would. Repeatable.

        ``ledger`` knows the owners of the process that ran in it, for where the disk does not.
        Costs in proportion to what changed (overlay), or one scan of metadata (copy).
        """

    def open_file(self, key: SnapshotKey, entry: Entry) -> BinaryIO:
        """Open the content of a FILE that ``changes`` named, for reading."""

    def commit(self, key: SnapshotKey, layer: DiffID | None) -> None:
        """Keep what ``key`` changed as the laid out form of ``layer``, which has just been stored.

        None says that nothing changed. After: ``key`` is gone; preparing from the same layers and ``layer`` is cheap.
        """

    def discard(self, key: SnapshotKey) -> None:
        """Forget ``key`` and what it changed. Repeatable; also right for a key that never was."""

    def remove(self, layers: Collection[DiffID]) -> None:
        """Delete the laid out form of each of ``layers``; it will be laid out anew if needed. Repeatable."""
