"""The program that runs the sandbox is interrupted or killed: nothing may be left, at whatever moment it comes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .box import lay_out
from .conftest import rung_of
from .test_conformance import gone, unique_seconds

_PROGRAM = """
import sys
from pathlib import Path
from dockersim.sandbox import DirectoryRoot, OverlayRoot, ProcessSpec, known_rungs, stand_on
name, place, seconds = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
rung = next(rung for rung in known_rungs(place) if rung.name == name)
if rung.overlay:
    for part in ("upper", "work"):
        (place / part).mkdir(exist_ok=True)
    root = OverlayRoot((place / "base",), place / "upper", place / "work")
else:
    root = DirectoryRoot(place / "base")
script = f"(setsid sleep {seconds} &); sleep {seconds} & echo started; sleep {seconds}"
print("ready", flush=True)
stand_on(rung, place).run(root, ProcessSpec(("/bin/sh", "-c", script), {"PATH": "/bin"}),
                          lambda stream, piece: print(piece.decode(), flush=True))
"""


def begin(name: str, place: Path, seconds: str) -> subprocess.Popen[str]:
    if not (place / "base").exists():
        lay_out(place / "base")
    modules = f"{Path(__file__).parents[2]}:{Path(pytest.__file__).parents[1]}"
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, name, str(place), seconds],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | {"PYTHONPATH": modules},
    )  # fmt: skip


@pytest.fixture(params=["namespaces", "userns", "chroot", "proot"])
def name(request: pytest.FixtureRequest) -> str:
    return rung_of(request.param).name


def test_ctrl_c(name: str, place: Path) -> None:
    seconds = unique_seconds()
    with begin(name, place, seconds) as program:
        assert program.stdout is not None
        assert [program.stdout.readline() for _ in range(2)] == ["ready\n", "started\n"]
        program.send_signal(signal.SIGINT)
        assert program.wait(10) != 0
    assert gone(seconds)
    written = set(os.listdir(place / ("base" if name in ("chroot", "proot") else "upper"))) - {"etc", "bin", "tmp"}
    assert written == {"dev", "proc", "sys"}
    assert not list((place / "base" / "etc").glob("hosts"))


def test_kill_9_at_any_moment(name: str, place: Path) -> None:
    dice = random.Random(7)
    for _ in range(6):
        seconds = unique_seconds()
        with begin(name, place, seconds) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            time.sleep(dice.uniform(0, 0.06))
            program.kill()
            program.wait(10)
        assert gone(seconds)
        assert gone(str(place))  # the runner itself, or proot
    assert str(place) not in Path("/proc/mounts").read_text()
