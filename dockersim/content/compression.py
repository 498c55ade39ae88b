"""Layers as they travel: gzip or zstd around the tar.

At rest a layer is a plain tar, since looking into it, unpacking it and hashing it all want that; it is
compressed when it is pushed, once. The diff id names the tar, so the compression is free to differ between
two tools.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, Protocol, Self, cast

from msgspec import Struct

from dockersim.content.store import BlobWriter
from dockersim.errors import ContentError

GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
BZIP2_MAGIC: Final = b"BZh"
XZ_MAGIC: Final = b"\xfd7zXZ\x00"
GZIP_LEVEL: Final = 3
"""isal's best: a little larger than zlib's level 6, at several times its speed."""

_BLOCK: Final = 1 << 20


class Allowance(Struct, frozen=True):
    """How much a blob may unpack to: ``free`` bytes whatever its size, beyond them ``times`` what was read of it."""

    free: int = 3 << 30
    times: int = 200


ALLOWANCE: Final = Allowance()
"""What is allowed unless the caller says otherwise. Programs and texts shrink to a third, logs to a twentieth; only
zeros shrink to less than a two-hundredth, of which gzip makes a thousandth, zstd and xz a ten-thousandth, bzip2 a
millionth. A lesson may well make a layer of a gigabyte of zeros (``dd if=/dev/zero``), and gets it back: that is free.
docker sets no such limit, and fills the disk."""

XZ_MEMORY: Final = 256 << 20
"""How much memory an xz may ask for: four times what ``xz -9`` does. A zstd may ask for a window of 128 MiB, which is
the limit of its own library."""


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def readinto(self, room: Any, /) -> int: ...
    def close(self) -> None: ...


class Unpacked:
    """What a blob unpacks to; a complaint of the decoder is a ContentError, and so is more than is allowed."""

    def __init__(
        self,
        stream: _Stream,
        blob: Rejoined,
        complaints: tuple[type[Exception], ...] = (),
        allowance: Allowance = ALLOWANCE,
        *,
        is_gzip: bool = False,
    ) -> None:
        self._stream = stream
        self._blob = blob
        self._complaints = complaints
        self.is_gzip = is_gzip
        self._allowance = allowance
        self._count = 0

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes; none only at the end."""
        try:
            data = self._stream.read(size)
        except self._complaints as error:
            raise _damaged(error) from error
        self._check(len(data))
        return data

    def readinto(self, room: memoryview, /) -> int:
        """Read some bytes into ``room``."""
        try:
            count = self._stream.readinto(room)
        except self._complaints as error:
            raise _damaged(error) from error
        self._check(count)
        return count

    def close(self) -> None:
        """Stop the decoder. Repeatable."""
        self._stream.close()

    def _check(self, count: int) -> None:
        self._count += count
        if self._count > max(self._allowance.free, self._allowance.times * self._blob.count):
            allowed = f"{self._allowance.free} bytes and {self._allowance.times} times its size"
            raise ContentError(f"the archive unpacks to more than {allowed}", hint="it was made to fill a disk")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _damaged(error: Exception) -> ContentError:
    return ContentError(f"the archive cannot be unpacked: {error}")


def unpacked(blob: BinaryIO, allowance: Allowance = ALLOWANCE) -> Unpacked:
    """Open what a layer unpacks to, told by its first bytes as docker does: a media type may be wrong."""
    start = first_bytes(blob, 4)
    whole = Rejoined(start, blob)
    if start.startswith(GZIP_MAGIC):
        return _gzip(whole, allowance)
    return _zstd(whole, allowance) if start == ZSTD_MAGIC else Unpacked(whole, whole, (), allowance)


def any_unpacked(blob: BinaryIO, allowance: Allowance = ALLOWANCE) -> Unpacked:
    """Open what an archive of a learner unpacks to, which may also be a bzip2 or an xz (moby, pkg/archive)."""
    start = first_bytes(blob, 6)
    whole = Rejoined(start, blob)
    if start.startswith(BZIP2_MAGIC):
        return _bzip2(whole, allowance)
    return _xz(whole, allowance) if start == XZ_MAGIC else unpacked(cast(BinaryIO, whole), allowance)


def first_bytes(blob: BinaryIO, count: int) -> bytes:
    """Read ``count`` bytes, fewer only at the end; a pipe may give fewer at once."""
    start = b""
    while len(start) < count and (more := blob.read(count - len(start))):
        start += more
    return start


def write_gzip(tar: BinaryIO, blob: BlobWriter, *, threads: int = 2) -> Iterator[int]:
    """Compress a tar into ``blob``; yield how many of its bytes are read. Whoever stops listening stops it.

    Equal tars give equal bytes: no name, no time, and pieces of one size. The number of threads has no influence.
    """
    from isal import igzip_threaded

    with igzip_threaded.open(  # type: ignore[no-untyped-call]
        blob, "wb", compresslevel=GZIP_LEVEL, threads=threads, block_size=_BLOCK
    ) as compressor:
        done = 0
        while chunk := tar.read(_BLOCK):
            compressor.write(chunk)
            done += len(chunk)
            yield done


class Rejoined(io.RawIOBase):
    """A stream again whose first bytes have been read: a pipe cannot be sought back. It counts what is read of it."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest
        self.count = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._next(size)
        self.count += len(data)
        return data

    def readinto(self, room: Any, /) -> int:
        data = self.read(len(room))
        room[: len(data)] = data
        return len(data)

    def _next(self, size: int) -> bytes:
        if self._start and size != 0:
            size = len(self._start) if size < 0 else size
            data, self._start = self._start[:size], self._start[size:]
            return data
        return self._rest.read(size)


def _gzip(blob: Rejoined, allowance: Allowance) -> Unpacked:
    from isal import igzip, igzip_threaded, isal_zlib  # only whoever unpacks pays for it

    isal_error: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # the stub says: an instance
    stream = igzip_threaded.open(blob, "rb", threads=1)  # type: ignore[no-untyped-call]
    # An OverflowError tells of a header without an end.
    complaints = (igzip.BadGzipFile, isal_error, EOFError, OverflowError)
    return Unpacked(stream, blob, complaints, allowance, is_gzip=True)


def _zstd(blob: Rejoined, allowance: Allowance) -> Unpacked:
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return Unpacked(zstd.open(blob, "rb"), blob, (zstd.ZstdError, EOFError), allowance)


def _bzip2(blob: Rejoined, allowance: Allowance) -> Unpacked:
    import bz2

    return Unpacked(bz2.BZ2File(blob), blob, (OSError, EOFError, ValueError), allowance)


def _xz(blob: Rejoined, allowance: Allowance) -> Unpacked:
    import lzma

    return Unpacked(cast(_Stream, io.BufferedReader(_Xz(blob))), blob, (lzma.LZMAError, EOFError), allowance)


class _Xz(io.RawIOBase):
    """What an xz unpacks to, with a limit to its memory, which Python's own LZMAFile does not have."""

    def __init__(self, blob: Rejoined) -> None:
        self._blob = blob
        self._decoder = self._next_decoder()

    def _next_decoder(self) -> Any:
        import lzma

        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any, /) -> int:
        while True:
            waiting = b""
            if self._decoder.eof:  # several may stand one behind the other, with zeros between
                waiting = self._decoder.unused_data.lstrip(b"\0") or self._blob.read(_BLOCK).lstrip(b"\0")
                if not waiting:
                    return 0
                self._decoder = self._next_decoder()
            elif self._decoder.needs_input and not (waiting := self._blob.read(_BLOCK)):
                raise EOFError("it is cut off")
            data = self._decoder.decompress(waiting, len(room))
            if data:
                room[: len(data)] = data
                return len(data)
