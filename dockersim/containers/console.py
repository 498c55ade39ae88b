"""The learner's side of a container that runs in the foreground: its output streams here, input goes there."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import Struct

from dockersim.sandbox.contract import OutputSink, Stream

_PIECE: Final = 65536
_LOOK_AT_SIZE: Final = 250  # milliseconds between looks at the size of the learner's terminal
_PATIENCE: Final = 3
"""So many Ctrl-C until we let go of a container that does not heed them, as docker does."""


class Console(Struct, frozen=True):
    """Where output goes, and the descriptor that input comes from, if any.

    With a terminal on both ends, keys are passed on as they are typed, and its size is kept the same.
    """

    output: OutputSink
    stdin: int | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether somebody sits at it."""
        return self.stdin is not None and os.isatty(self.stdin)

    def size(self) -> tuple[int, int] | None:
        """Rows and columns, if it is a terminal."""
        if self.stdin is None or not self.is_terminal:
            return None
        columns, rows = os.get_terminal_size(self.stdin)
        return rows, columns


class Conversation(Struct):
    """One attachment.

    ``outputs`` are read; ``target`` takes the input, and is closed with ``close_target`` at its end; ``over`` becomes
    readable when the process has ended. ``terminal`` says that the target is the process's terminal, which stays open.
    ``interrupt`` is called at Ctrl-C.
    """

    console: Console
    outputs: dict[int, Stream]
    target: int | None
    over: int
    interrupt: Callable[[], None]
    close_target: Callable[[int], None]
    terminal: bool = False

    def hold(self) -> None:
        """Pass everything on until the process has ended. Raises KeyboardInterrupt at the third Ctrl-C."""
        interrupts = 0
        with _raw(self.console) if self.terminal else _as_it_is():
            while True:
                try:
                    self._pass_on()
                    return
                except KeyboardInterrupt:
                    interrupts += 1
                    if interrupts == _PATIENCE:
                        raise
                    self.interrupt()

    def _pass_on(self) -> None:
        pending = b""
        fed = self.console.stdin is not None and self.target is not None
        size: tuple[int, int] | None = None
        while True:
            if self.terminal:
                size = self._follow_size(size)
            ready = self._wait(reading=fed and not pending, writing=bool(pending))
            for descriptor in ready & self.outputs.keys():
                self._read(descriptor)
            if self.over in ready:
                self._drain()
                return
            if fed and self.console.stdin in ready and not pending:
                pending, fed = self._input()
            if pending and self.target in ready:
                pending = self._feed(pending)

    def _wait(self, *, reading: bool, writing: bool) -> set[int]:
        poll = select.poll()
        for descriptor in (*self.outputs, self.over):
            poll.register(descriptor, select.POLLIN)
        if reading and self.console.stdin is not None:
            poll.register(self.console.stdin, select.POLLIN)
        if writing and self.target is not None:
            mask = select.POLLOUT | (select.POLLIN if self.target in self.outputs else 0)
            poll.register(self.target, mask)
        return {descriptor for descriptor, _ in poll.poll(_LOOK_AT_SIZE if self.terminal else None)}

    def _read(self, descriptor: int) -> bool:
        try:
            piece = os.read(descriptor, _PIECE)
        except OSError:  # a terminal whose last user is gone gives EIO
            piece = b""
        if piece:
            self.console.output(self.outputs[descriptor], piece)
        else:
            del self.outputs[descriptor]
        return bool(piece)

    def _drain(self) -> None:
        """Read what is there still; what is left behind may hold the streams open for ever."""
        while self.outputs:
            poll = select.poll()
            for descriptor in self.outputs:
                poll.register(descriptor, select.POLLIN)
            ready = poll.poll(0)
            if not ready:
                return
            for descriptor, _ in ready:
                self._read(descriptor)

    def _input(self) -> tuple[bytes, bool]:
        """Read what the learner typed; at its end close the target, but not a terminal."""
        assert self.console.stdin is not None and self.target is not None
        piece = os.read(self.console.stdin, _PIECE)
        if not piece and not self.terminal:
            self.close_target(self.target)
            self.target = None
        return piece, bool(piece)

    def _feed(self, data: bytes) -> bytes:
        """Write what fits; return the rest. Who reads no more has had enough."""
        assert self.target is not None
        try:
            return data[os.write(self.target, data[:4096]) :]
        except OSError:
            return b""

    def _follow_size(self, known: tuple[int, int] | None) -> tuple[int, int] | None:
        size = self.console.size()
        if size is not None and size != known and self.target is not None:
            resize(self.target, size)
        return size


def resize(terminal: int, size: tuple[int, int]) -> None:
    """Give a terminal rows and columns."""
    import termios

    termios.tcsetwinsize(terminal, size)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _raw(console: Console) -> Iterator[None]:
    """Pass keys on as they are typed, Ctrl-C included, for the length of a block."""
    if console.stdin is None or not console.is_terminal:
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(console.stdin)
    try:
        tty.setraw(console.stdin, termios.TCSADRAIN)  # not FLUSH: what was typed ahead is for the container
        yield
    finally:
        termios.tcsetattr(console.stdin, termios.TCSADRAIN, before)
