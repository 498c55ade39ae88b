"""Attached containers: input, terminals, Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from dockersim.containers import ExecOptions, Options

from .conftest import World

PROJECT = Path(__file__).parents[2]


def pipe_with(data: bytes) -> int:
    reader, writer = os.pipe()

    def write() -> None:
        with open(writer, "wb") as file:
            file.write(data)

    threading.Thread(target=write).start()
    return reader


def test_input(world: World) -> None:
    data = b"line\n" * 50000  # more than any pipe holds
    reader = pipe_with(data)
    code = world.containers.run_attached(Options("busybox", ("cat",), interactive=True), world.console(reader))
    os.close(reader)
    assert code == 0
    assert world.stdout == data


def test_input_that_nobody_reads(world: World) -> None:
    reader = pipe_with(b"x" * 1000)
    assert world.containers.run_attached(Options("busybox", ("true",), interactive=True), world.console(reader)) == 0
    os.close(reader)


def test_without_i_there_is_no_input(best: World) -> None:
    reader = pipe_with(b"secret\n")
    assert best.containers.run_attached(Options("busybox", ("cat",)), best.console(reader)) == 0
    os.close(reader)
    assert best.stdout == b""


def test_input_stays_open_in_the_background(world: World) -> None:
    name = world.containers.run(Options("busybox", ("cat",), interactive=True)).id
    assert world.containers.wait(name, 0.3) is None


def test_exec_with_input(world: World) -> None:
    name = world.start("sleep 1000")
    reader = pipe_with(b"to exec\n")
    assert world.containers.exec(name, ExecOptions(("cat",), interactive=True), world.console(reader)) == 0
    os.close(reader)
    assert world.stdout == b"to exec\n"


def test_exec_leaves_something_behind(best: World) -> None:
    """It ends when its own process does, whatever still holds its output."""
    name = best.start("sleep 1000")
    begun = time.monotonic()
    assert best.exec(name, "sleep 100 & echo done") == 0
    assert best.stdout == b"done\n"
    assert time.monotonic() - begun < 10


def test_terminal(world: World) -> None:
    """Typed keys arrive, the container sees a terminal of the learner's size, and the learner's is put back."""
    controller, terminal = pty.openpty()
    import termios

    termios.tcsetwinsize(terminal, (33, 99))
    before = termios.tcgetattr(terminal)
    script = "test -t 0 && test -t 1 && read word && stty size && echo got:$word; exit 4"
    asked = Options("busybox", ("sh", "-c", script), interactive=True, terminal=True)
    os.write(controller, b"hello\r")  # typed ahead: it must not be lost
    assert world.containers.run_attached(asked, world.console(terminal)) == 4
    assert b"33 99\r\ngot:hello\r\n" in world.stdout
    assert termios.tcgetattr(terminal)[3] == before[3]
    assert "got:hello" in world.logged(world.containers.list(all=True)[0].id)
    os.close(controller)
    os.close(terminal)


def test_exec_with_a_terminal(world: World) -> None:
    name = world.start("sleep 1000")
    options = ExecOptions(("sh", "-c", "tty && test -t 1; exit 5"), terminal=True)
    assert world.containers.exec(name, options, world.console()) == 5
    assert b"/dev/pts/" in world.stdout


def attached(world: World, script: str) -> subprocess.Popen[str]:
    program = (
        "import sys\nfrom dockersim import Engine\nfrom dockersim.containers import *\n"
        f"engine = Engine({str(world.engine.root)!r}, sandbox={world.rung!r}, environment={{}})\n"
        "def output(stream, data): sys.stdout.write(data.decode()); sys.stdout.flush()\n"
        f"options = Options('busybox', ('sh', '-c', {script!r}))\n"
        "sys.exit(engine.containers.run_attached(options, Console(output)))"
    )
    env = {**os.environ, "PYTHONPATH": f"{PROJECT}:{os.environ.get('PYTHONPATH', '')}"}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env=env, start_new_session=True)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_ctrl_c_is_the_containers(world: World) -> None:
    process = attached(world, "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.02; done")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (9, "interrupted\n"), err


def test_three_ctrl_c_let_go_of_a_stubborn_one(best: World) -> None:
    process = attached(best, "trap 'echo no' INT; echo ready; while :; do sleep 0.02; done")
    assert process.stdout is not None
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "no\n"
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode != 0
    assert len(best.containers.list()) == 1
