"""``run``, ``ps``, ``logs``, ``stop``, ``rm`` and ``exec``, with real containers."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Run, start

IMAGE = "dockersim/starter:shell"


@pytest.fixture
def sleeper(shell: Run) -> Iterator[str]:
    """The name of a container that runs until it is stopped."""
    result = shell("run", "-d", "--name", "sleeper", IMAGE, "sh", "-c", "echo ready; exec sleep 1000")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.strip()) == 64
    yield "sleeper"
    shell("rm", "-f", "sleeper")


@pytest.mark.parametrize(
    "words,code,out",
    [
        ([IMAGE, "echo", "-n", "hi"], 0, "hi"),
        (["--entrypoint", "echo", IMAGE, "--rm", "-p"], 0, "--rm -p\n"),
        ([IMAGE, "sh", "-c", "exit 42"], 42, ""),
        (["-e", "A=1", "-e", "B", IMAGE, "sh", "-c", "echo $A $B"], 0, "1\n"),
        (["-w", "/tmp", IMAGE, "pwd"], 0, "/tmp\n"),
        (["--hostname", "box", IMAGE, "cat", "/etc/hostname"], 0, "box\n"),
    ],
    ids=["output", "entrypoint", "exit code", "environment", "directory", "host name"],
)
def test_a_command_in_the_foreground(shell: Run, words: list[str], code: int, out: str) -> None:
    result = shell("run", "--rm", *words)
    assert (result.exit_code, result.stdout) == (code, out), result.output


@pytest.mark.parametrize(
    "words,code,said",
    [
        ([IMAGE, "nosuchprogram"], 127, "executable file not found in $PATH"),
        ([IMAGE, "/etc"], 126, "is a directory"),
        (["nosuch/image"], 125, "Unable to find image 'nosuch/image:latest' locally"),
        (["-p", "bad", IMAGE, "true"], 125, "invalid containerPort: bad"),
        (["-it", IMAGE, "true"], 1, "the input device is not a TTY"),
        (["--nope", IMAGE], 125, "unknown flag: --nope"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_run_ends_with_dockers_code(shell: Run, words: list[str], code: int, said: str) -> None:
    result = shell("run", "--rm", *words)
    assert result.exit_code == code, result.output
    assert said in result.stderr and "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_told_in_one_line(shell: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = shell("run", "-d", "-p", f"{port}:80", IMAGE, "sleep", "100")
    assert result.exit_code == 125
    assert str(port) in result.stderr and result.stderr.count("\n") == 1
    assert shell("ps", "-aq").stdout == ""


def test_a_container_outlives_its_command_and_is_looked_after(shell: Run, sleeper: str) -> None:
    header, row = shell("ps").stdout.splitlines()
    assert header.split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert IMAGE in row and row.endswith(" sleeper") and " Up " in row
    until = time.monotonic() + 10
    while not (said := shell("logs", sleeper).stdout) and time.monotonic() < until:
        time.sleep(0.05)  # it was started a moment ago
    assert said == "ready\n"
    assert shell("exec", sleeper, "sh", "-c", "echo in; exit 5").exit_code == 5
    assert shell("exec", sleeper, "nosuchprogram").exit_code == 127
    refused = shell("rm", sleeper)
    assert refused.exit_code == 1 and "stop the container before removing or force remove" in refused.stderr
    assert "image is being used by running container" in shell("rmi", "-f", IMAGE).stderr
    assert '"Name": "/sleeper"' in shell("inspect", sleeper).stdout
    assert shell("stop", "-t", "0.2", sleeper).stdout == "sleeper\n"
    assert shell("ps", "-q").stdout == ""
    assert "Exited (137)" in shell("ps", "-a").stdout
    assert shell("ps", "--filter", "status=exited", "--format", "{{.Names}}|{{.State}}").stdout == "sleeper|exited\n"
    assert shell("rm", sleeper).stdout == "sleeper\n"
    assert shell("ps", "-aq").stdout == ""


def test_what_is_not_there_is_told_for_each_name(shell: Run, sleeper: str) -> None:
    result = shell("stop", "-t", "0", "nosuch", sleeper)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "sleeper\n", "No such container: nosuch\n")
    assert shell("logs", "nosuch").exit_code == 1
    assert shell("rm", "-f", "nosuch").exit_code == 0


def test_stdin_reaches_the_command(shell_root: Path) -> None:
    process = start(shell_root, "run", "-i", "--rm", IMAGE, "cat", stdin=subprocess.PIPE)
    assert process.communicate("typed\n", timeout=30)[0] == "typed\n"
