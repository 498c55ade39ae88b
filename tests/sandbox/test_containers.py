"""What a container needs: a process that outlives the call, others beside it, and its network from outside."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from dockersim.errors import SandboxError
from dockersim.sandbox import Exit, Inhabitant, ProcessSpec, ProgramNotFound, Running, Stdio

from .box import PATH, Box

SERVER = "echo hello > /tmp/index.html; exec httpd -f -h /tmp -p {address}:8000"
CONTAINER = ProcessSpec((), PATH, hostname="web", network="container", address="172.17.0.2/16", etc_hostname=True)


def start(box: Box, script: str, output: Path | None = None) -> Running:
    nothing = os.open(os.devnull, os.O_RDWR)
    sink = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND) if output else os.dup(nothing)
    try:
        process = replace(CONTAINER, argv=("/bin/sh", "-c", script))
        return box.sandbox.start(box.root, process, Stdio(nothing, sink, sink))
    finally:
        os.close(nothing)
        os.close(sink)


def enter(box: Box, inhabitant: Inhabitant, script: str, output: Path) -> Exit:
    nothing, sink = os.open(os.devnull, os.O_RDWR), os.open(output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    try:
        process = ProcessSpec(("/bin/sh", "-c", script), PATH)
        ended = box.sandbox.enter(box.root, inhabitant, process, Stdio(nothing, sink, sink)).wait(10)
    finally:
        os.close(nothing)
        os.close(sink)
    assert ended is not None
    return ended


def stop(running: Running) -> None:
    running.kill(signal.SIGKILL)
    ended = running.wait(10)
    assert ended is not None
    assert ended.code == 137


def fetch(box: Box, inhabitant: Inhabitant, address: str) -> bytes:
    dialer = box.sandbox.dial(inhabitant)
    try:
        deadline = time.monotonic() + 5
        while True:
            try:
                connection = dialer.connect(address, 8000)
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        with connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
            return answer
    finally:
        dialer.close()


def test_its_life(box: Box, place: Path) -> None:
    running = start(box, "echo begun; read x < /tmp/none; trap 'echo bye; exit 5' TERM; while :; do sleep 0.05; done",
                    place / "log")  # fmt: skip
    assert running.wait(0.5) is None
    running.kill(signal.SIGTERM)
    ended = running.wait(10)
    assert ended is not None
    assert ended.code == 5
    assert running.wait() == ended
    running.kill(signal.SIGTERM)
    assert (place / "log").read_text().splitlines()[-1] == "bye"
    assert box.written() == {"dev", "proc", "sys"}


def test_program_that_is_not_there(box: Box) -> None:
    process, nothing = replace(CONTAINER, argv=("nosuch",)), os.open(os.devnull, os.O_RDWR)
    with pytest.raises(ProgramNotFound) as caught:
        box.sandbox.start(box.root, process, Stdio(nothing, nothing, nothing))
    os.close(nothing)
    assert caught.value.exit_code == 127


def test_another_process_beside_it(box: Box, place: Path) -> None:
    running = start(box, "echo from-the-first > /tmp/note; sleep 1000")
    time.sleep(0.2)
    ended = enter(box, running.inhabitant, "cat /tmp/note; hostname; cat /etc/hostname; exit 3", place / "out")
    assert ended.code == 3
    words = (place / "out").read_text().split()
    assert words[0] == "from-the-first"
    if box.isolated:
        assert words[1:] == ["web", "web"]
    stop(running)
    with pytest.raises(SandboxError):
        enter(box, running.inhabitant, "true", place / "out")


def test_server_on_every_address_is_reached(isolated: Box) -> None:
    running = start(isolated, SERVER.format(address="0.0.0.0"))
    assert fetch(isolated, running.inhabitant, "172.17.0.2").endswith(b"hello\n")
    stop(running)


def test_server_on_its_loopback_is_not(isolated: Box) -> None:
    running = start(isolated, SERVER.format(address="127.0.0.1"))
    assert fetch(isolated, running.inhabitant, "127.0.0.1").endswith(b"hello\n")
    dialer = isolated.sandbox.dial(running.inhabitant)
    with pytest.raises(ConnectionRefusedError):
        dialer.connect("172.17.0.2", 8000)
    dialer.close()
    stop(running)


def test_two_of_them_have_the_same_port(isolated: Box) -> None:
    first, second = (start(isolated, SERVER.format(address="0.0.0.0")) for _ in range(2))
    assert fetch(isolated, first.inhabitant, "172.17.0.2")
    assert fetch(isolated, second.inhabitant, "172.17.0.2")
    stop(first)
    stop(second)


def test_terminal_of_its_own(box: Box) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    process = replace(CONTAINER, argv=("/bin/sh",), terminal=True)
    running = box.sandbox.start(box.root, process, Stdio(nothing, nothing, nothing))
    os.close(nothing)
    assert running.terminal is not None
    os.write(running.terminal, b"tty; test -t 0 && echo a''live && exit 9\n")
    seen = b""
    while b"alive" not in seen:
        seen += os.read(running.terminal, 4096)
    assert (b"/dev/pts/" in seen) == (box.name != "chroot")  # which cannot show it under its name
    ended = running.wait(10)
    os.close(running.terminal)
    assert ended is not None
    assert ended.code == 9
