"""Writing a layer: one pass over the bytes, which hashes every file and the whole tar on the way.

A layer's diff id is the sha256 of its uncompressed tar (image-spec, config.md), so equal entries must give
equal bytes: headers have one form (``tar_header``), times are whole seconds, the caller's order is the tar's
order.

>>> from io import BytesIO; from dockersim.digest import sha256
>>> out = BytesIO()
>>> writer = LayerWriter(out)
>>> writer.add(Entry("hello", Kind.FILE), b"hi").data     # the content begins behind one header block
512
>>> diff_id, size, entries = writer.close()
>>> size, diff_id == sha256(out.getvalue())
(2048, True)
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO, Protocol

from msgspec.structs import replace

from dockersim.digest import DiffID, Digest
from dockersim.errors import BuildError, ContentError
from dockersim.filesystem.entry import Entry, Kind, LayerEntry, Opaque, Whiteout
from dockersim.filesystem.tar_header import BLOCK, encode, whiteout

WHITEOUT_PREFIX = ".wh."
OPAQUE_NAME = ".wh..wh..opq"
CHUNK = 1 << 18
"""256 KiB: small enough to be hashed twice and written while it is in the processor's cache."""


class Readable(Protocol):
    """What content is read from: a file, a member of another tar; ``readinto`` is used where there is one."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none only at the end."""


class LayerWriter:
    """Writes entries and their contents as one tar into ``out``, a buffered file; it is not closed."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self._waiting = bytearray()  # small pieces, until they are worth hashing and writing
        self._written = 0
        self._entries: list[LayerEntry] = []
        self._chunk = memoryview(bytearray(CHUNK))

    def add(self, entry: LayerEntry, content: Readable | bytes | None = None, *, trusted: bool = False) -> LayerEntry:
        """Write one entry and return it as it is now known: a FILE with size, digest and ``data``.

        The tar holds whole seconds only. The time that is returned is the whole one, by which a file that a command
        wrote anew within the same second can be told from one it left alone.
        A FILE's content is either bytes, which also give the size, or a stream of exactly ``entry.size``
        bytes. If the entry has a digest the content must match it (else ContentError), unless it is
        ``trusted``: then the content is not hashed once more, which is right for what comes from another
        layer.
        """
        if isinstance(entry, Entry):
            mark = _hidden_mark(entry)
            written: LayerEntry = self._add_entry(entry, content, trusted)
            if mark is not entry:
                self._entries.extend([mark] if mark is not None else [])
                return written
        else:
            written = entry
            folder, _, name = entry.path.rpartition("/")
            if isinstance(entry, Opaque):
                folder, name = entry.path, OPAQUE_NAME
            else:
                name = WHITEOUT_PREFIX + name
            self._write(whiteout(f"{folder}/{name}" if folder else name))
        self._entries.append(written)
        return written

    def close(self) -> tuple[DiffID, int, tuple[LayerEntry, ...]]:
        """End the tar; return its diff id, its size and all entries as they were written."""
        self._write(bytes(2 * BLOCK))
        self._flush()
        return DiffID("sha256:" + self._hash.hexdigest()), self._written, tuple(self._entries)

    def _add_entry(self, entry: Entry, content: Readable | bytes | None, trusted: bool) -> Entry:
        if entry.kind is not Kind.FILE:
            self._write(encode(entry))
            return entry
        if content is None:
            content = b""
        size = len(content) if isinstance(content, bytes) else entry.size
        if size != entry.size:
            entry = replace(entry, size=size)
        self._write(encode(entry))
        start = self._written + len(self._waiting)
        if isinstance(content, bytes):
            digest = entry.digest if trusted and entry.digest else _hash_bytes(content)
            self._write(content)
        else:
            digest = self._copy(entry, content, trusted)
        if entry.digest is not None and digest != entry.digest:
            raise _changed(entry, "content is not what it was")
        padding = -size % BLOCK
        if padding:
            self._write(bytes(padding))
        return Entry(
            entry.path, Kind.FILE, entry.mode, entry.uid, entry.gid, size, entry.mtime_ns,
            digest=digest, xattrs=entry.xattrs, data=start,
        )  # fmt: skip

    def _copy(self, entry: Entry, content: Readable, trusted: bool) -> Digest:
        """Copy a stream of ``entry.size`` bytes into the tar and hash it."""
        if entry.size <= CHUNK // 4:
            data = content.read(entry.size + 1)
            if len(data) == entry.size:  # else it is a stream that gives its bytes in pieces
                self._write(data)
                return entry.digest if trusted and entry.digest else _hash_bytes(data)
            content = _Joined(data, content)
        known = entry.digest if trusted else None
        self._flush()
        file_hash, left, chunk = hashlib.sha256(), entry.size, self._chunk
        while left:
            count = read_into(content, chunk[: min(left, CHUNK)])
            if not count:
                break
            piece = chunk[:count]
            if known is None:
                file_hash.update(piece)
            self._emit(piece)
            left -= count
        if left or content.read(1):
            raise _changed(entry, f"size is no longer {entry.size} bytes")
        return known or Digest("sha256:" + file_hash.hexdigest())

    def _write(self, data: bytes) -> None:
        if len(self._waiting) + len(data) > CHUNK:
            self._flush()
            if len(data) > CHUNK:
                self._emit(data)
                return
        self._waiting += data

    def _flush(self) -> None:
        self._emit(self._waiting)
        self._waiting = bytearray()

    def _emit(self, data: bytes | bytearray | memoryview) -> None:
        self._hash.update(data)
        self._out.write(data)
        self._written += len(data)


class _Joined:
    """A stream again, after its first bytes have been read."""

    def __init__(self, first: bytes, rest: Readable) -> None:
        self._first, self._rest = first, rest

    def read(self, size: int, /) -> bytes:
        if self._first:
            data, self._first = self._first[:size], self._first[size:]
            return data
        return self._rest.read(size)


def mark_of(folder: str, name: str) -> Whiteout | Opaque | None:
    """Read a name that begins with ``.wh.``; None for the other names AUFS kept for itself.

    Raises ContentError for those that containerd refuses as well (pkg/archive/tar.go, "invalid whiteout name"): they
    would delete the directory they stand in, or the one above.
    """
    if name == OPAQUE_NAME:
        return Opaque(folder)
    if name.startswith(WHITEOUT_PREFIX * 2):
        return None
    hidden = name[len(WHITEOUT_PREFIX) :]
    if hidden in ("", ".", ".."):
        raise ContentError(f"the archive has a whiteout of {hidden!r}, which is no name")
    return Whiteout(f"{folder}/{hidden}" if folder else hidden)


def _hidden_mark(entry: Entry) -> LayerEntry | None:
    """Tell what an entry is once it is in a layer: a file that is called as a whiteout is one."""
    folder, _, name = entry.path.rpartition("/")
    if not name.startswith(WHITEOUT_PREFIX):
        return entry
    # Deviation: a file called .wh.NAME is a whiteout in the image. To later steps of the same build BuildKit shows it
    # as a file; here NAME is hidden at once. For .wh. alone BuildKit writes an image that containerd refuses to
    # unpack; here the step fails.
    try:
        return mark_of(folder, name)
    except ContentError as error:
        message = f"/{entry.path}: in a layer that name means a deletion, and of nothing that could be deleted"
        raise BuildError(message, hint="give it another name, or leave it out with .dockerignore") from error


def _changed(entry: Entry, how: str) -> ContentError:
    return ContentError(f"/{entry.path}: its {how}", hint="it changed while it was read; build again")


def _hash_bytes(data: bytes) -> Digest:
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def read_into(stream: Readable, room: memoryview) -> int:
    """Read some bytes into ``room``, without a copy where the stream can do that."""
    readinto = getattr(stream, "readinto", None)
    if readinto is not None:
        return int(readinto(room) or 0)
    data = stream.read(len(room))
    room[: len(data)] = data
    return len(data)
