"""Layers as they travel: gzip or zstd around the tar.

At rest a layer is a plain tar, since looking into it, unpacking it and hashing it all want that; it is
compressed when it is pushed, once. The diff id names the tar, so the compression is free to differ between
two tools.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO, Final, Protocol, Self

from dockersim.content.store import BlobWriter
from dockersim.errors import ContentError

GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
GZIP_LEVEL: Final = 3
"""isal's best: a little larger than zlib's level 6, at several times its speed."""

_BLOCK: Final = 1 << 20


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def readinto(self, room: Any, /) -> int: ...
    def close(self) -> None: ...


class Unpacked:
    """What a blob unpacks to; a complaint of the decoder is a ContentError."""

    def __init__(self, stream: _Stream, complaints: tuple[type[Exception], ...]) -> None:
        self._stream = stream
        self._complaints = complaints

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes; none only at the end."""
        try:
            return self._stream.read(size)
        except self._complaints as error:
            raise _damaged(error) from error

    def readinto(self, room: memoryview, /) -> int:
        """Read some bytes into ``room``."""
        try:
            return self._stream.readinto(room)
        except self._complaints as error:
            raise _damaged(error) from error

    def close(self) -> None:
        """Stop the decoder. Repeatable."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _damaged(error: Exception) -> ContentError:
    return ContentError(f"the layer cannot be unpacked: {error}", hint="pull the image again")


def unpacked(blob: BinaryIO) -> Unpacked:
    """Open what a blob unpacks to, told by its first bytes as docker does: a media type may be wrong."""
    start = blob.read(4)
    whole: Any = _Rejoined(start, blob)
    if start.startswith(GZIP_MAGIC):
        return _gzip(whole)
    return _zstd(whole) if start == ZSTD_MAGIC else Unpacked(whole, ())


def write_gzip(tar: BinaryIO, blob: BlobWriter, *, threads: int = 2) -> None:
    """Compress a tar into ``blob``. Equal tars give equal bytes: no name, no time, and pieces of one size.

    The number of threads has no influence on the bytes.
    """
    from isal import igzip_threaded

    with igzip_threaded.open(  # type: ignore[no-untyped-call]
        blob, "wb", compresslevel=GZIP_LEVEL, threads=threads, block_size=_BLOCK
    ) as compressor:
        while chunk := tar.read(_BLOCK):
            compressor.write(chunk)


class _Rejoined(io.RawIOBase):
    """A stream again whose first bytes have been read: a pipe cannot be sought back."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self._start and size != 0:
            size = len(self._start) if size < 0 else size
            data, self._start = self._start[:size], self._start[size:]
            return data
        return self._rest.read(size)

    def readinto(self, room: Any, /) -> int:
        data = self.read(len(room))
        room[: len(data)] = data
        return len(data)


def _gzip(blob: BinaryIO) -> Unpacked:
    from isal import igzip, igzip_threaded, isal_zlib  # only whoever unpacks pays for it

    isal_error: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # the stub says: an instance
    stream = igzip_threaded.open(blob, "rb", threads=1)  # type: ignore[no-untyped-call]
    return Unpacked(stream, (igzip.BadGzipFile, isal_error, EOFError))


def _zstd(blob: BinaryIO) -> Unpacked:
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return Unpacked(zstd.open(blob, "rb"), (zstd.ZstdError, EOFError))
