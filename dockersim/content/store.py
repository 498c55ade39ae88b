"""The content store: blobs under their digests, in an OCI image layout.

Image-spec, image-layout.md: "The blobs directory contains content-addressable blobs ... The content of
``blobs/<alg>/<encoded>`` MUST match the digest ``<alg>:<encoded>``."
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from dockersim.content.disk import as_store_error, is_in_use, locked, mark_in_use, told_plainly, write_whole
from dockersim.digest import Digest, hex_of, parse_digest, sha256
from dockersim.errors import ContentError, StoreError
from dockersim.oci import LARGEST_DOCUMENT, LAYOUT_FILE, LAYOUT_JSON, Index

EMPTY = sha256(b"")
_CHUNK = 1 << 20
_STALE_SECONDS = 60.0
"""How long a half-written file is kept: until its writer has locked it, it looks abandoned."""
_MODE = 0o666 if sys.platform == "win32" else 0o444
"""What is in the store is never changed. The mode counts for later openings, not for the one that makes a file. But
Windows neither moves nor deletes what is read-only."""


class ContentStore:
    """Blobs by digest below ``root``; several threads and processes may use one root at once.

    Nothing is made on disk before the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"
        self._ingest = root / "ingest"
        self._sweep_lock = root / "sweep.lock"
        self._ready = False

    def path(self, digest: str) -> Path:
        """Return where a blob lies, or would lie; raise ContentError for what is no sha256 digest."""
        # Deviation: containerd also stores blobs under sha512 digests; here a pull checks what has one by it and stores
        # it under its sha256, while load and pull --all-platforms, which keep an index as it is, refuse it.
        return self._blobs / hex_of(digest)

    def has(self, digest: str) -> bool:
        """Say whether the blob is here. An empty file is none: a power cut leaves such (see ``Ingest.commit``)."""
        length = _length(self.path(digest))
        return length > 0 or (length == 0 and digest == EMPTY)

    def size(self, digest: str) -> int:
        """Return the size of a blob in bytes; raise ContentError if it is not here."""
        return self._found(digest).stat().st_size

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading; raise ContentError if it is not here."""
        path = self._found(digest)
        with told_plainly("read", path):
            return path.open("rb")

    def read(self, digest: str, *, limit: int = LARGEST_DOCUMENT) -> bytes:
        """Read a small blob whole and check it; raise ContentError if it is damaged, missing or too large."""
        if self.size(digest) > limit:
            raise ContentError(f"blob {digest} is larger than the {limit} bytes expected of its kind")
        with self.open(digest) as file, told_plainly("read", self.path(digest)):
            data = file.read()
        _check(digest, sha256(data))
        return data

    def put(self, data: bytes) -> Digest:
        """Store ``data`` and return its digest. Repeatable."""
        digest = sha256(data)
        if not self.keep(digest, len(data)):
            with self.ingest() as ingest:
                ingest.file.write(data)
                ingest.commit(digest)
        return digest

    @contextmanager
    def writer(self, expected: str = "") -> Iterator[BlobWriter]:
        """Write a blob piece by piece; what is not committed when the block ends is dropped.

        ``with store.writer() as blob: blob.write(chunk); digest = blob.commit(expected)``

        A sha512 digest that is to be ``expected`` in the end must be told now.
        """
        with self.ingest() as ingest:
            yield BlobWriter(ingest, "sha512" if expected.startswith("sha512:") else "sha256")

    @contextmanager
    def ingest(self) -> Iterator[Ingest]:
        """Give a temporary file to a caller who hashes what it writes; see ``writer`` for the others."""
        self.prepare()
        path = self._ingest / f"{os.getpid()}-{os.urandom(6).hex()}"
        try:  # from here on, since a Ctrl-C may well arrive while the file is being made
            with told_plainly("write to", self._ingest):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _MODE)
            with io.BufferedWriter(_BlobFile(descriptor, path)) as file:
                mark_in_use(file)
                yield Ingest(self, path, file)
        finally:
            path.unlink(missing_ok=True)

    def keep(self, digest: str, size: int | None = None) -> bool:
        """Say whether the blob is here, and if so make it young, so that no sweep takes it now.

        Whoever knows its ``size`` is not told of one that a power cut has shortened, and can write it anew.
        """
        if not self.has(digest) or size not in (None, _length(self.path(digest))):
            return False
        with self.sharing():
            return self.touch(digest)

    def touch(self, digest: str) -> bool:
        """Do as ``keep`` does; the caller holds ``sharing()``."""
        try:
            os.utime(self.path(digest))
        except FileNotFoundError:
            return False
        except PermissionError:
            return self.has(digest)  # another user's store, readable to us; whoever owns it also sweeps it
        return True

    def delete(self, digest: str) -> None:
        """Delete a blob. Repeatable."""
        with told_plainly("delete", self.path(digest)):
            self.path(digest).unlink(missing_ok=True)

    def walk(self) -> Iterator[Digest]:
        """Yield the digest of every blob, in no order."""
        if not self._blobs.is_dir():
            return
        with told_plainly("list", self._blobs), os.scandir(self._blobs) as found:
            names = [entry.name for entry in found]
        for name in names:
            if len(name) == 64:
                yield parse_digest(f"sha256:{name}")

    def verify(self, digest: str) -> None:
        """Hash a blob anew; raise ContentError if it is missing or damaged."""
        with self.open(digest) as file, told_plainly("read", self.path(digest)):
            found = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                found.update(chunk)
        _check(digest, f"sha256:{found.hexdigest()}")

    def prepare(self) -> None:
        """Make the directories and the two marker files of a layout. Repeatable."""
        if self._ready:
            return
        with told_plainly("make a store in", self.root):
            self._blobs.mkdir(parents=True, exist_ok=True)
            self._ingest.mkdir(exist_ok=True)
        for name, content in ((LAYOUT_FILE, LAYOUT_JSON), ("index.json", Index().to_json())):
            if not (self.root / name).exists():
                self._write_first(name, content)
        self._ready = True
        self.remove_abandoned(time.time())  # who writes for the first time tidies up after those who were killed

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Keep sweeps out for a moment, so that what is seen to be here stays until it is protected."""
        with locked(self._sweep_lock, shared=True):
            yield

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """Be the only one to sweep, while nobody is about to protect a blob."""
        self.prepare()
        with locked(self._sweep_lock):
            yield

    def remove_abandoned(self, now: float) -> int:
        """Delete the half-written files of processes that are no more; return how many bytes that freed."""
        freed = 0
        for path in self._ingest.iterdir() if self._ingest.is_dir() else ():
            try:
                status = path.stat()
                if now - status.st_mtime <= _STALE_SECONDS:
                    continue
                with path.open("rb") as file:
                    dead = not is_in_use(file)
                if dead:
                    path.unlink()
                    freed += status.st_size
            except (FileNotFoundError, PermissionError):
                continue  # committed just now, or another user's
        return freed

    def _write_first(self, name: str, content: bytes) -> None:
        # Two processes may make one store at once, and the one that comes second must not undo what the first
        # has put into index.json since.
        with locked(self.root / "index.lock"):
            if not (self.root / name).exists():
                write_whole(self.root / name, content)

    def _found(self, digest: str) -> Path:
        path = self.path(digest)
        if not self.has(digest):
            raise ContentError(f"blob {digest} is not in the store", hint="pull or build the image again")
        return path


class _BlobFile(io.FileIO):
    """A file whose failing writes are StoreErrors; other failures while it is open are not its own."""

    def __init__(self, descriptor: int, path: Path) -> None:
        super().__init__(descriptor, "wb")
        self._path = path

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise as_store_error(error, "write to", self._path.parent) from error


class Ingest:
    """A temporary file that becomes a blob by ``commit``; ``file`` is open for writing."""

    def __init__(self, store: ContentStore, path: Path, file: BinaryIO) -> None:
        self._store = store
        self._path = path
        self.file = file

    def commit(self, digest: str) -> None:
        """Make what was written the blob ``digest``, which the caller knows to be right.

        The bytes reach the disk when the kernel finds time: a kill of the process loses nothing, a power cut
        may leave a blob that ``verify`` refuses. Waiting for the disk here would cost more than many a step.
        """
        self.file.flush()
        if self._store.keep(digest, os.fstat(self.file.fileno()).st_size):
            return
        self.file.close()  # Windows moves no open file
        with self._store.sharing(), told_plainly("write to", self._path.parent):
            os.utime(self._path)
            self._path.replace(self._store.path(digest))


class BlobWriter:
    """Writes and hashes one blob; ``algorithm`` is that of the digest by which it is checked."""

    def __init__(self, ingest: Ingest, algorithm: str = "sha256") -> None:
        self._ingest = ingest
        self._algorithms = {"sha256", algorithm}
        self._hashes = self._begun()
        self._committed = False
        self.size = 0

    def write(self, chunk: bytes | bytearray | memoryview) -> int:
        """Write a piece; return its length."""
        if self._committed:
            raise StoreError("the blob is committed; nothing can be added to it")
        for one in self._hashes.values():
            one.update(chunk)
        self._ingest.file.write(chunk)
        self.size += len(chunk)
        return len(chunk)

    def clear(self) -> None:
        """Drop what was written, to begin again."""
        self._ingest.file.seek(0)
        self._ingest.file.truncate()
        self._hashes = self._begun()
        self.size = 0

    def _begun(self) -> dict[str, hashlib._Hash]:
        return {name: hashlib.new(name) for name in self._algorithms}

    @property
    def digest(self) -> Digest:
        """The digest of what was written, under which it is stored."""
        return Digest(f"sha256:{self._hashes['sha256'].hexdigest()}")

    def flush(self) -> None:
        """Hand what was written to the kernel."""
        self._ingest.file.flush()

    def commit(self, expected: str | None = None, *, size: int | None = None) -> Digest:
        """Make what was written a blob and return its digest.

        Raises ContentError, and keeps nothing, if it is not the ``expected`` digest or ``size``.
        """
        digest = self.digest
        if size is not None and size != self.size:
            raise ContentError(f"got {self.size} bytes of a blob that should have {size}", hint="try again")
        if expected:
            algorithm = expected.partition(":")[0]
            hashed = self._hashes.get(algorithm)
            _check(expected, f"{algorithm}:{hashed.hexdigest()}" if hashed else digest)
        self._ingest.commit(digest)
        self._committed = True
        return digest


def copy(source: BinaryIO, blob: BlobWriter) -> None:
    """Copy a stream to its end into a blob."""
    while chunk := source.read(_CHUNK):
        blob.write(chunk)


def _length(path: Path) -> int:
    """Tell the bytes of a file, -1 if it is not here, or in a folder that may not be entered."""
    try:
        status = os.stat(path)
    except OSError:
        return -1
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def _check(expected: str, found: str) -> None:
    if expected != found:
        raise ContentError(
            f"blob {expected} is damaged: its content has the digest {found}",
            hint="delete it and pull or build the image again",
        )
