"""Where the demo and the lessons make their roots, on machines whose /tmp is no good for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockersim.engine.scratch import scratch_directory

_PROJECT = Path(__file__).parents[2]
_ASK = """
import os
from dockersim.engine.scratch import scratch_directory
from dockersim.errors import DockersimError
try:
    print(scratch_directory(os.environ))
except DockersimError as error:
    print(error)
"""
_NONE = "for at in /tmp /var/tmp {place}/tmp; do mount --bind $at $at; mount -o remount,bind,ro $at; done; cd /proc"


def _found(place: Path, prepare: str, home: str) -> str:
    """Ask on a machine that ``prepare`` made in a mount namespace, its TMPDIR being ``place/tmp``."""
    (place / "tmp").mkdir()
    script = f'{prepare.format(place=place)}; exec "$@"'
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-e", "-c", script, "sh", sys.executable, "-c", _ASK],
        env=os.environ | {"PYTHONPATH": str(_PROJECT), "TMPDIR": f"{place}/tmp", "DOCKERSIM_HOME": home},
        cwd="/", capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ran.stdout.strip().replace(str(place), "PLACE")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory outside of /tmp, which is covered."""
    made = Path(subprocess.check_output(["mktemp", "-d", "/var/cache/dockersim-test-XXXXXX"], text=True).strip())
    yield made
    shutil.rmtree(made)


def test_temporary_files_have_a_good_place(tmp_path: Path) -> None:
    assert scratch_directory({"DOCKERSIM_HOME": str(tmp_path)}) != tmp_path / "scratch"
    assert not (tmp_path / "scratch").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such a machine")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux")
@pytest.mark.parametrize(
    ("machine", "found"),
    [
        ("mount -t tmpfs none {place}/tmp", "PLACE/tmp"),
        ("mount -t tmpfs -o noexec none {place}/tmp", "PLACE/home/scratch"),
        ("mount -t tmpfs -o size=64m none {place}/tmp", "PLACE/home/scratch"),
        (_NONE, "PLACE/home/scratch"),
    ],
    ids=["good", "noexec", "small", "none"],
)
def test_temporary_files_have_a_bad_place(place: Path, machine: str, found: str) -> None:
    assert _found(place, machine, f"{place}/home") == found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such a machine")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux")
def test_there_is_no_better_place(place: Path) -> None:
    """Then what is said is said about the place where temporary files are, or about the root if there is none."""
    assert _found(place, "mount -t tmpfs -o noexec none {place}/tmp", "/proc/no") == "PLACE/tmp"
    (place / "tmp").rmdir()
    assert _found(place, _NONE, "/proc/no").startswith("cannot make /proc/no/scratch: ")
