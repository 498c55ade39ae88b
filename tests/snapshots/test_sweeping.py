"""Directories that processes make, hold, delete and sweep at the same time: nobody loses one that he holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dockersim.locks import try_lock
from dockersim.snapshots import sweep as sweeping
from dockersim.snapshots.sweep import GONE, bury, claim, claim_new, new_path, sweep

SWEEPER = """
import sys
from dockersim.snapshots.sweep import sweep
print("ready", flush=True)
while True:
    sweep(sys.argv[1])
"""


def test_what_is_held_is_spared_and_what_is_not_goes(tmp_path: Path) -> None:
    held = claim_new(new_path(str(tmp_path)))
    left = claim_new(new_path(str(tmp_path)))
    left.release()
    (tmp_path / f"buried{GONE}").mkdir()
    sweep(str(tmp_path))
    assert [str(path) for path in tmp_path.iterdir()] == [held.path]
    assert claim(held.path) is None
    bury(held.path)
    held.release()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_swept_between_opening_its_lock_and_taking_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is then there to be had, but belongs to nothing any more."""
    path = str(tmp_path / "made")
    os.mkdir(path)

    def swept_meanwhile(descriptor: int) -> bool:
        monkeypatch.undo()
        sweep(str(tmp_path))
        return try_lock(descriptor)

    monkeypatch.setattr(sweeping, "try_lock", swept_meanwhile)
    assert claim(path) is None
    held = claim_new(path)
    assert os.path.isdir(held.path)
    held.release()


def test_a_directory_is_buried_whose_namesake_is_still_being_deleted(tmp_path: Path) -> None:
    path = str(tmp_path / "made")
    (tmp_path / f"made{GONE}" / "folder").mkdir(parents=True)
    held = claim_new(path)
    bury(path)
    held.release()
    assert os.listdir(tmp_path) == [f"made{GONE}"]
    sweep(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_others_sweep_all_the_time(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SWEEPER, str(tmp_path)]
    sweepers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for sweeper in sweepers:
            assert sweeper.stdout is not None and sweeper.stdout.readline() == "ready\n"
        for number in range(100):
            held = claim_new(new_path(str(tmp_path)))
            Path(held.path, "file").write_text(str(number))
            os.mkdir(f"{held.path}/folder")
            assert Path(held.path, "file").read_text() == str(number)
            bury(held.path)
            held.release()
        assert [sweeper.poll() for sweeper in sweepers] == [None, None]
    finally:
        for sweeper in sweepers:
            sweeper.kill()
            sweeper.communicate()
