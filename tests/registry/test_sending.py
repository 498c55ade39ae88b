"""What is sent of a file: the bytes that are asked for, whatever the file system can do, and little of it in memory."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from plain import Client, Image, sha

from dockersim.registry import ensure_running
from dockersim.registry.server.sending import PIECE, sent

DATA = random.Random(1).randbytes(3 * PIECE + 1000)
MEMORY = Path("/dev/shm")  # a file system that does not know RWF_NOWAIT


def read(path: Path, first: int, length: int) -> tuple[bytes, bool]:
    file = path.open("rb", buffering=0)

    async def all_of_it() -> list[bytes]:
        return [piece async for piece in sent(file, first, length)]

    with ThreadPoolExecutor(1) as thread:  # in this one Playwright may have a loop running
        pieces = thread.submit(asyncio.run, all_of_it()).result()
    return b"".join(pieces), file.closed


@pytest.fixture(params=["disk", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "memory" and not MEMORY.is_dir():
        pytest.skip("no file system in memory")
    with tempfile.TemporaryDirectory(dir=MEMORY if request.param == "memory" else tmp_path) as folder:
        found = Path(folder) / "blob"
        found.write_bytes(DATA)
        yield found


@pytest.mark.parametrize(
    ("first", "length"),
    [(0, len(DATA)), (0, 0), (1, 1), (PIECE - 1, PIECE + 2), (len(DATA) - 5, 5)],
    ids=["all", "nothing", "one byte", "across pieces", "the end"],
)
def test_the_part_that_is_asked_for_is_sent(path: Path, first: int, length: int) -> None:
    data, is_closed = read(path, first, length)
    assert data == DATA[first : first + length] and is_closed


def test_a_file_that_was_cut_off_ends_where_it_ends(path: Path) -> None:
    data, is_closed = read(path, 0, 2 * len(DATA))
    assert data == DATA and is_closed


def test_a_python_without_the_flag_sends_it_as_well(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "RWF_NOWAIT", raising=False)  # musl before 1.2.5
    assert read(path, 0, len(DATA)) == (DATA, True)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read in /proc")
def test_clients_that_take_nothing_hold_little_memory(root: Path) -> None:
    server = ensure_running(root)
    image = Image.of(random.Random(2).randbytes(20 << 20))
    with Client(server.url, "test/app") as client:
        client.push(image, "v1")
    before = resident(server.pid)
    request = f"GET /v2/test/app/blobs/{sha(image.blobs[1])} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(200):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((server.host, server.port))
            connection.sendall(request)
        steady, last = 0, before
        while steady < 5:
            time.sleep(0.1)
            now = resident(server.pid)
            steady, last = (steady + 1, last) if now == last else (0, now)
        assert (last - before) / 200 < 4 * PIECE


def resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
