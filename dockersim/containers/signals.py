"""Signals to containers, by the names that people give them, and to the right process only."""

from __future__ import annotations

import os
import select
import signal

from dockersim.containers.record import State
from dockersim.errors import ContainerError
from dockersim.sandbox.inside.wire import start_time


def signal_number(text: str) -> int:
    """Read ``SIGTERM``, ``term`` or ``15``; raise ContainerError for what is none.

    >>> signal_number("SIGKILL"), signal_number("int"), signal_number("15")
    (9, 2, 15)
    """
    name = text.upper()
    if name.isdigit() and 0 < int(name) <= 64:
        return int(name)
    try:
        return int(signal.Signals[name if name.startswith("SIG") else f"SIG{name}"])
    except KeyError:
        raise ContainerError(f"invalid signal: {text}") from None


def send(state: State, number: int) -> None:
    """Send the container's first process a signal; nothing happens if it has ended."""
    try:
        process = os.pidfd_open(state.pid)
    except ProcessLookupError:
        return
    try:
        # A pid may belong to somebody else by now; the descriptor pins the process, its start time tells who it is.
        if start_time(state.pid) == state.pid_started:
            signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(process)


def wait_for_process(pid: int, started: int, timeout: float | None) -> bool:
    """Wait until the process has ended, at most ``timeout`` seconds; say whether it has."""
    try:
        process = os.pidfd_open(pid)
    except OSError:  # it has ended, or was never started
        return True
    try:
        if start_time(pid) != started:
            return True
        poll = select.poll()
        poll.register(process, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))
    finally:
        os.close(process)
