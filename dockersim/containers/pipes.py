"""The pipes between a process and who is attached to it."""

from __future__ import annotations

import os
from types import TracebackType

from dockersim.sandbox.contract import Stdio, Stream


class Pipes:
    """Pipes for a process's output, and if ``feeds`` for its input; a context manager that closes them all."""

    def __init__(self, *, feeds: bool) -> None:
        self._open: set[int] = set()
        out, theirs_out = self._pipe()
        err, theirs_err = self._pipe()
        self.target: int | None = None
        if feeds:
            theirs_in, self.target = self._pipe()
            os.set_blocking(self.target, False)
        else:
            theirs_in = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            self._open.add(theirs_in)
        self.theirs = Stdio(theirs_in, theirs_out, theirs_err)
        self.outputs: dict[int, Stream] = {out: "stdout", err: "stderr"}

    def hand_over(self) -> None:
        """Close the process's ends, which it has by now, so that we see them end."""
        for descriptor in (self.theirs.stdin, self.theirs.stdout, self.theirs.stderr):
            self.close(descriptor)

    def close(self, descriptor: int) -> None:
        """Close one of them. Repeatable."""
        if descriptor in self._open:
            self._open.remove(descriptor)
            os.close(descriptor)

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe()
        self._open.update(ends)
        return ends

    def __enter__(self) -> Pipes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in tuple(self._open):
            self.close(descriptor)
