"""The wire log: every request, as one small event that can be explained.

The same event is written by the server (JSON lines on disk) and by the client (a list in memory). What could be a
secret never gets in: no header, no body, and of a query only the parameters that the protocol itself defines
(a redirect to a blob store carries its signature in the query).

>>> event = WireEvent.of("HEAD", "/v2/alice/app/blobs/sha256:" + "a" * 64, status=200)
>>> explain(event)
'ask whether the blob is already there: it is, so it need not be sent'
>>> WireEvent.from_json(event.to_json()) == event
True
"""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct, to_builtins

from dockersim.registry.purpose import Purpose, consequence, purpose_of

_PUBLIC = frozenset({"digest", "mount", "from", "n", "last", "artifactType", "ns", "scope", "service"})
_IN_PATH = re.compile(r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")

LONGEST_LOG: Final = 16 * 1024 * 1024
"""Bytes after which the server starts a new log; one old log is kept, so the disk cannot fill up."""


class WireEvent(Struct, frozen=True):
    """One request and its answer; ``status`` is 0 if none came.

    ``bytes_in`` came in at whoever wrote the event, ``bytes_out`` went out: bodies only. ``at`` is in seconds since
    1970. ``host`` is empty at the server.
    """

    method: str
    path: str
    purpose: Purpose
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    digest: str = ""
    seconds: float = 0.0
    at: float = 0.0
    host: str = ""

    @classmethod
    def of(
        cls,
        method: str,
        path: str,
        *,
        query: str = "",
        status: int = 0,
        bytes_in: int = 0,
        bytes_out: int = 0,
        seconds: float = 0.0,
        at: float = 0.0,
        host: str = "",
    ) -> WireEvent:
        """Make an event, and find out what the request is for and which blob it is about."""
        shown = public_query(query)
        found = _IN_PATH.search(path) or _IN_PATH.search(shown.replace("%3A", ":"))
        return cls(
            method=method,
            path=f"{path}?{shown}" if shown else path,
            purpose=purpose_of(method, path, shown),
            status=status,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            digest=found.group() if found else "",
            seconds=round(seconds, 6),
            at=round(at, 6),
            host=host,
        )

    def to_json(self) -> str:
        """Write the event as one line."""
        return json.dumps(to_builtins(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> WireEvent:
        """Read one line; raise ValueError, KeyError or TypeError if it is none of ours."""
        fields = json.loads(line)
        return cls(**fields | {"purpose": Purpose(fields["purpose"])})


def public_query(query: str) -> str:
    """Keep the parameters that the protocol defines, drop the rest.

    >>> public_query("digest=sha256%3Aab&X-Amz-Signature=secret")
    'digest=sha256%3Aab'
    """
    return urlencode([(name, value) for name, value in parse_qsl(query) if name in _PUBLIC], safe="/")


def explain(event: WireEvent) -> str:
    """Say in words what the request was for and what the answer means."""
    return f"{event.purpose}: {consequence(event.purpose, event.status)}"


_SESSION = re.compile(r"(?<=/uploads/)([0-9a-zA-Z-]{8})[0-9a-zA-Z-]+")


def short_path(event: WireEvent) -> str:
    """Cut digests and upload sessions to the length at which people can still tell them apart."""
    # ns= repeats on every request which registry is meant (containerd's way of asking a mirror).
    path = re.sub(r"[?&]ns=[^&]*", "", event.path.replace("%3A", ":").replace("%2C", ","))
    path = _SESSION.sub(r"\1…", path)
    return path.replace(event.digest, f"{event.digest[:19]}…") if event.digest else path


class WireLog(Protocol):
    """Where events go. ``record`` may be called from any thread, and must not raise for a full disk."""

    def record(self, event: WireEvent) -> None:
        """Keep one event."""


class MemoryLog:
    """A log that is a list."""

    def __init__(self) -> None:
        self.events: list[WireEvent] = []

    def record(self, event: WireEvent) -> None:
        """Keep one event."""
        self.events.append(event)


class FileLog:
    """A log of JSON lines on disk; a line is written whole or, after a kill, is the last and is skipped on reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def record(self, event: WireEvent) -> None:
        """Append one line. A disk that is full costs the line, not the request."""
        line = event.to_json().encode() + b"\n"
        try:
            with self._lock:
                self._turn_over()
                with self.path.open("ab", buffering=0) as log:
                    log.write(line)
        except OSError:
            # The log explains; it is not worth failing a push that has room for its last byte.
            return

    def events(self) -> list[WireEvent]:
        """Read what is there, oldest first; lines that cannot be read are skipped."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [event for event in map(_read, lines) if event is not None]

    def _turn_over(self) -> None:
        if self.path.exists() and self.path.stat().st_size > LONGEST_LOG:
            self.path.replace(self.path.with_suffix(".1.jsonl"))


def _read(line: str) -> WireEvent | None:
    try:
        return WireEvent.from_json(line)
    except (ValueError, KeyError, TypeError):
        return None
