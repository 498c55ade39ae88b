"""A running container deletes while it is looked at, by diff or system df: what has vanished is passed over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dockersim.filesystem import Entry, Kind, Tree
from dockersim.sandbox.owners import can_own
from dockersim.snapshots.disk import Disk
from dockersim.snapshots.scan import read_written, scan

CHURN = """
import os, shutil, sys
os.chdir(sys.argv[1])
print("ready", flush=True)
while True:
    os.makedirs("folder/inner", exist_ok=True)
    os.symlink("stays", "link")
    for number in range(20):
        open(f"folder/{number}", "w").close()
    shutil.rmtree("folder")
    os.unlink("link")
"""


def read(root: Path, found: list[tuple[str, os.stat_result]]) -> set[str]:
    before = Tree.EMPTY.apply([Entry("stays", Kind.FILE), Entry("file", Kind.FILE)])
    written = read_written(Disk(privileged=can_own()), str(root), found, before, overlay=False)
    return {entry.path for entry in written}


def test_what_vanishes_between_listing_and_reading(tmp_path: Path) -> None:
    for name in ("stays", "file", "new"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("stays")
    found = list(scan(str(tmp_path)))
    for name in ("file", "new", "link"):
        (tmp_path / name).unlink()
    assert read(tmp_path, found) == {"stays"}


def test_a_directory_that_vanishes_or_is_replaced_before_it_is_listed(tmp_path: Path) -> None:
    for name in ("gone", "replaced"):
        (tmp_path / name / "inner").mkdir(parents=True)
    paths = scan(str(tmp_path))
    assert {next(paths)[0], next(paths)[0]} == {"gone", "replaced"}
    shutil.rmtree(tmp_path / "gone")
    shutil.rmtree(tmp_path / "replaced")
    (tmp_path / "replaced").touch()
    assert list(paths) == []
    with pytest.raises(FileNotFoundError):
        list(scan(f"{tmp_path}/nosuch"))


def test_another_process_makes_and_deletes_all_the_time(tmp_path: Path) -> None:
    (tmp_path / "stays").touch()
    with subprocess.Popen([sys.executable, "-c", CHURN, str(tmp_path)], stdout=subprocess.PIPE, text=True) as churning:
        try:
            assert churning.stdout is not None and churning.stdout.readline() == "ready\n"
            for _ in range(3000):
                assert "stays" in read(tmp_path, list(scan(str(tmp_path))))
            assert churning.poll() is None
        finally:
            churning.kill()
