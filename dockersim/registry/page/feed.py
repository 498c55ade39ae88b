"""The requests of the registry as they come, for whoever looks at the page.

There is one list of the latest requests and no queue: every page has its own place in the list, and comes back for
more when it has sent what it had. A page that stops reading thus costs nothing and holds nobody up; when it reads on
it has missed what the list no longer holds, and is told so by the numbers.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct, field

from dockersim.registry.purpose import Purpose
from dockersim.registry.wire import WireEvent, WireLog

KEPT: Final = 500
"""Requests that are kept for pages: a push of an image of a hundred layers."""

MOST_FOLLOWERS: Final = 100
"""Pages that follow at the same time; one more is refused. Did the oldest give way, its browser would be back in a
second and take another's place, without end."""

HEARTBEAT: Final = 15.0
"""Seconds after which something is said even if nothing happened, so that no proxy takes the silence for the end."""


class Numbered(Struct, frozen=True):
    """A request with its number; numbers have no gaps. ``saved`` are the bytes that need not be sent thanks to it."""

    number: int
    event: WireEvent
    saved: int = 0


class _Follower(Struct, eq=False):
    loop: asyncio.AbstractEventLoop
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    def ring(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self.bell.set)
        except RuntimeError:
            # The loop is closed, and with it everybody who listened there.
            pass


class Feed:
    """A wire log that passes on what it records. ``record`` may be called from any thread."""

    def __init__(self, log: WireLog) -> None:
        self.run = secrets.token_hex(4)
        """Tells the numbers of this process from those of the one before."""
        self._log = log
        self._kept: deque[Numbered] = deque(maxlen=KEPT)
        self._followers: list[_Follower] = []
        self._lock = threading.Lock()
        self._count = 0
        self._is_closed = False

    def record(self, event: WireEvent, saved: int = 0) -> None:
        """Keep one event, and tell the pages; their own requests are not worth telling."""
        self._log.record(event)
        if event.purpose is Purpose.SEE_PAGE:
            return
        with self._lock:
            self._count += 1
            self._kept.append(Numbered(self._count, event, saved))
            followers = list(self._followers)
        for follower in followers:
            follower.ring()

    def after(self, number: int) -> list[Numbered]:
        """Give what is kept of the requests after ``number``."""
        with self._lock:
            return [one for one in self._kept if one.number > number]

    async def follow(self, number: int) -> AsyncIterator[list[Numbered]]:
        """Give the requests after ``number`` as they come; an empty list every HEARTBEAT seconds without any.

        Nothing at all where MOST_FOLLOWERS follow already.
        """
        follower = self._join()
        try:
            while follower in self._followers and not self._is_closed:
                follower.bell.clear()
                news = self.after(number)
                number = news[-1].number if news else number
                yield news
                try:
                    await asyncio.wait_for(follower.bell.wait(), HEARTBEAT)
                except TimeoutError:
                    pass
        finally:
            with self._lock:
                if follower in self._followers:
                    self._followers.remove(follower)

    def close(self) -> None:
        """Let all pages go: a server that stops waits for nobody."""
        self._is_closed = True
        for follower in list(self._followers):
            follower.ring()

    @property
    def is_full(self) -> bool:
        """Whether as many pages follow as may."""
        return len(self._followers) >= MOST_FOLLOWERS

    def _join(self) -> _Follower:
        follower = _Follower(asyncio.get_running_loop())
        with self._lock:
            if not self.is_full:
                self._followers.append(follower)
        return follower
