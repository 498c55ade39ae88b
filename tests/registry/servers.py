"""Real registries on loopback, for as long as a ``with`` lasts: ours, and Debian's docker-registry."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.types import ASGIApp

from dockersim.registry import Address
from dockersim.registry.server.patience import MOST_CONNECTIONS, Patience, protocol
from dockersim.registry.server.service import KEEP_ALIVE_SECONDS, listen

PATIENCE = Patience()


class NotInstalled(Exception):
    """There is no docker-registry on this machine."""


@contextmanager
def serving(app: ASGIApp, patience: Patience = PATIENCE, most: int = MOST_CONNECTIONS) -> Iterator[Address]:
    """Serve from a thread: as ``serve`` does, but without a process to start."""
    with listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(
            app,
            http=protocol(patience, most),
            log_level="warning",
            lifespan="off",
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Address(0, "127.0.0.1", listening.getsockname()[1], 0.0, "")
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


@contextmanager
def docker_registry(folder: Path, more: str = "", authority: Path | None = None) -> Iterator[str]:
    """Run Debian's docker-registry with deletes enabled, its data in ``folder``; its URL. Raises NotInstalled.

    ``more`` of its config stands below ``http:``. ``authority`` is the file of who has signed its certificate, if it
    has one.
    """
    program = shutil.which("docker-registry")
    if program is None:
        raise NotInstalled
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\n"
        f"http:\n  addr: '127.0.0.1:{port}'\n{more}"
    )
    url = f"{'https' if authority else 'http'}://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        _wait(f"{url}/v2/", process, authority)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], authority: Path | None) -> None:
    trusted = ssl.create_default_context(cafile=authority) if authority else True
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, trust_env=False, verify=trusted)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")
