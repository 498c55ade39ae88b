"""Ctrl-C in every system call of a snapshot's life: nothing in the making is left."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from layers import MemorySource, file, folder
from programs import why_no_overlay

from dockersim.snapshots import OverlaySnapshotter, SnapshotKey
from tests.interrupts import at_every_call


@pytest.mark.skipif(bool(why_no_overlay()), reason=f"overlayfs cannot be mounted: {why_no_overlay()}")
def test_ctrl_c_in_any_call_leaves_no_snapshot(tmp_path: Path) -> None:
    source = MemorySource()
    layers = [source.store(folder("etc"), file("etc/motd", b"hello"))]
    key = SnapshotKey("key")

    def act() -> None:
        with suppress(FileNotFoundError):
            os.rename(tmp_path / "layers", tmp_path / f"laid-out-{os.urandom(4).hex()}")  # have it laid out again
        snapshotter = OverlaySnapshotter(tmp_path, source)
        try:
            snapshotter.prepare(key, layers)
        finally:
            snapshotter.discard(key)

    calls = []
    for call in at_every_call(act):
        left = [str(path) for name in ("active", "new") for path in tmp_path.glob(f"{name}/*")]
        assert left == [], f"interrupted in {call}"
        calls.append(call.partition(",")[0])
    assert {"mkdir", "open", "flock", "rename", "rmdir", "unlink"} <= set(calls)
