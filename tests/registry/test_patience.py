"""Clients that are slow on purpose or not: they are cut off in the end, and until then nobody else waits for them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from plain import Client, Image, sha
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from dockersim.registry import Address, FileLog
from dockersim.registry.server.patience import Patience
from dockersim.registry.server.service import make_app
from tests.registry.servers import serving

SHORT = Patience(head=0.3, body=0.3, taking=0.3)
HEAD = b"POST /v2/test/app/blobs/uploads/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
def hasty(root: Path) -> Iterator[Address]:
    """A registry that waits for nobody."""
    with serving(make_app(root), SHORT) as address:
        yield address


def connect(server: Address) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=30)


def is_cut_off(connection: socket.socket) -> bool:
    """Wait until the server closes; the socket's own timeout would raise."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def started(server: Address) -> str:
    return str(httpx.post(f"{server.url}/v2/test/app/blobs/uploads/", trust_env=False).headers["location"])


# Cut off


@pytest.mark.parametrize(
    "sent", [b"", b"GET", HEAD, HEAD + b"X: y"], ids=["nothing", "a word", "no end", "half a line"]
)
def test_a_head_that_does_not_end_is_cut_off(hasty: Address, sent: bytes) -> None:
    with connect(hasty) as connection:
        connection.sendall(sent)
        assert is_cut_off(connection)


def test_a_head_that_drips_is_cut_off_too(hasty: Address) -> None:
    with connect(hasty) as connection:
        over = threading.Event()

        def drip() -> None:
            try:
                connection.sendall(HEAD)
                while not over.wait(0.05):
                    connection.sendall(b"X: y\r\n")
            except OSError:
                return

        thread = threading.Thread(target=drip)
        thread.start()
        assert is_cut_off(connection)
        over.set()
        thread.join()


def test_a_body_that_stops_is_cut_off_and_can_be_resumed(hasty: Address) -> None:
    location = started(hasty)
    with connect(hasty) as connection:
        head = f"PATCH {location} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n"
        connection.sendall(head.encode() + b"12345")
        assert is_cut_off(connection)
    with httpx.Client(base_url=hasty.url, trust_env=False) as http:
        assert http.get(location).headers["range"] == "0-4"
        answer = http.put(location, params={"digest": sha(b"1234567890")}, content=b"67890")
        assert answer.status_code == 201


def test_a_second_request_on_a_connection_is_watched_as_the_first(hasty: Address) -> None:
    with connect(hasty) as connection:
        connection.sendall(b"GET /v2/_catalog HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /v2/_cat")
        assert is_cut_off(connection)


def test_a_reader_that_does_not_read_is_cut_off(root: Path) -> None:
    image = Image.of(bytes(40_000_000))
    log = root / "wire.jsonl"
    # Only readers find it hasty: on a busy machine a request may take longer to come than a reader is waited for.
    with serving(make_app(root), Patience(taking=SHORT.taking)) as server, socket.socket() as connection:
        with Client(server.url, "test/app") as client:
            client.push(image, "v1")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((server.host, server.port))
        connection.settimeout(30)
        path = f"/v2/test/app/blobs/{sha(image.blobs[1])}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        # The log has a line of the request when the server is done with it; nothing is read until then.
        wait_for(lambda: ("GET", path) in {(event.method, event.path) for event in FileLog(log).events()})
        assert is_cut_off(connection)


# Not cut off


def test_who_waits_for_the_server_is_not_cut_off(root: Path) -> None:
    async def at_leisure(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(4 * SHORT.head)
        await PlainTextResponse("done")(scope, receive, send)

    with serving(at_leisure, SHORT) as server:
        for method in ("GET", "POST"):
            assert httpx.request(method, server.url, trust_env=False, timeout=30).text == "done"
        with connect(server) as connection:  # whose body comes only when the server asks for it
            connection.sendall(HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_others_are_served_beside_300_slow_clients(server: Address) -> None:
    image = Image.of(bytes(5_000_000))
    with Client(server.url, "test/app") as client, ExitStack() as stack:
        client.push(image, "v1")
        unread = f"GET /v2/test/app/blobs/{sha(image.blobs[1])} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        for _ in range(100):
            for begun in (HEAD, HEAD + b"Content-Length: 9\r\n\r\n1234", unread):
                stack.enter_context(connect(server)).sendall(begun)
        another = Image.of(b"layer")
        client.push(another, "v2")
        assert (client.pull("v1"), client.pull("v2")) == (image.digest, another.digest)


def test_more_than_it_has_room_for_are_told_to_come_again(root: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    with serving(make_app(root), most=20) as server:
        with ExitStack() as stack:
            idle = [stack.enter_context(connect(server)) for _ in range(25)]
            answers = [connection.recv(65536) for connection in idle[20:]]
            assert all(answer.startswith(b"HTTP/1.1 503") and b"TOOMANYREQUESTS" in answer for answer in answers)
            idle[0].sendall(b"GET /v2/_catalog HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert idle[0].recv(65536).startswith(b"HTTP/1.1 200"), "who is there already is served"
        image = Image.of(b"layer")
        wait_for(lambda: httpx.get(f"{server.url}/v2/", trust_env=False).status_code == 401)
        with Client(server.url, "test/app") as client:
            client.push(image, "v1")
            assert client.pull("v1") == image.digest
    assert len(os.listdir("/dev/fd")) <= before + 1


def test_a_registry_takes_the_open_files_it_may_have(root: Path) -> None:
    program = """if True:
        import os, resource, sys
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, min(hard, 1024)))
        from dockersim.registry.server.patience import most_connections
        print(most_connections(), *resource.getrlimit(resource.RLIMIT_NOFILE))
    """
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == [str((1024 - 128) // 2), "1024", "1024"]


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)
