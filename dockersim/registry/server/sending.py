"""Sending what is on the disk, a piece at a time, and the next piece when the client has taken the one before.

What the kernel has in its memory is read at once, as the way to a thread takes longer than the reading; a thread waits
for the disk. So pieces can be small and cost little, and a client that reads nothing holds little memory.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from typing import BinaryIO, Final

from starlette.concurrency import run_in_threadpool

from dockersim.registry.server.blobs import READ

PIECE: Final = 64 * 1024
"""Bytes that are sent at a time, and wait in memory for a client that does not take them."""


async def sent(file: BinaryIO, first: int, length: int) -> AsyncIterator[bytes]:
    """Read ``length`` bytes of an open file from ``first`` on, and close it."""
    at, end = first, first + length
    with file:
        while at < end:
            piece = _at_hand(file, at, min(PIECE, end - at))
            if not piece:
                piece = await run_in_threadpool(_read, file, at, min(READ, end - at))
            if not piece:
                return  # somebody has cut the file off
            at += len(piece)
            yield piece
            await asyncio.sleep(0)  # others have their turn, however fast this client is


def _at_hand(file: BinaryIO, at: int, size: int) -> bytes:
    """Read as much of ``size`` bytes as need not be waited for (preadv(2), RWF_NOWAIT).

    Not all file systems know that, nor all C libraries: musl has it since 1.2.5.
    """
    if sys.platform != "linux" or not hasattr(os, "RWF_NOWAIT"):
        return b""
    buffer = bytearray(size)
    try:
        count = os.preadv(file.fileno(), [buffer], at, os.RWF_NOWAIT)
    except (OSError, NotImplementedError):
        return b""
    return memoryview(buffer)[:count].tobytes()


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
