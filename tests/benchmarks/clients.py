"""200 clients at once, each pushing a small image of its own and pulling one of 50 MB that all share.

    python -m tests.benchmarks.clients [clients] [megabytes]

Every byte is checked by the client. Prints how long it took, how many failed (must be none), and what the server's
memory and open files came to; beside Debian's docker-registry, measured in the same run.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from multiprocessing import SimpleQueue, get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

from msgspec import Struct

from tests.benchmarks.contestants import workplace
from tests.registry.plain import Client, Image, Refused

PROCESSES = 4
"""One Python would be slower than the server."""

SMALL = 100_000
"""Bytes of the layer that each client pushes."""


class Served(Struct, frozen=True):
    """What came of one server. Bytes are those of its memory: before, at the most, and when all was over."""

    seconds: float
    failures: tuple[str, ...]
    before: int
    peak: int
    after: int
    files: int


@contextmanager
def dockersim(folder: Path) -> Iterator[tuple[str, int]]:
    """Serve ours; give address and process."""
    from dockersim.registry import ensure_running, stop

    address = ensure_running(folder / "ours")
    try:
        yield address.url, address.pid
    finally:
        stop(folder / "ours")


@contextmanager
def docker_registry(folder: Path) -> Iterator[tuple[str, int]]:
    """Serve Debian's; give address and process."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'theirs'}}}}}\nhttp: {{addr: '{address}'}}\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        _await(address)
        yield f"http://{address}", process.pid
    finally:
        process.kill()
        process.wait()


def _await(address: str) -> None:
    host, _, port = address.partition(":")
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((host, int(port))).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def measure(url: str, pid: int, clients: int, megabytes: int) -> Served:
    """Let so many clients push and pull."""
    shared = Image.of(*(random.Random(1).randbytes(1 << 20) * megabytes,))
    with Client(url, "shared/app") as client:
        client.push(shared, "latest")
    before = _memory(pid, "VmRSS")
    context = get_context("spawn")
    start, outcomes = context.Barrier(clients + 1), context.SimpleQueue()
    workers = [
        context.Process(target=_clients, args=(url, range(first, clients, PROCESSES), start, outcomes))
        for first in range(PROCESSES)
    ]
    with _most_files(pid) as files:
        for worker in workers:
            worker.start()
        start.wait()
        began = time.monotonic()
        failures = tuple(failure for _ in workers for failure in outcomes.get())
        seconds = time.monotonic() - began
    return Served(seconds, failures, before, _memory(pid, "VmHWM"), _memory(pid, "VmRSS"), max(files))


def _clients(url: str, numbers: range, start: Barrier, outcomes: SimpleQueue[list[str]]) -> None:
    """Be some of the clients, in a process of their own; tell what went wrong."""
    with ThreadPoolExecutor(len(numbers)) as pool:
        outcomes.put([one for one in pool.map(lambda number: _client(url, number, start), numbers) if one])


def _client(url: str, number: int, start: Barrier) -> str:
    own = Image.of(random.Random(number).randbytes(SMALL), name=str(number))
    with Client(url, f"pupil{number}/app") as pushing, Client(url, "shared/app") as pulling:
        try:
            pushing.find("v1"), pulling.find("latest")  # both are connected when it begins
            start.wait()
            pushing.push(own, "v1")
            pulling.pull("latest")
            return "" if pushing.find("v1") == own.digest else "the tag is gone"
        except (OSError, HTTPException, Refused) as error:
            return repr(error)


def _memory(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


@contextmanager
def _most_files(pid: int) -> Iterator[list[int]]:
    """Count the open files of a process again and again."""
    found, over = [0], threading.Event()

    def count() -> None:
        while not over.wait(0.05):
            found.append(len(os.listdir(f"/proc/{pid}/fd")))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def main(clients: int = 200, megabytes: int = 50) -> None:
    """Print a table."""
    contestants: dict[str, Callable[[Path], object]] = {"dockersim": dockersim}
    if shutil.which("docker-registry"):
        contestants["docker-registry"] = docker_registry
    print(f"{clients} clients at once, each pushes {SMALL:,} bytes and pulls {megabytes} MiB")
    print("                     s   failures   MB before    peak    after   files")
    ours = 0.0
    for name, serve in contestants.items():
        with workplace() as folder, serve(folder) as (url, pid):  # type: ignore[attr-defined]
            found = measure(url, pid, clients, megabytes)
        ours = ours or found.seconds
        memory = "   ".join(f"{size / 1e6:6.1f}" for size in (found.before, found.peak, found.after))
        print(f"{name:17} {found.seconds:6.1f} {len(found.failures):6}       {memory}   {found.files:6}"
              f"   {found.seconds / ours:5.2f} x dockersim")  # fmt: skip
        for failure in found.failures[:3]:
            print(f"  {failure}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
