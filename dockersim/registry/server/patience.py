"""How long a client may take, and how many may be connected: a slow one costs a connection, and not for ever.

uvicorn itself waits without end for a request to be complete and for an answer to be taken. This is its HTTP/1.1
protocol with a watch: whoever's turn it is has so many seconds, and a client that lets them pass is cut off. What has
arrived of an upload stays, to be resumed. (Go's ``http.Server`` has ReadHeaderTimeout and the like; nginx has
``client_header_timeout``, ``client_body_timeout`` and ``send_timeout``.)
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

from msgspec import Struct
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS: Final = 4096
"""A class of 300, each with docker's five uploads at once, and room. An idle connection costs 20 kB, one whose client
does not take its answer some 100 kB (``sending.PIECE``, and what of one the kernel has not taken)."""

FILES_FOR_EACH: Final = 2
"""Its socket, and the blob that is being sent."""

FILES_BESIDE: Final = 128
"""Of the threads, the logs, Python itself."""


class Patience(Struct, frozen=True):
    """Seconds that a client may take; nginx's defaults.

    ``head``: from the first byte of a request (or from connecting) to the end of its headers. ``body``: between two
    pieces of an upload. ``taking``: between two pieces of an answer.
    """

    head: float = 60.0
    body: float = 60.0
    taking: float = 60.0


def most_connections() -> int:
    """Take as many open files as the system lets us have; return for how many connections they are enough."""
    if os.name != "posix":
        return 500  # Windows' C library opens 512 files at most, and counts no sockets among them
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS * FILES_FOR_EACH + FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST_CONNECTIONS if soft < 0 else max(1, min(MOST_CONNECTIONS, (soft - FILES_BESIDE) // FILES_FOR_EACH))


_BUSY: Final = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"the registry is busy; try again in a moment"}]}'
_TURNED_AWAY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BUSY), _BUSY)
)


class PatientProtocol(H11Protocol):
    """One connection and its watch."""

    patience = Patience()
    most = MOST_CONNECTIONS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request; or turn the client away."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # no next piece before the one before is with the kernel
        self._since = self._moved = self.loop.time()
        self._unsent = 0
        self._between = False
        self._watch = self.loop.call_later(self._tick, self._look)
        if len(self.connections) > self.most:
            transport.write(_TURNED_AWAY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the watch."""
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note that the client does something, and when the head of a request began."""
        now = self.loop.time()
        self._moved = now
        if self._between:
            self._between, self._since = False, now
        super().data_received(data)

    def resume_writing(self) -> None:
        """Note that the client has taken a part of the answer."""
        self._moved = self.loop.time()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Leave it to uvicorn's own watch, ``timeout_keep_alive``, until something comes."""
        self._between = True
        super().on_response_complete()

    @property
    def _tick(self) -> float:
        return min(self.patience.head, self.patience.body, self.patience.taking) / 4

    def _look(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._moved = unsent, self.loop.time()
        began, seconds = self._turn()
        if self.loop.time() - began > seconds:
            self.transport.abort()  # not close: that would wait until all is taken
        else:
            self._watch = self.loop.call_later(self._tick, self._look)

    def _turn(self) -> tuple[float, float]:
        """Tell since when we have waited for the client, and for how long we do."""
        if self._unsent:
            return self._moved, self.patience.taking
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            return self._since, float("inf") if self._between else self.patience.head
        is_reading = cycle.more_body and not self.flow.read_paused and not cycle.waiting_for_100_continue
        return self._moved, self.patience.body if is_reading else float("inf")


def protocol(patience: Patience, most: int) -> type[PatientProtocol]:
    """Make the class that uvicorn is to use."""
    return type("Protocol", (PatientProtocol,), {"patience": patience, "most": most})
