"""Several pieces of work at once, told of as if by one: the events of all come out of a single generator.

Each piece is a generator of events itself, which a thread runs. No thread gets far ahead of whoever listens, and when
one of them fails, or nobody listens any more (Ctrl-C), the others end at their next event, which for a blob is its
next piece.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Final, Generic, TypeVar

from msgspec import Struct

Event = TypeVar("Event")
Result = TypeVar("Result")

Work = Callable[[], Generator[Event, None, Result]]

_AHEAD: Final = 16
"""Events that wait to be listened to."""

_END_SECONDS: Final = 5.0
"""How long the threads may take to end: those that wait for a server which has fallen silent are left behind."""


class _Done(Struct, Generic[Result], frozen=True):
    position: int
    result: Result


class _Failed(Struct, frozen=True):
    error: BaseException


def abreast(works: Sequence[Work[Event, Result]], width: int) -> Generator[Event, None, list[Result]]:
    """Do all ``works``, at most ``width`` at a time; yield their events, return their results in order.

    The first error is raised when all have ended.
    """
    crew: _Crew[Event, Result] = _Crew(works)
    threads = [threading.Thread(target=crew.work, daemon=True) for _ in range(min(width, len(works)))]
    try:
        for thread in threads:
            thread.start()
        return (yield from crew.listen())
    finally:
        crew.stop()
        until = time.monotonic() + _END_SECONDS
        for thread in threads:
            if thread.ident is not None:  # a Ctrl-C may come before all have begun
                thread.join(max(0.0, until - time.monotonic()))


class _Crew(Generic[Event, Result]):
    """What the threads share."""

    def __init__(self, works: Sequence[Work[Event, Result]]) -> None:
        self._left = list(enumerate(works))[::-1]
        self._results: dict[int, Result] = {}
        self._number = len(works)
        self._said: queue.Queue[Event | _Done[Result] | _Failed] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()

    def listen(self) -> Generator[Event, None, list[Result]]:
        """Pass the events on, until all is done or something has failed."""
        while len(self._results) < self._number:
            said = self._said.get()
            if isinstance(said, _Failed):
                raise said.error
            if isinstance(said, _Done):
                self._results[said.position] = said.result
            else:
                yield said
        return [self._results[position] for position in range(self._number)]

    def stop(self) -> None:
        """Let no thread go on. Repeatable."""
        self._stopped.set()

    def work(self) -> None:
        """Do one piece of work after the other: what a thread runs."""
        while not self._stopped.is_set():
            try:
                position, work = self._left.pop()
            except IndexError:
                return
            if not self._do(position, work()):
                return

    def _do(self, position: int, steps: Generator[Event, None, Result]) -> bool:
        """Do one piece of work; say whether it went well."""
        try:
            while not self._stopped.is_set():
                self._say(next(steps))
            return False
        except StopIteration as end:
            self._say(_Done(position, end.value))
            return True
        except BaseException as error:  # noqa: BLE001  # it is raised again, by ``listen``
            self._say(_Failed(error))
            return False
        finally:
            steps.close()  # whatever it has open is closed, a half-written blob dropped

    def _say(self, event: Event | _Done[Result] | _Failed) -> None:
        while not self._stopped.is_set():
            try:
                self._said.put(event, timeout=0.1)
                return
            except queue.Full:
                continue
