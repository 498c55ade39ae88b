"""A build on a disk that is full: one plain line, nothing half-done is kept, and with room again it goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proofs.installed import Installed, as_root, with_busybox

FULL = "the disk is full; free some space, or set DOCKERSIM_HOME to a larger disk"
ROOM = 12_000_000


@pytest.fixture
def ours(place: Path) -> Iterator[Installed]:
    """A command line whose root is on a disk with room for the base image and little else."""
    if os.geteuid() != 0:
        pytest.skip("by design: only root mounts a small disk")
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", disk], check=True)
    try:
        yield with_busybox(as_root(disk), place)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def context(place: Path, text: str, **files: bytes) -> Path:
    folder = place / "context"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(text)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def half_done(root: Path) -> list[Path]:
    return [*root.glob("ingest/*"), *root.glob("leases/*"), *root.glob("snapshots/overlay/active/*")]


@pytest.mark.parametrize(
    "step", ["COPY large /", "RUN head -c 20000000 /dev/urandom > /large || true"], ids=["COPY", "RUN"]
)
def test_a_step_that_does_not_fit(ours: Installed, place: Path, step: str) -> None:
    folder = context(place, f"FROM busybox\nCOPY small /\n{step}\n", small=b"x", large=os.urandom(ROOM))
    told = ours("build", "-t", "made", str(folder), code=1)
    assert told.splitlines()[-1] == f"ERROR: failed to solve: Dockerfile:3: cannot write to {ours.root}/ingest: {FULL}"
    assert "Traceback" not in told and half_done(ours.root) == []
    ours("build", "-t", "made", str(context(place, "FROM busybox\nCOPY small /\nRUN cat /small\n")))
    assert ours("run", "--rm", "made", "cat", "/small") == "x"


def test_not_a_byte_free(ours: Installed, place: Path) -> None:
    folder = context(place, "FROM busybox\nCOPY small /\n", small=b"x")
    filler = ours.root.parent / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))
    for command in (["build", "-t", "made", str(folder)], ["images"], ["tag", "busybox", "other"]):
        told = ours(*command, code=1).splitlines()[-1]
        assert told.endswith(FULL), told
    filler.unlink()
    ours("build", "-t", "made", str(folder))
    assert "other" not in ours("images") and half_done(ours.root) == []
