"""Stay outside and watch: pass signals on, kill when the starter is gone, tidy up when the command has ended.

Outside is where the host's file system still is, so what was made for mounts can be taken away from the disk itself.
"""

from __future__ import annotations

import _signal  # the module ``signal`` is this one and an import of ``enum``
import os
import select
from collections.abc import Callable
from typing import Any

from . import kernel, wire
from .command import CannotExecute
from .rootfs import CannotPrepare, Stub, remove_stubs

CONTROL, REPORT, SOCKET = 3, 4, 5
"""The runner's descriptors besides stdin, stdout and stderr: what to do; how it went; where descriptors are sent."""

Child = Callable[[int], None]
"""Becomes the command; is given the pipe on which it tells its supervisor how setting up went."""


def fork(child: Child) -> tuple[int, int]:
    """Start ``child`` in a process of its own; return its pid and the pipe it reports on."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid:
        os.close(theirs)
        return pid, ours
    try:
        os.close(ours)
        child(theirs)
    except CannotExecute as error:
        wire.send(theirs, ("cannot execute", *error.args))
    except CannotPrepare as error:
        wire.send(theirs, ("failed", error.args[0]))
    except OSError as error:
        wire.send(theirs, ("failed", str(error)))
    os._exit(125)


def watch(pid: int, setup: int, directory: str, *, alone: bool) -> None:
    """Wait for ``pid``, the command, to end; report; see that nothing of it is left.

    ``directory`` is where the stubs lie on disk. ``alone``: no pid namespace, what it leaves must be killed.
    """
    alarm = _wake_on_child()
    _let_go_of_output()
    stubs, failure = _hear(setup)
    wire.send(REPORT, failure or ("started", pid, start_time(pid)))
    code = _wait(pid, alarm)
    if alone:
        _kill_the_left()
    if stubs:
        remove_stubs(directory, stubs)
    wire.send(REPORT, ("exited", code))


def start_time(pid: int) -> int:
    """Tell when ``pid`` was started, in clock ticks since boot (proc(5), field 22 of stat)."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def _wake_on_child() -> int:
    """Have a byte written to a pipe whenever a child ends, so that one poll can wait for that too."""
    alarm, bell = os.pipe()
    os.set_blocking(bell, False)
    os.set_blocking(alarm, False)
    _signal.signal(_signal.SIGCHLD, lambda *_: None)
    _signal.set_wakeup_fd(bell)
    return alarm


def _let_go_of_output() -> None:
    """Close our copies of the command's pipes, or their reader would not see them end."""
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2, SOCKET):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _hear(setup: int) -> tuple[list[Stub], Any]:
    """Read what the child says until its pipe closes, which it does when it becomes the command."""
    stubs: list[Stub] = []
    failure = None
    while (message := wire.receive(setup)) is not None:
        if message[0] == "stubs":
            stubs = [Stub(path, is_directory=kind, keep=keep) for path, kind, keep in message[1]]
        else:
            failure = message
    os.close(setup)
    return stubs, failure


def _wait(pid: int, alarm: int) -> int:
    """Wait for ``pid``, doing meanwhile what the starter says; return its exit code."""
    poll = select.poll()
    poll.register(alarm, select.POLLIN)
    poll.register(CONTROL, select.POLLIN)
    while True:
        code = _reap(pid)
        if code is not None:
            return code
        for descriptor, _ in poll.poll():
            if descriptor == alarm:
                os.read(alarm, 512)
                continue
            orders = os.read(CONTROL, 512)
            if not orders:  # the starter is gone, or has had enough
                poll.unregister(CONTROL)
                orders = bytes([_signal.SIGKILL])
            for signal in orders:
                os.kill(pid, signal)


def _reap(pid: int) -> int | None:
    """Collect the children that have ended; the exit code of ``pid`` if it is among them."""
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if ended == 0:
            return None
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def adopt_orphans() -> None:
    """Become the parent of what the command will leave behind, so that it can be found."""
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)


def _kill_the_left() -> None:
    """Kill all that is left of the command, round by round: killing a parent gives us its children."""
    while True:
        with open("/proc/thread-self/children", encoding="ascii") as file:
            left = [int(word) for word in file.read().split()]
        if not left:
            return
        for pid in left:
            os.kill(pid, _signal.SIGKILL)
        for pid in left:
            os.waitpid(pid, 0)
