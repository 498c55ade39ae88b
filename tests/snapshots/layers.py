"""Layers for the tests, kept in memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import BinaryIO

from dockersim.digest import DiffID
from dockersim.filesystem import Entry, Kind, LayerEntry, LayerWriter
from dockersim.snapshots.contract import Changes, SnapshotKey, Snapshotter

SECOND = 1_000_000_000
THEN = 1_700_000_000 * SECOND


def file(path: str, content: bytes = b"", mode: int = 0o644, uid: int = 0, gid: int = 0) -> tuple[Entry, bytes]:
    return Entry(path, Kind.FILE, mode, uid, gid, len(content), THEN), content


def folder(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    return Entry(path, Kind.DIRECTORY, mode, uid, gid, mtime_ns=THEN)


def symlink(path: str, target: str) -> Entry:
    return Entry(path, Kind.SYMLINK, 0o777, link=target, mtime_ns=THEN)


class MemorySource:
    """A LayerSource that holds layers in memory."""

    def __init__(self) -> None:
        self._layers: dict[DiffID, tuple[bytes, tuple[LayerEntry, ...]]] = {}

    def store(self, *items: LayerEntry | tuple[Entry, bytes]) -> DiffID:
        out = io.BytesIO()
        writer = LayerWriter(out)
        for item in items:
            if isinstance(item, tuple):
                writer.add(*item)
            else:
                writer.add(item)
        return self._keep(out, writer)

    def store_changes(self, snapshotter: Snapshotter, key: SnapshotKey, changes: Changes) -> DiffID:
        """Write the layer of a snapshot, as the engine does after a RUN."""
        out = io.BytesIO()
        writer = LayerWriter(out)
        for entry in changes.entries:
            if isinstance(entry, Entry) and entry.kind is Kind.FILE:
                with snapshotter.open_file(key, entry) as content:
                    writer.add(entry, content)
            else:
                writer.add(entry)
        return self._keep(out, writer)

    def _keep(self, out: io.BytesIO, writer: LayerWriter) -> DiffID:
        diff_id, _, entries = writer.close()
        self._layers[diff_id] = (out.getvalue(), entries)
        return diff_id

    def entries(self, diff_id: DiffID) -> Sequence[LayerEntry]:
        return self._layers[diff_id][1]

    def open_tar(self, diff_id: DiffID) -> BinaryIO:
        return io.BytesIO(self._layers[diff_id][0])
