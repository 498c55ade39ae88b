"""Upload sessions in a running server: one writer each, bytes to disk off the event loop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from msgspec import Struct, field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.blobs import READ, Upload
from dockersim.registry.server.repositories import RegistryStore

_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/.*)?")

REMEMBERED: Final = 1024
"""Sessions whose running hash is kept in memory; a session beyond that is hashed again from disk."""


class _Open(Struct):
    upload: Upload
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Sessions:
    """The sessions that are being written to."""

    def __init__(self, store: RegistryStore) -> None:
        self._store = store
        self._open: dict[tuple[str, str], _Open] = {}

    def start(self, repository: str) -> Upload:
        """Open a session."""
        upload = self._store.start_upload(repository)
        self._remember(repository, upload)
        return upload

    @asynccontextmanager
    async def use(self, repository: str, session: str) -> AsyncIterator[Upload]:
        """Have a session to oneself; raise BLOB_UPLOAD_UNKNOWN. A second writer waits for the first."""
        found = self._open.get((repository, session))
        if found is None:
            found = self._remember(repository, self._store.resume_upload(repository, session))
        found.users += 1
        try:
            async with found.lock:
                # It may have been finished while we waited: then asking for its size raises.
                _ = found.upload.size
                yield found.upload
        finally:
            found.users -= 1

    def forget(self, repository: str, upload: Upload) -> None:
        """Drop a session that is finished or given up."""
        self._open.pop((repository, upload.name), None)

    def _remember(self, repository: str, upload: Upload) -> _Open:
        for key in [key for key, one in self._open.items() if not one.users][:-REMEMBERED]:
            del self._open[key]
        return self._open.setdefault((repository, upload.name), _Open(upload))


async def receive(request: Request, upload: Upload, announced: int | None = None) -> None:
    """Write a request's body to the session as it comes, a piece of bounded size at a time.

    Whatever has come before a connection breaks is kept, so that the client can go on from there. Raises SIZE_INVALID
    if it is not as many bytes as the Content-Range ``announced``; where the session stands then, its status tells.
    """
    waiting, before = bytearray(), upload.size
    try:
        async for piece in request.stream():
            waiting += piece
            if len(waiting) >= READ:
                full, waiting = waiting, bytearray()  # so that what a full disk refused is not tried again below
                await run_in_threadpool(upload.append, full)
    finally:
        if waiting:
            await run_in_threadpool(upload.append, waiting)
    if announced not in (None, upload.size - before):
        raise Problem(Code.SIZE_INVALID, f"{upload.size - before} bytes came, not {announced} as Content-Range says")


def check_range(header: str, content_length: str, size: int) -> int | None:
    """Check a Content-Range ``first-last``: it must start where the session ends. Return how many bytes it says.

    MUST (spec, "Pushing a blob in chunks"): a chunk out of order is answered by 416.
    """
    if not header:
        return None
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        raise Problem(Code.BLOB_UPLOAD_INVALID, "Content-Range must be <first>-<last>", status=416)
    first, last = int(match[1]), int(match[2])
    if first != size or last < first:
        raise Problem(Code.BLOB_UPLOAD_INVALID, f"chunk out of order: {size} bytes have arrived", status=416)
    if content_length and int(content_length) != last - first + 1:
        raise Problem(Code.SIZE_INVALID, "Content-Range and Content-Length differ")
    return last - first + 1


def range_of(size: int) -> str:
    """Write how much has arrived. The spec has no form for nothing at all; distribution says ``0-0``."""
    return f"0-{max(0, size - 1)}"
