"""Real registries on loopback: ours as a process of its own, and Debian's docker-registry beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from dockersim.registry import Address, stop
from dockersim.registry.server.app import RegistryApp
from dockersim.registry.server.service import make_app
from tests.registry.servers import NotInstalled, docker_registry, serving


class Switch:
    """An application that is exchanged under a server which runs on: a fresh registry costs no start."""

    current: RegistryApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.current(scope, receive, send)


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
    try:
        with docker_registry(tmp_path_factory.mktemp("debian")) as url:
            yield url
    except NotInstalled:
        pytest.skip("docker-registry is not installed")
