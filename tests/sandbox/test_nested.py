"""In a container in a container: what is refused there makes a rung fall, with a reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .test_as_user import _NOBODY, _PROJECT, python_for_everybody

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such a container"),
    pytest.mark.skipif(shutil.which("setpriv") is None or shutil.which("unshare") is None, reason="needs util-linux"),
]
_PROGRAM = """
import sys
from pathlib import Path
from dockersim.sandbox import known_rungs
for rung in known_rungs(Path(sys.argv[1])):
    print(rung.name, rung.works, rung.because, rung.remedy, sep="|")
"""


def _rungs(place: Path, prepare: str, *, uid: int = _NOBODY) -> dict[str, list[str]]:
    """Tell what the probe finds for ``uid`` after ``prepare`` was done in a mount namespace of its own."""
    python = python_for_everybody()
    shutil.copytree(_PROJECT / "dockersim", place / "code" / "dockersim", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "scratch").mkdir()
    os.chown(place / "scratch", uid, uid)
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    become = f"setpriv --reuid={uid} --regid={uid} --clear-groups"
    modules = f"{place / 'code'}:{Path(pytest.__file__).parents[1]}"
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{prepare} && exec {become} "$@"', "sh", python, "-c", _PROGRAM,
         str(place / "scratch")],
        cwd="/", env=os.environ | {"PYTHONPATH": modules}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    return {words[0]: words[1:] for words in (line.split("|") for line in ran.stdout.splitlines())}


def test_masked_proc(place: Path) -> None:
    """As docker masks /proc: a new one would show what is hidden, so the kernel refuses it in a user namespace."""
    found = _rungs(place, "mount -t tmpfs none /proc/fs")
    assert found["userns"][0] == "False"
    assert "does not let us mount /proc" in found["userns"][1]
    assert "systempaths=unconfined" in found["userns"][2]


def test_place_where_nothing_may_be_executed(place: Path) -> None:
    found = _rungs(place, f"mount -t tmpfs -o noexec,mode=777 none {place}/scratch")
    assert all(found[name][0] == "False" for name in ("userns", "proot"))
    assert "noexec" in found["userns"][1]
    assert "DOCKERSIM_HOME" in found["userns"][2]
