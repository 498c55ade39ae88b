"""Places that every user can reach, and a docker daemon with the same base image as ours."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fidelity import busybox_base
from tests.peers import Docker


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty directory of the test's own; pytest's are closed to ordinary users."""
    folder = Path(tempfile.mkdtemp(prefix="dockersim-proof-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def docker(dockerd: Docker) -> Docker:
    """A docker daemon that has ``busybox:latest`` from the very tar that ours has."""
    dockerd("import", "-", "busybox:latest", stdin=busybox_base())
    return dockerd
