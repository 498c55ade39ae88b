"""Every rung of the ladder that works here, with every kind of root file system it can run in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockersim.sandbox import Rung, known_rungs, stand_on

from .box import Box, make_box

_PROBED = Path(tempfile.mkdtemp(prefix="dockersim-rungs-"))
_RUNGS = {rung.name: rung for rung in known_rungs(_PROBED)}
_KINDS = [
    f"{name}-{kind}"
    for name in ("namespaces", "userns", "chroot", "proot")
    for kind in ("overlay", "directory")
    if not (name in ("chroot", "proot") and kind == "overlay")
]


def rung_of(name: str) -> Rung:
    rung = _RUNGS[name]  # type: ignore[index]
    if not rung.works:
        pytest.skip(f"{name}: {rung.because}")
    return rung


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on disk; pytest's own is deep below directories that only its owner may enter."""
    with tempfile.TemporaryDirectory(prefix="dockersim-test-", dir="/var/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(params=_KINDS)
def box(request: pytest.FixtureRequest, place: Path) -> Box:
    name, kind = request.param.split("-")
    rung = rung_of(name)
    if kind == "overlay" and not rung.overlay:
        pytest.skip(f"{name} cannot mount an overlay here")
    return make_box(stand_on(rung, place), place, overlay=kind == "overlay")


@pytest.fixture(params=["namespaces", "userns"])
def isolated(request: pytest.FixtureRequest, place: Path) -> Box:
    """A box with namespaces of its own."""
    return make_box(stand_on(rung_of(request.param), place), place, overlay=False)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Whatever a test does: no mount, no process, no descriptor of ours may be there after it."""
    before, others = _descriptors(), _children()  # the daemon of another package's tests may be among them
    yield
    assert "dockersim-test-" not in Path("/proc/self/mountinfo").read_text()
    assert _children() <= others
    assert _descriptors() <= before


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
