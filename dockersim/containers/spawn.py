"""Start a shim and hear from it: the side of the command that starts a container."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from dockersim.containers.life import Folder
from dockersim.errors import ContainerError, SandboxError
from dockersim.sandbox.contract import Stdio

_MODULES: Final = [str(Path(__file__).parents[2]), str(Path(msgspec.__file__).parents[1])]
_PROGRAM: Final = f"import sys; sys.path += {_MODULES!r}; from dockersim.containers.shim import main; main()"
# -I and -S: nothing of the learner's directory or of PYTHON* variables gets in, and it starts in a few milliseconds.
# So it has to be told where dockersim is, and the one package that it needs.
_ARGUMENTS: Final = ("-I", "-S", "-c", _PROGRAM)
_FIRST_FREE: Final = 10  # above the numbers that the shim wants, so that no dup2 lands on a descriptor still needed

_RUNC: Final = "failed to create shim task: OCI runtime create failed: runc create failed"


class StartFailed(ContainerError):
    """A container could not be started; ``exit_code`` is what `docker run` ends with then: 125, 126 or 127."""

    def __init__(self, message: str, exit_code: int = 125) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class CommandFailed(StartFailed):
    """The program of a command is missing (127) or cannot be executed (126)."""


class Shim(msgspec.Struct):
    """A shim that has started its container, seen from outside."""

    channel: socket.socket
    terminal: int | None = None

    def exit_code(self) -> int:
        """Wait for the container's end and return its exit code. Not repeatable."""
        message, _ = _receive(self.channel)
        if message is None:
            raise ContainerError("the process that watched over the container was killed, and the container with it")
        return int(message["exited"])

    def close(self) -> None:
        """Listen no more; the container goes on. Repeatable."""
        self.channel.close()
        if self.terminal is not None:
            os.close(self.terminal)
            self.terminal = None


def spawn(folder: Folder, stdio: Stdio) -> Shim:
    """Start the shim that does what the folder's request says, and wait until the container runs.

    ``stdio`` is passed on to the container as far as the request says so. Raises StartFailed.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        _launch(folder, theirs.fileno(), stdio)
    message, terminal = _receive(ours)
    if message is not None and "started" in message:
        return Shim(ours, terminal)
    ours.close()
    raise _failure(folder, message)


def _launch(folder: Folder, report: int, stdio: Stdio) -> None:
    import fcntl  # not on Windows, where there are no containers, but lists of them

    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    words = os.open(folder.at("shim.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    wanted = (nothing, words, words, report, stdio.stdin, stdio.stdout, stdio.stderr)
    copies = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE) for descriptor in wanted]
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, *_ARGUMENTS, folder.path],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, copy, number) for number, copy in enumerate(copies)],
            setsid=True,  # a Ctrl-C at the terminal, and its closing, are not for the shim
            setsigmask=[],
            setsigdef=[number for number in range(1, 32) if number not in (9, 19)],
        )
    except OSError as error:
        raise SandboxError(f"Python cannot start itself ({sys.executable}): {error.strerror}") from error
    finally:
        for descriptor in (*copies, nothing, words):
            os.close(descriptor)
    os.waitpid(pid, 0)


def _receive(channel: socket.socket) -> tuple[dict[str, Any] | None, int | None]:
    """Receive one message and the descriptor that came with it; None if the shim is gone."""
    data, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 1)
    return (json.loads(data) if data else None), (descriptors[0] if descriptors else None)


def _failure(folder: Folder, message: dict[str, Any] | None) -> StartFailed:
    if message is None:
        words = folder.read("shim.log").strip().rpartition("\n")[2]
        return StartFailed(f"the container's shim ended before the container ran{': ' if words else ''}{words}")
    text = message["message"]
    if message["failed"] == "program":
        why = f"failed to create task for container: {_RUNC}: unable to start container process: {text}: unknown"
        return CommandFailed(why, message["code"])
    if message["failed"] == "port":
        return StartFailed(f"failed to set up container networking: {text}")
    return StartFailed(text)
