"""A registry that a class uses for days: what it holds on to must not grow with what it was asked."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from plain import Client, Image, Refused, sha

from dockersim.registry import Address, ensure_running, stop
from dockersim.registry.server.repositories import RegistryStore
from dockersim.registry.server.service import LONGEST_LOG
from dockersim.registry.server.uploading import REMEMBERED, Sessions
from dockersim.registry.wire import LONGEST_LOG as LONGEST_WIRE_LOG
from dockersim.registry.wire import FileLog, WireEvent


@pytest.fixture
def process(root: Path) -> Iterator[Address]:
    """A registry that is a process of its own."""
    yield ensure_running(root)
    stop(root)


def open_files(address: Address) -> int:
    return len(os.listdir(f"/proc/{address.pid}/fd"))


def memory(address: Address) -> int:
    lines = Path(f"/proc/{address.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def a_lesson(address: Address, number: int) -> None:
    """Do what a pupil does, with everything that goes wrong on the way."""
    image = Image.of(bytes(300_000), str(number).encode(), name=str(number))
    with Client(address.url, f"pupil{number}/app") as client:
        client.push(image, "latest")
        client.pull("latest")
        with suppress(Refused):
            client.pull("missing")
        with suppress(Refused):
            client.put_manifest(Image.of(b"never sent"), "v2")
    url = f"{address.url}/v2/pupil{number}/app"
    with httpx.Client(trust_env=False) as http:
        http.post(f"{url}/blobs/uploads/")  # and forgets it
        http.post(f"{url}/blobs/uploads/", params={"digest": sha(b"another")}, content=b"body")
        with http.stream("GET", f"{url}/blobs/{sha(image.blobs[1])}"):
            pass  # and hangs up
    head = f"POST /v2/pupil{number}/app/blobs/uploads/?digest={sha(b'x' * 9)} HTTP/1.1\r\nHost: localhost\r\n"
    for begun in (head, head + "Content-Length: 9\r\n\r\nx", "garbage\r\n\r\n"):
        with socket.create_connection((address.host, address.port)) as connection:
            connection.sendall(begun.encode())


def test_open_files_and_memory_are_what_they_were(process: Address, root: Path) -> None:
    for number in range(10):
        a_lesson(process, number)
    files, size = settled(process), memory(process)
    for number in range(10, 40):
        a_lesson(process, number)
    assert settled(process) <= files + 2
    assert memory(process) < size + 20_000_000
    log = root / "registry.log"
    assert not log.exists() or log.stat().st_size == 0, log.read_text()


def settled(address: Address) -> int:
    """Count the open files when the server has seen that its clients are gone."""
    found = open_files(address)
    for _ in range(50):
        with httpx.Client(trust_env=False) as http:
            http.get(f"{address.url}/v2/")
        found = min(found, open_files(address))
    return found


def test_sessions_that_are_never_finished_cost_a_small_file_each(tmp_path: Path) -> None:
    store = RegistryStore(tmp_path)
    sessions = Sessions(store)
    for _ in range(REMEMBERED + 500):
        sessions.start("test/app")
    assert len(sessions._open) <= REMEMBERED + 1
    assert store.expire_uploads(0.0) == 0
    store.expire_uploads(float("inf"))
    assert list(tmp_path.glob("repositories/test/app/_uploads/*")) == []


def test_the_logs_are_begun_anew(tmp_path: Path) -> None:
    wire = FileLog(tmp_path / "wire.jsonl")
    wire.path.write_bytes(b"x" * LONGEST_WIRE_LOG + b"\n")
    for _ in range(2):
        wire.record(WireEvent.of("GET", "/v2/"))
    assert len(wire.events()) == 2 and (tmp_path / "wire.1.jsonl").stat().st_size == LONGEST_WIRE_LOG + 1


def test_what_strangers_send_does_not_fill_the_log(tmp_path: Path) -> None:
    program = """if True:
        import logging, sys
        from pathlib import Path
        from dockersim.registry.server.service import LONGEST_LOG, _log_to
        _log_to(Path(sys.argv[1]))
        for _ in range(3):
            logging.getLogger("asyncio").error("x" * (LONGEST_LOG * 2 // 3))
            logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    """
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "log"], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    logs = sorted(tmp_path.iterdir())
    assert [path.name for path in logs] == ["log", "log.1"]
    assert all(path.stat().st_size < LONGEST_LOG and b"Invalid" not in path.read_bytes() for path in logs)


def test_a_class_that_logs_in_at_once_holds_nobody_up(process: Address) -> None:
    image = Image.of(bytes(1_000_000))
    with Client(process.url, "test/app") as client:
        client.push(image, "v1")
        before = memory(process)

        def login(number: int) -> None:
            answer = httpx.get(f"{process.url}/token", auth=(f"pupil{number}", "secret"), trust_env=False, timeout=60)
            assert answer.status_code == 200

        pupils = [threading.Thread(target=login, args=(number,)) for number in range(40)]
        for pupil in pupils:
            pupil.start()
        pulls = 0
        while any(pupil.is_alive() for pupil in pupils):
            client.pull("v1")
            pulls += 1
        assert pulls > 1
    assert memory(process) < before + 120_000_000, "two passwords at a time, of 16 MiB each"
