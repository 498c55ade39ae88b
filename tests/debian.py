"""A small Debian as a tar, bootstrapped once for all tests and kept for the next run."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from dockersim.bases.debian import bootstrap, host_mirrors

_CACHE = Path("/var/tmp/dockersim-test-cache")


def need_mmdebstrap() -> None:
    """Skip the test where no Debian can be made."""
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is not installed")
    if os.geteuid() != 0:
        pytest.skip("the bootstrap is tested as root")


def debian() -> Path:
    """Give the tar of a Debian bookworm, as the stand-in is made; of several who ask at once one makes it."""
    need_mmdebstrap()
    kept = _CACHE / "bookworm-stand-in.tar"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _make(kept)
    return kept


def _make(kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=_CACHE) as place:
        fresh = Path(place) / "fresh.tar"
        with fresh.open("wb") as tar:
            bootstrap("bookworm", tar, print, mirrors=host_mirrors("bookworm"), workspace=Path(place))
        fresh.replace(kept)
