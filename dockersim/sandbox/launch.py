"""Start the runner (``inside/``) and speak with it: the outer end of the pipes.

The runner is a program of its own and not a fork, because who calls us may be a Jupyter kernel, which has threads and
must neither be forked nor moved into namespaces.
"""

from __future__ import annotations

import _thread
import fcntl
import os
import select
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dockersim.errors import SandboxError
from dockersim.sandbox.contract import Exit, Inhabitant, ProgramNotFound, Recorded, Stdio
from dockersim.sandbox.inside import wire

_HOME = str(Path(__file__).parent)
_PROGRAM = f"import sys; sys.path.append({_HOME!r}); from inside.main import main; main()"
# -I and -S: no site-packages, no PYTHON* variables, nothing of the learner's can get in, and it starts in 8 ms.
_ARGUMENTS = ("-I", "-S", "-c", _PROGRAM)
_FIRST_FREE = 10  # above the numbers that the runner wants, so that no dup2 lands on a descriptor still needed


class Launched:
    """A runner that was started. Closing the control pipe, or dying, kills what it runs."""

    def __init__(self, pid: int, control: int, report: int) -> None:
        self._pid = pid
        self._control = control
        self._report = report
        self._lock = _thread.allocate_lock()  # kill may come from another thread while wait closes
        self._begun = time.monotonic()
        self._exit: Exit | None = None
        self.inhabitant = Inhabitant(0, 0)
        self.terminal: int | None = None

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the process has ended."""
        return self._report

    def hear_start(self) -> None:
        """Wait until the command runs. Raises SandboxError or ProgramNotFound if it never will."""
        message = wire.receive(self._report)
        if message is not None and message[0] == "started":
            self.inhabitant = Inhabitant(message[1], message[2])
            return
        self.close()
        if message is None:
            raise SandboxError("the process that was to run the command ended without a word")
        if message[0] == "cannot execute":
            raise ProgramNotFound(message[1], message[2])
        raise SandboxError(f"the command cannot be started: {message[1]}")

    def wait(self, timeout: float | None = None) -> Exit | None:
        """Wait for the end of the command and of all that it left behind."""
        if self._exit is None and _readable(self._report, timeout):
            message = wire.receive(self._report)
            seconds = time.monotonic() - self._begun
            self.close()
            if message is None or message[0] != "exited":
                why = message[1] if message else "it was killed"
                raise SandboxError(f"the process that watched the command failed: {why}")
            _, code, rows, is_complete = message
            self._exit = Exit(code, seconds, {row[0]: _recorded(*row[1:]) for row in rows}, is_complete)
        return self._exit

    def kill(self, signal: int) -> None:
        """Send the command ``signal``."""
        with self._lock:
            if self._control < 0:
                return
            try:
                os.write(self._control, bytes([signal]))
            except BrokenPipeError:  # it has ended just now
                pass

    def close(self) -> None:
        """Kill what still runs and wait for it to be gone. Repeatable."""
        with self._lock:
            control, self._control = self._control, -1
        if control < 0:
            return
        os.close(control)
        _collect(self._pid)
        os.close(self._report)
        self._report = -1


def launch(spec: Mapping[str, Any], stdio: Stdio, channel: int | None = None) -> Launched:
    """Start a runner and hand it ``spec``; ``channel`` is a Unix socket over which it may send descriptors."""
    control_theirs, control = os.pipe()
    report, report_theirs = os.pipe()
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    wanted = [stdio.stdin, stdio.stdout, stdio.stderr, control_theirs, report_theirs]
    wanted.append(nothing if channel is None else channel)
    copies = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE) for descriptor in wanted]
    try:
        launched = Launched(_spawn(copies), control, report)
    finally:
        for descriptor in (*copies, control_theirs, report_theirs, nothing):
            os.close(descriptor)
    try:
        wire.send(control, spec)
    except BrokenPipeError:  # it died at once; hear_start will say so
        pass
    return launched


def _spawn(descriptors: list[int]) -> int:
    """Start the runner with ``descriptors`` as its 0, 1, 2, ... and in a process group of its own.

    The group keeps a Ctrl-C at the terminal away from it: we get that, and tell the runner.
    """
    actions = [(os.POSIX_SPAWN_DUP2, source, number) for number, source in enumerate(descriptors)]
    every_signal = [*range(1, 32)]
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, *_ARGUMENTS],
            os.environ,
            file_actions=actions,
            setpgroup=0,
            setsigmask=[],
            setsigdef=[number for number in every_signal if number not in (9, 19)],
        )
    except OSError as error:
        raise SandboxError(f"Python cannot start itself ({sys.executable}): {error.strerror}") from error


def _recorded(handle: bytes, uid: int, gid: int, kind: int, device: int, copied: bool) -> Recorded:
    """Read a row of the ledger that the runner kept (``inside/ledger.py``)."""
    node = (kind, os.major(device), os.minor(device)) if kind else None
    return Recorded(handle, None if uid < 0 else uid, None if gid < 0 else gid, node, copied)


def _readable(descriptor: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))


def _collect(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:  # somebody who waits for any child got it first
        pass
