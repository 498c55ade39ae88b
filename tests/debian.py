"""A small Debian as a tar."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dockersim.bases.debian import bootstrap, host_mirrors
from tests.kept import kept


def need_mmdebstrap() -> None:
    """Skip the test where no Debian can be made."""
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is not installed")
    if os.geteuid() != 0:
        pytest.skip("the bootstrap is tested as root")


def debian() -> Path:
    """Give the tar of a Debian bookworm, as the stand-in is made."""
    need_mmdebstrap()
    return kept("bookworm-stand-in.tar", _make)


def _make(fresh: Path) -> None:
    with fresh.open("wb") as tar:
        bootstrap("bookworm", tar, print, mirrors=host_mirrors("bookworm"), workspace=fresh.parent)
