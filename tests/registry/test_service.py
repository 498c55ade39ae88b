"""The registry as a process: started once, found again, stopped, killed; what it has stays."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from dockersim.errors import RegistryError
from dockersim.registry import Address, ensure_running, running, serve, stop
from dockersim.registry.purpose import Purpose
from dockersim.registry.server.service import LOOPBACK, SEND_BUFFER, listen


def sha(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def upload(address: Address, data: bytes) -> None:
    url = f"{address.url}/v2/test/app/blobs/uploads/?digest={sha(data)}"
    assert httpx.post(url, content=data, trust_env=False).status_code == 201


def fetch(address: Address, data: bytes) -> bytes:
    return httpx.get(f"{address.url}/v2/test/app/blobs/{sha(data)}", trust_env=False).content


def test_started_twice_is_one_process_and_stopping_ends_it(root: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        addresses = set(pool.map(lambda _: ensure_running(root), range(4)))
    (address,) = addresses
    assert address.host == "127.0.0.1" and running(root) == address
    assert stop(root) and not stop(root)
    assert running(root) is None and not (root / "server.json").exists()


def test_to_ask_whether_it_runs_is_no_request_of_a_learner(root: Path) -> None:
    address = ensure_running(root)
    assert running(root) == address
    stop(root)
    told = [json.loads(line)["purpose"] for line in (root / "wire.jsonl").read_text(encoding="utf-8").splitlines()]
    assert set(told) == {Purpose.SEE_PAGE.value}


def test_a_restart_keeps_everything_and_the_port(root: Path) -> None:
    first = ensure_running(root)
    upload(first, b"one")
    token = httpx.get(f"{first.url}/token", auth=("alice", "secret"), trust_env=False).json()["token"]
    stop(root)
    second = ensure_running(root)
    assert (second.port, second.pid != first.pid) == (first.port, True)
    assert fetch(second, b"one") == b"one"
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{second.url}/v2/", headers=headers, trust_env=False).status_code == 200


def test_a_port_that_is_taken_is_one_clear_line(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RegistryError, match=rf"^port {port} on 127.0.0.1 is already taken; choose another"):
            serve(root, port=port)
        command = [sys.executable, "-m", "dockersim.registry", "--root", str(root), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take the network away")
def test_where_lo_is_down_it_is_one_clear_line_at_once(root: Path) -> None:
    program = (
        "import pathlib, sys\nfrom dockersim.errors import RegistryError\n"
        "from dockersim.registry import ensure_running\n"
        "try: ensure_running(pathlib.Path(sys.argv[1]))\n"
        "except RegistryError as error: print(error)\n"
    )
    command = ["unshare", "--net", sys.executable, "-c", program, str(root)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == (
        "the practice registry cannot be reached at 127.0.0.1: Network is unreachable; "
        "the loopback interface is down; root can 'ip link set lo up'\n"
    )
    assert not root.exists()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked for in /proc")
def test_a_start_that_is_interrupted_leaves_no_process(root: Path) -> None:
    def processes() -> list[Path]:
        return [one for one in Path("/proc").glob("[0-9]*") if str(root).encode() in _words_of(one)]

    def is_waiting() -> bool:
        """Tell whether the process is there, and whoever started it knows of it."""
        called = [frame.f_code.co_name for frame, _ in traceback.walk_stack(sys._current_frames()[main])]
        return bool(processes()) and "ensure_running" in called and "_start" not in called

    def interrupt() -> None:
        while not is_waiting():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    main = threading.get_ident()
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        ensure_running(root)
    until = time.monotonic() + 30
    while processes():
        assert time.monotonic() < until
        time.sleep(0.02)


def _words_of(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def test_a_port_that_was_taken_meanwhile_is_replaced(root: Path) -> None:
    first = ensure_running(root)
    stop(root)
    with socket.create_server(("127.0.0.1", first.port)):
        assert ensure_running(root).port != first.port


def test_a_stale_server_json_whose_pid_is_another_process_is_not_killed(root: Path) -> None:
    first = ensure_running(root)
    os.kill(first.pid, signal.SIGKILL)
    text = (root / "server.json").read_text().replace(str(first.pid), str(os.getpid()), 1)
    (root / "server.json").write_text(text)
    assert running(root) is None and stop(root) is False
    assert ensure_running(root).pid != os.getpid()


def test_kill_9_in_the_middle_of_uploads_loses_nothing_acknowledged(root: Path) -> None:
    rng = random.Random(7)
    kept: list[bytes] = []
    for _ in range(5):
        address = ensure_running(root)
        killer = threading.Timer(rng.uniform(0.02, 0.2), os.kill, (address.pid, signal.SIGKILL))
        try:
            for number in range(1000):
                data = rng.randbytes(rng.randrange(2_000_000))
                upload(address, data)
                kept.append(data)
                if number == 0:  # however slow the machine is, there is something to lose
                    killer.start()
        except httpx.TransportError:
            pass
        killer.join()
    address = ensure_running(root)
    assert all(fetch(address, data) == data for data in kept)
    blobs = list((root / "blobs" / "sha256").iterdir())
    assert all(path.name == hashlib.sha256(path.read_bytes()).hexdigest() for path in blobs)


def test_a_session_outlives_the_process(root: Path) -> None:
    data = random.Random(3).randbytes(3_000_000)
    first = ensure_running(root)
    location = httpx.post(f"{first.url}/v2/test/app/blobs/uploads/", trust_env=False).headers["location"]
    httpx.patch(f"{first.url}{location}", content=data[:2_000_000], trust_env=False)
    os.kill(first.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while running(root) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    second = ensure_running(root)
    answer = httpx.get(f"{second.url}{location}", trust_env=False)
    assert answer.headers["range"] == "0-1999999"
    url = f"{second.url}{location}?digest={sha(data)}"
    assert httpx.put(url, content=data[2_000_000:], trust_env=False).status_code == 201


@pytest.mark.parametrize(
    ("level", "option", "least", "most"),
    [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1, 1), (socket.SOL_SOCKET, socket.SO_SNDBUF, 1, 2 * SEND_BUFFER)],
    ids=["small answers do not wait for an acknowledgement", "the kernel keeps little of what is not taken"],
)
def test_what_is_accepted_has_the_options(level: int, option: int, least: int, most: int) -> None:
    """asyncio sets TCP_NODELAY only on sockets that name their protocol; without it each small blob takes 40 ms."""

    async def accepted() -> int:
        told = asyncio.get_running_loop().create_future()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told.set_result(writer.get_extra_info("socket").getsockopt(level, option))
            writer.close()

        listening = listen(LOOPBACK, 0)
        async with await asyncio.start_server(connected, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            writer.close()
            return int(await told)

    with ThreadPoolExecutor(1) as thread:  # in this one Playwright may have a loop running
        assert thread.submit(asyncio.run, accepted()).result() in range(least, most + 1)
