"""Files that cost time to make or to download: made once for all tests, and kept for the next run."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

_CACHE = Path("/var/tmp/dockersim-test-cache")


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """Give the file ``name``; of several who ask at once one makes it, at a path in a workspace of its own."""
    found = _CACHE / name
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            with tempfile.TemporaryDirectory(dir=_CACHE) as workspace:
                fresh = Path(workspace) / "fresh"
                make(fresh)
                os.replace(fresh, found)
    return found
