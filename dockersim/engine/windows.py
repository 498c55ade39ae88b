"""A part of a file as a file of its own: how the content of one path is read out of a layer's tar."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO, cast


def window(opener: Callable[[], BinaryIO], start: int, size: int, *, keep_open: bool = False) -> BinaryIO:
    """Open ``size`` bytes from ``start`` of the file that ``opener`` opens; it is closed with the window."""
    if not size:
        return io.BytesIO(b"")
    file = opener()
    file.seek(start)
    return cast(BinaryIO, io.BufferedReader(_Window(file, size, keep_open)))


class _Window(io.RawIOBase):
    def __init__(self, file: BinaryIO, size: int, keep_open: bool) -> None:
        self._file = file
        self._left = size
        self._keep_open = keep_open

    def readable(self) -> bool:
        return True

    def readinto(self, room: bytearray | memoryview, /) -> int:  # type: ignore[override]
        data = self._file.read(min(len(room), self._left))
        room[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        if not self._keep_open:
            self._file.close()
        super().close()
