"""Stay outside and watch: pass signals on, kill when the starter is gone, tidy up when the command has ended.

Outside is where the host's file system still is, so what was made for mounts can be taken away from the disk itself.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the module ``signal`` is this and an import of enum
import os
import select
import time

from . import kernel, wire
from .command import CannotExecute
from .rootfs import CannotPrepare, Stub, remove_stubs

TYPE_CHECKING = False  # not from typing: importing that takes longer than all else here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .ledger import Ledger

CONTROL, REPORT, SOCKET = 3, 4, 5
"""The runner's descriptors besides stdin, stdout and stderr: what to do; how it went; where descriptors are sent."""


def report(message: tuple[object, ...]) -> None:
    """Tell the starter. If it is gone there is nobody to tell, but still all to tidy up."""
    try:
        wire.send(REPORT, message)
    except BrokenPipeError:
        pass


def fork(child: Callable[[int], None]) -> tuple[int, int]:
    """Start ``child`` in a process of its own; return its pid and the pipe it reports on.

    ``child`` is given its end of that pipe, to say how setting up went, and then becomes the command.
    """
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
        wire.send(theirs, ("failed", error.strerror or str(error)))
    os._exit(125)


def watch(
    pid: int,
    setup: int,
    directory: str,
    *,
    generations: int = 0,
    strays: bool = False,
    tidy: Callable[[], None] = lambda: None,
    hear: Callable[[], Ledger | None] | None = None,
) -> None:
    """Wait for ``pid`` to end; report; see that nothing of it is left.

    ``directory`` is where the stubs lie on disk. ``pid`` is the command itself, the first of a pid namespace with
    which everything in it dies, or with ``strays`` one that may leave others behind; or it is a tracer, and the
    command is its child or a further descendant. ``tidy`` is done when all are dead.
    ``hear`` is asked for a ledger once the command runs.
    """
    alarm = _wake_on_child()
    _let_go_of_output()
    stubs, failure = _hear(setup)
    line = _first_born(pid, 0 if failure else generations)
    if generations and not failure and len(line) == 1:  # the command was quick, but not all that it left behind
        kill_descendants(spare=pid)
    report(failure or ("started", line[-1], wire.start_time(line[-1])))
    ledger = hear() if hear and not failure else None
    code = _wait(line, alarm, ledger)
    if generations or strays:
        kill_descendants()
    tidy()
    if stubs:
        remove_stubs(directory, stubs)
    report(("exited", code, ledger.rows() if ledger else [], ledger is not None and ledger.is_complete))


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


def _wait(line: list[int], alarm: int, ledger: Ledger | None) -> int:
    """Wait for the first of ``line``, doing meanwhile what the starter says to the last; return its exit code.

    Meanwhile ``ledger`` answers the calls that are heard.

    A tracer waits for all it traces, and Docker doesn't: once its child has ended, the rest is killed.
    """
    pid, command = line[0], line[-1]
    poll = select.poll()
    poll.register(alarm, select.POLLIN)
    poll.register(CONTROL, select.POLLIN)
    listener = ledger.listener if ledger else -1
    if ledger:
        poll.register(listener, select.POLLIN)
    end_of_child = -1
    killed = False
    if len(line) > 1:
        try:
            end_of_child = os.pidfd_open(line[1])
            poll.register(end_of_child, select.POLLIN)
        except ProcessLookupError:  # it was quick
            kill_descendants(spare=pid)
    while True:
        code = _reap(pid)
        if code is not None:
            # proot now and then tells of a child that we have killed as if it had ended well.
            return 128 + _signal.SIGKILL if killed and code == 0 and len(line) > 1 else code
        for descriptor, event in poll.poll():
            if descriptor == alarm:
                os.read(alarm, 512)
            elif ledger and descriptor == listener:
                if event & select.POLLIN:
                    ledger.serve()
                else:  # there is nobody left who could call
                    poll.unregister(listener)
            elif descriptor == end_of_child:
                poll.unregister(end_of_child)
                kill_descendants(spare=pid)
            else:
                orders = _obey(command)
                killed = killed or _signal.SIGKILL in orders
                if not orders:  # the starter is gone, or has had enough
                    poll.unregister(CONTROL)
                    os.kill(command, _signal.SIGKILL)


def _obey(command: int) -> bytes:
    """Send ``command`` the signals that the starter asks for, and return them; none if it will ask for no more."""
    orders = os.read(CONTROL, 512)
    for signal in orders:
        try:
            os.kill(command, signal)
        except ProcessLookupError:  # a tracer's child is not ours, it may be gone
            pass
    return orders


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


def kill_descendants(spare: int = 0) -> None:
    """Kill all that descends from this process but ``spare``, until there is no more.

    Looked at again before it is believed: a parent that dies while we look makes its children ours when we have read
    the list of ours already, and they stand in none.
    """
    found_none = False
    while True:
        left = [pid for pid in _descendants(os.getpid()) if pid != spare]
        for pid in left:
            try:
                os.kill(pid, _signal.SIGKILL)
            except ProcessLookupError:
                pass
        if not left and found_none:
            return
        found_none = not left
        if left:
            time.sleep(0.001)  # a traced process dies when its tracer has been told
        if not spare:
            _reap(0)


def _descendants(pid: int) -> list[int]:
    """List the children of ``pid``, theirs, and so on; zombies are not counted, they need no killing."""
    found = []
    for child in _children(pid):
        found += [*([child] if _state(child) != b"Z" else []), *_descendants(child)]
    return found


def _state(pid: int) -> bytes:
    """Tell the state of ``pid``, ``Z`` for a zombie; empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1]
    except OSError:
        return b""


def _children(pid: int) -> list[int]:
    """List the children of the single-threaded process ``pid`` (proc(5), CONFIG_PROC_CHILDREN)."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:  # it has ended
        return []


def _first_born(pid: int, generations: int) -> list[int]:
    """Follow the line of first children from ``pid`` down; it is shorter if one ends without a child."""
    line = [pid]
    while len(line) <= generations and _state(line[-1]) not in (b"", b"Z"):
        children = _children(line[-1])
        if children:
            line.append(children[0])
        elif len(_children(os.getpid())) > 1:  # it has had children: theirs are ours now
            break
        else:
            time.sleep(0.0005)
    return line
