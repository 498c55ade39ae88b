"""The log of a container: all it wrote, line by line, in the form of docker's ``json-file`` driver.

Each line of the file is ``{"log": ..., "stream": "stdout", "time": ...}`` (moby, ``daemon/logger/jsonfilelog``). A line
without an end is written when it has 16 KiB or when the stream ends, as docker's copier does.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from dockersim.containers.life import now
from dockersim.sandbox.contract import Stream

_LONGEST: Final = 16 * 1024
_PAUSE: Final = 0.05  # seconds between looks at a log that is followed


class LogLine(Struct, frozen=True):
    """One piece of output: mostly a line with its end; ``time`` is when it came (RFC 3339)."""

    stream: Stream
    text: str
    time: str


class LogWriter:
    """Writes the log as the output comes; nothing is held back but lines without an end."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._begun: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    def add(self, stream: Stream, data: bytes) -> None:
        """Take a piece of output in; one of no bytes says that the stream has ended."""
        *lines, rest = (self._begun[stream] + data).split(b"\n")
        pieces = [piece for line in lines for piece in _cut(line + b"\n")]
        if not data or len(rest) >= _LONGEST:
            pieces += _cut(rest)
            rest = b""
        self._begun[stream] = rest
        self._write(stream, pieces)

    def _write(self, stream: Stream, pieces: list[bytes]) -> None:
        moment = now()
        rows = (
            {"log": piece.decode("utf-8", "replace"), "stream": stream, "time": moment} for piece in pieces if piece
        )
        todo = memoryview("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode())
        while todo:
            todo = todo[os.write(self._file, todo) :]


def _cut(line: bytes) -> list[bytes]:
    return [line[at : at + _LONGEST] for at in range(0, len(line), _LONGEST)]


def read_log(path: str, *, tail: int | None = None, lives: Callable[[], bool] | None = None) -> Iterator[LogLine]:
    """Give the lines of a log, the last ``tail`` of those there are; then, while ``lives()``, those that come."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; a log that is not there has no lines
    except FileNotFoundError:
        return
    with file:
        text = file.read()
        whole, _, rest = text.rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        yield from map(_parse, lines if tail is None else deque(lines, tail))
        while lives is not None:
            alive = lives()  # asked before reading: what was written before it ended is read
            *lines, rest = (rest + file.read()).split(b"\n")
            yield from map(_parse, lines)
            if not alive:
                return
            if not lines:
                time.sleep(_PAUSE)


def _parse(line: bytes) -> LogLine:
    row = json.loads(line)
    return LogLine(row["stream"], row["log"], row["time"])
