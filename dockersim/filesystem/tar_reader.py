"""Reading a layer: what each member of a tar says, its content, and where that begins.

A tar from a registry is a stranger's, so nothing it says is taken on trust: names stay below the root
whatever ``..`` or slash they have, numbers have limits, and what we do not know how to unpack is an error
rather than a guess. Which names mean a deletion is image-spec, layer.md, "Whiteouts".

>>> from dockersim.filesystem import LayerWriter, Whiteout
>>> out = io.BytesIO()
>>> writer = LayerWriter(out)
>>> _ = writer.add(Entry("a", Kind.FILE), b"hi"), writer.add(Whiteout("b"))
>>> diff_id, size, entries = writer.close()
>>> [(entry.path, content.read()) for entry, content in read_layer(io.BytesIO(out.getvalue()))]
[('a', b'hi'), ('b', b'')]
>>> index_layer(io.BytesIO(out.getvalue())) == (diff_id, size, entries)
True
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from dockersim.digest import DiffID, Digest
from dockersim.errors import ContentError
from dockersim.filesystem.entry import Entry, Kind, LayerEntry
from dockersim.filesystem.tar_header import (
    BLOCK,
    KIND_OF,
    SECOND,
    XATTR_RECORD,
    Header,
    decode,
    parse_records,
)
from dockersim.filesystem.tar_writer import CHUNK, WHITEOUT_PREFIX, Readable, mark_of, read_into

_TIME = re.compile(rb"(-?)(\d{1,12})(?:\.(\d*))?\Z")


class Limits(Struct, frozen=True):
    """How much one archive may hold before it is taken for an attack.

    ``entries`` counts members, ``size`` all bytes of all files, ``header`` the bytes of all extended headers of one
    member (as much as Go's archive/tar reads), ``headers`` those of all members together, ``path`` the bytes of a path
    (Linux' PATH_MAX) and ``name`` those of one part of it (NAME_MAX). docker and containerd limit neither the number
    of entries nor their size.
    """

    entries: int = 2_000_000
    size: int = 64 << 30
    header: int = 1 << 20
    headers: int = 256 << 20
    path: int = 4096
    name: int = 255


LIMITS = Limits()
"""What is allowed unless the caller says otherwise.

The largest real layers have a million files (scientific stacks), or 20 GB (models with their weights). What is known of
a layer is kept in memory: of two million entries it is a gigabyte, and names and attributes are bounded by ``headers``.
"""

_MOST_NS = (1 << 63) - 1
"""Times further from 1970 than that become its beginning, as in containerd (pkg/archive/time.go, ``boundTime``)."""

_LARGEST_DEVICE = (0xFFF, 0xFFFFF)
"""Linux has 12 bits for the major number of a device and 20 for the minor one."""


def read_layer(stream: Readable, limits: Limits = LIMITS) -> Iterator[tuple[LayerEntry, Content]]:
    """Yield each entry of a tar with a reader of its content, which is good until the next entry.

    Entries have no digest yet; ``data`` is set for files. Raises ContentError for what is no tar, is cut off,
    goes beyond ``limits`` or cannot be unpacked (sparse files, members of an unknown kind).
    """
    return _Reader(stream, limits).entries()


def index_layer(stream: Readable, limits: Limits = LIMITS) -> tuple[DiffID, int, tuple[LayerEntry, ...]]:
    """Read a whole layer once: its diff id, its size in bytes, its entries with digests."""
    hashing = _Hashing(stream)
    entries: list[LayerEntry] = []
    room = memoryview(bytearray(CHUNK))
    for entry, content in read_layer(hashing, limits):
        if isinstance(entry, Entry) and entry.kind is Kind.FILE:
            file_hash = hashlib.sha256()
            while count := content.readinto(room):
                file_hash.update(room[:count])
            entry = replace(entry, digest=Digest("sha256:" + file_hash.hexdigest()))
        entries.append(entry)
    while hashing.readinto(room):
        pass  # what stands behind the end mark counts for the diff id too
    return DiffID("sha256:" + hashing.hash.hexdigest()), hashing.size, tuple(entries)


class Content(io.RawIOBase):
    """The content of one member: a stream that ends where the member ends."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, room: bytearray | memoryview, /) -> int:  # type: ignore[override]
        wanted = min(len(room), self.left)
        if not wanted:
            return 0
        count = read_into(self._stream, memoryview(room)[:wanted])
        if not count:
            raise ContentError("the tar is cut off in the middle of a file")
        self.left -= count
        return count


class _Hashing:
    """A stream that hashes and counts what is read from it."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self.hash.update(data)
        self.size += len(data)
        return data

    def readinto(self, room: memoryview) -> int:
        count = read_into(self._stream, room)
        self.hash.update(room[:count])
        self.size += count
        return count


class _Reader:
    """Goes through a tar once, from front to back."""

    def __init__(self, stream: Readable, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self._at = 0
        self._headers = 0  # bytes of extended headers so far
        self._records: dict[str, bytes] = {}  # records for the next member

    def entries(self) -> Iterator[tuple[LayerEntry, Content]]:
        count = total = 0
        while (header := self._next_header()) is not None:
            count += 1
            size = self._size(header)
            total += size
            if count > self._limits.entries or total > self._limits.size:
                limits = f"{self._limits.entries} entries or {self._limits.size} bytes"
                raise ContentError(f"the archive holds more than {limits}")
            entry = self._entry(header, size)
            self._records = {}
            content = Content(self._stream, size)
            if entry is not None:
                yield entry, content
            self._at += size
            self._skip(content.left, -size % BLOCK)

    def _next_header(self) -> Header | None:
        """Read up to the next member's own header, and keep what the extended headers before it say.

        A global header says nothing: docker and containerd pass over it, too.
        """
        records: dict[str, bytes] = {}
        gnu: dict[str, bytes] = {}
        began = self._headers
        while True:
            block = self._exactly(BLOCK, may_end=True)
            if not block or not any(block):
                return None
            header = decode(block)
            if header.flag in (b"x", b"g"):
                found = self._extended(header, began)
                records |= parse_records(found) if header.flag == b"x" else {}
            elif header.flag in (b"L", b"K"):
                key = "path" if header.flag == b"L" else "linkpath"
                gnu[key] = self._extended(header, began).partition(b"\0")[0]
            else:
                # An empty value takes back what the header says, but an attribute may really be empty.
                meant = {key: value for key, value in records.items() if value or key.startswith(XATTR_RECORD)}
                self._records = gnu | meant
                return header

    def _size(self, header: Header) -> int:
        """Tell how many bytes of content follow; links and devices have none, whatever they state."""
        if header.flag not in (b"0", b"\0", b"7"):
            return 0
        size = _decimal(self._records["size"], "size") if "size" in self._records else header.size
        if size < 0:
            raise ContentError("not a tar: a file of negative size")
        return size

    def _entry(self, header: Header, size: int) -> LayerEntry | None:
        """Tell what a member says; None for what has no meaning in a layer."""
        records = self._records
        kind = KIND_OF.get(header.flag)
        if kind is None or any(key.startswith("GNU.sparse.") for key in records):
            flag = header.flag.decode("ascii", "backslashreplace")
            raise ContentError(f"the archive has a sparse file, or one of unknown type {flag!r}")
        raw = records.get("path", header.name)
        if kind is Kind.FILE and raw.endswith(b"/"):
            kind, size = Kind.DIRECTORY, 0  # tar before 1988 had no other way to say so
        path = self._clean(raw)
        folder, _, name = path.rpartition("/")
        if name.startswith(WHITEOUT_PREFIX):
            return mark_of(folder, name)
        if not path and kind is not Kind.DIRECTORY:
            return None  # the root is a directory, whatever a tar says; containerd and moby pass over it, too
        return Entry(
            path,
            kind,
            0o777 if kind is Kind.SYMLINK else header.mode & 0o7777,
            self._owner("uid", header.uid),
            self._owner("gid", header.gid),
            size,
            _bounded(_nanoseconds(records["mtime"]) if "mtime" in records else header.mtime * SECOND),
            self._link(kind, header),
            None,
            _device(header.device) if kind in (Kind.CHARACTER, Kind.BLOCK) else None,
            tuple(sorted((k[len(XATTR_RECORD) :], v) for k, v in records.items() if k.startswith(XATTR_RECORD))),
            self._at if kind is Kind.FILE else None,
        )

    def _owner(self, key: str, value: int) -> int:
        if key in self._records:
            value = _decimal(self._records[key], key)
        if not 0 <= value < 0xFFFFFFFF:
            raise ContentError(f"the archive has a file of {key} {value}, which no system can hold")
        return value

    def _link(self, kind: Kind, header: Header) -> str:
        raw = self._records.get("linkpath", header.link)
        if kind is Kind.HARDLINK:
            return self._clean(raw)
        if kind is not Kind.SYMLINK:
            return ""
        if not raw or len(raw) >= self._limits.path or b"\0" in raw:
            raise ContentError("the archive has a symbolic link to nowhere, or one that is too long")
        return raw.decode("utf-8", "surrogateescape")

    def _clean(self, raw: bytes) -> str:
        """Bring a member's name into our form, as if looked up in a root: ``..`` never leaves it."""
        parts: list[bytes] = []
        for part in raw.split(b"/"):
            if part == b"..":
                del parts[-1:]
            elif part not in (b"", b"."):
                parts.append(part)
        cleaned = b"/".join(parts)
        too_long = len(cleaned) >= self._limits.path or max(map(len, parts), default=0) > self._limits.name
        if too_long or b"\0" in cleaned:
            raise ContentError(f"the archive has a path that cannot be: {cleaned[:80]!r}")
        return cleaned.decode("utf-8", "surrogateescape")

    def _extended(self, header: Header, began: int) -> bytes:
        """Read the content of an extended header, without its padding; the member's headers ``began`` at that count."""
        size = header.size
        if not 0 <= size <= self._limits.header:
            raise ContentError(f"the archive has an extended header of {size} bytes")
        self._headers += max(size, 1)
        if self._headers - began > self._limits.header:
            raise ContentError(f"the archive has a file with extended headers of more than {self._limits.header} bytes")
        if self._headers > self._limits.headers:
            raise ContentError(f"the archive has extended headers of more than {self._limits.headers} bytes")
        return self._exactly(size + -size % BLOCK)[:size]

    def _exactly(self, size: int, *, may_end: bool = False) -> bytes:
        data = self._stream.read(size)
        while 0 < len(data) < size:
            more = self._stream.read(size - len(data))
            if not more:
                break
            data += more
        if len(data) != size and not (may_end and not data):
            raise ContentError("the tar is cut off")
        self._at += len(data)
        return data

    def _skip(self, left: int, padding: int) -> None:
        """Read past the rest of a member; its padding may be missing only at the very end."""
        while left:
            count = len(self._stream.read(min(left, CHUNK)))
            if not count:
                raise ContentError("the tar is cut off in the middle of a file")
            left -= count
        if padding:
            self._exactly(padding)


def _device(numbers: tuple[int, int]) -> tuple[int, int]:
    if not all(0 <= number <= most for number, most in zip(numbers, _LARGEST_DEVICE, strict=True)):
        raise ContentError(f"the archive has a device of number {numbers[0]}:{numbers[1]}, which no system can hold")
    return numbers


def _bounded(time_ns: int) -> int:
    return time_ns if abs(time_ns) <= _MOST_NS else 0


def _decimal(value: bytes, what: str) -> int:
    if not re.fullmatch(rb"-?\d{1,20}", value):
        raise ContentError(f"not a tar: {what} is no number")
    return int(value)


def _nanoseconds(value: bytes) -> int:
    """Read a PAX time, seconds with any number of decimals."""
    match = _TIME.match(value)
    if match is None:
        raise ContentError("not a tar: a time is no number")
    fraction = int((match[3] or b"")[:9].ljust(9, b"0"))
    whole = int(match[2]) * SECOND + fraction
    return -whole if match[1] else whole
