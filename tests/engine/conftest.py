"""An engine with a small base image: Debian's busybox, as in the recorded cases."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockersim import Engine
from dockersim.engine.shipping import parse_platform
from dockersim.engine.store import machine_platform
from dockersim.images import import_rootfs
from dockersim.oci import parse_reference
from dockersim.sandbox import Sandbox
from tests.engine.git_server import GitServer, git_server
from tests.fidelity import busybox_base


@pytest.fixture(scope="session")
def busybox_tar() -> bytes:
    """The root file system of ``busybox:latest``."""
    return busybox_base()


MakeEngine = Callable[..., Engine]


@pytest.fixture(scope="session")
def best_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The best rung of this machine, found out once and not once a root."""
    return Engine(tmp_path_factory.mktemp("probe"), environment={}).store.sandbox


@pytest.fixture
def make_engine(tmp_path: Path, busybox_tar: bytes, best_sandbox: Sandbox) -> MakeEngine:
    """Make an engine with a root of its own that has ``busybox:latest``."""

    def make(name: str = "root", **options: object) -> Engine:
        engine = Engine(tmp_path / name, environment={}, **options)  # type: ignore[arg-type]
        if "sandbox" not in options:
            engine.store.sandbox = best_sandbox
        import_rootfs(
            engine.store.images,
            io.BytesIO(busybox_tar),
            created="2023-11-14T22:13:20Z",
            platform=parse_platform(machine_platform()),
            name=parse_reference("busybox"),
        )
        return engine

    return make


@pytest.fixture
def engine(make_engine: MakeEngine) -> Engine:
    """One such engine."""
    return make_engine()


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A build context with two files."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "app.py").write_text("print('hello')\n")
    (folder / "requirements.txt").write_text("flask\n")
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """Serve Git repositories."""
    with git_server(tmp_path / "served") as site:
        yield site
