"""Real registries on loopback: ours as a process of its own, and Debian's docker-registry beside it."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from dockersim.registry import Address, stop
from dockersim.registry.server.app import RegistryApp
from dockersim.registry.server.service import make_app


class Switch:
    """An application that is exchanged under a server which runs on: a fresh registry costs no start."""

    current: RegistryApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.current(scope, receive, send)


@contextmanager
def serving(app: ASGIApp) -> Iterator[Address]:
    """Serve from a thread: as ``serve`` does, but without a process to start."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_level="warning", lifespan="off", proxy_headers=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Address(0, "127.0.0.1", listening.getsockname()[1], 0.0, "")
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


@pytest.fixture(scope="session")
def switched() -> Iterator[tuple[Switch, Address]]:
    """The server of the whole session."""
    switch = Switch()
    with serving(switch) as address:
        yield switch, address


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """The directory of a registry; if a test starts a process on it, that is stopped when the test is over."""
    folder = tmp_path / "registry"
    yield folder
    if folder.exists():
        stop(folder)


@pytest.fixture
def server(root: Path, switched: tuple[Switch, Address]) -> Address:
    """A fresh registry."""
    switch, address = switched
    switch.current = make_app(root)
    return address


@pytest.fixture
def http(server: Address) -> Iterator[httpx.Client]:
    """A plain HTTP client, which knows nothing of registries."""
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """One registry for all tests of a module."""
    with serving(make_app(tmp_path_factory.mktemp("shared"))) as address:
        yield address


@pytest.fixture(scope="module")
def debian_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's docker-registry with deletes enabled: the address."""
    with docker_registry(tmp_path_factory.mktemp("debian")) as address:
        yield f"http://{address}"


@contextmanager
def docker_registry(folder: Path, more: str = "", authority: Path | None = None) -> Iterator[str]:
    """Serve Debian's docker-registry from a folder; ``more`` of its config stands below ``http:``.

    ``authority`` is the file of the one that has signed its certificate, if it has one.
    """
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\n"
        f"http:\n  addr: '127.0.0.1:{port}'\n{more}"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        _wait(f"{'https' if authority else 'http'}://127.0.0.1:{port}/v2/", authority)
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _wait(url: str, authority: Path | None) -> None:
    trusted = ssl.create_default_context(cafile=authority) if authority else True
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            httpx.get(url, trust_env=False, verify=trusted)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"{url} does not answer")
