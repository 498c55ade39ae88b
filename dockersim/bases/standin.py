"""The bootstrapped Debian as a layer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from dockersim.bases.debian import Progress, bootstrap, host_mirrors
from dockersim.bases.pieces import layer_order
from dockersim.content import LayerStore
from dockersim.content.disk import temporary_directory
from dockersim.digest import DiffID
from dockersim.filesystem import Entry, Kind, LayerEntry, Readable, read_layer


def make_layer(suite: str, layers: LayerStore, progress: Progress) -> tuple[DiffID, str]:
    """Bootstrap Debian ``suite`` into ``layers``; return the diff id and when it was made (RFC 3339)."""
    within = temporary_directory()
    with (
        tempfile.TemporaryDirectory(prefix="dockersim-", dir=within) as folder,
        tempfile.TemporaryFile(dir=within) as tar,
    ):
        # As root apt drops to its own user, who must be able to enter.
        Path(folder).chmod(0o755)
        bootstrap(suite, tar, progress, mirrors=host_mirrors(suite), workspace=Path(folder))
        tar.seek(0)
        progress("storing the layer")
        return store(tar, layers)


def store(tar: BinaryIO, layers: LayerStore) -> tuple[DiffID, str]:
    """Store mmdebstrap's tar as a base layer; its time is that of its newest file, when it was made."""
    newest = 0
    with layers.new_layer() as new:
        for entry, content in without_devices(read_layer(tar)):
            new.add(entry, content)
            if isinstance(entry, Entry):
                newest = max(newest, entry.mtime_ns // 10**9)
        made = datetime.fromtimestamp(newest, UTC)
        return new.commit().diff_id, made.strftime("%Y-%m-%dT%H:%M:%SZ")


def without_devices(
    entries: Iterator[tuple[LayerEntry, Readable]],
) -> Iterator[tuple[LayerEntry, Readable | None]]:
    """Pass on what a base layer has: an empty /dev, no device nodes, and no root, which every container has."""
    waiting: Entry | None = Entry("dev", Kind.DIRECTORY, 0o755)
    for entry, content in entries:
        if entry.path == "" or entry.path.split("/")[0] == "dev":
            continue
        if waiting is not None and layer_order(entry.path) > layer_order("dev"):
            yield waiting, None
            waiting = None
        yield entry, content
