"""Wire the terminal of a process in a sandbox to the terminal that a person sits at."""

from __future__ import annotations

import fcntl
import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from dockersim.sandbox.contract import Exit, Running

_PIECE = 4096


def attach(running: Running, keyboard: int, screen: int) -> Exit:
    """Pass keys and output between ``running``'s terminal and the person's until the process ends.

    Ctrl-C goes to the process, as every key does. Closes ``running.terminal``. The size is the person's, now and
    whenever it changes while something is typed or written.
    """
    master = running.terminal
    assert master is not None, "the process was not started with a terminal"
    try:
        with _every_key(keyboard):
            _relay(running, master, keyboard, screen)
        ended = running.wait()
    finally:
        os.close(master)
    assert ended is not None
    return ended


def _relay(running: Running, master: int, keyboard: int, screen: int) -> None:
    poll = select.poll()
    for descriptor in (master, keyboard):
        poll.register(descriptor, select.POLLIN)
    while True:
        _copy_size(screen, master)
        for descriptor, _ in poll.poll():
            piece = _read(descriptor)
            if descriptor == master:
                if not piece:
                    return
                os.write(screen, piece)
            elif piece:
                os.write(master, piece)
            else:  # no more keys will come: the end of input, as Ctrl-D
                poll.unregister(keyboard)
                os.write(master, b"\x04")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _PIECE)
    except OSError:  # EIO: nobody has the terminal open any more
        return b""


@contextmanager
def _every_key(keyboard: int) -> Iterator[None]:
    """Have every key as it is pressed, Ctrl-C too; give the person's terminal back as it was."""
    if not os.isatty(keyboard):
        yield
        return
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard, termios.TCSADRAIN)  # not the default, which throws away what was typed ahead
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _copy_size(screen: int, master: int) -> None:
    if os.isatty(screen):
        size = fcntl.ioctl(screen, termios.TIOCGWINSZ, bytes(8))
        if size != fcntl.ioctl(master, termios.TIOCGWINSZ, bytes(8)):
            fcntl.ioctl(master, termios.TIOCSWINSZ, size)
