"""Blobs on disk, by digest, and the sessions by which they arrive.

A session is a file that only grows. When it is closed its hash is compared with the digest the client names, and the
file is renamed into place: so a blob is there whole and right, or not at all, whenever the process dies.

What an acknowledgement promises: after a kill -9 everything acknowledged is there, since the kernel has it. After a
power cut nothing is half there, since bytes are on the disk (fsync) before they get their name; but the names of the
last seconds may be gone with the file system's journal. distribution's filesystem driver, too, syncs files and no
folders.

The blobs of all repositories lie together; which repository may show which is told by ``repositories``.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from dockersim.registry.problems import Code, Problem

READ: Final = 256 * 1024
"""Bytes that a thread reads or writes at a time: enough to be fast, and little beside 200 clients at once."""


class Blobs:
    """Verified content under ``root``; callers pass digests that ``names.digest`` has let through."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Say where a blob lies, or would."""
        algorithm, _, encoded = digest.partition(":")
        return self.root / algorithm / encoded

    def size(self, digest: str) -> int | None:
        """Return the size in bytes, None if there is no such blob."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def open(self, digest: str) -> BinaryIO:
        """Open a blob, which can then be read even if it is deleted meanwhile; raise FileNotFoundError."""
        return self.path(digest).open("rb", buffering=0)

    def read(self, digest: str) -> bytes:
        """Read a blob whole and check it: for manifests, whose size has a limit."""
        data = self.path(digest).read_bytes()
        algorithm, _, encoded = digest.partition(":")
        if hashlib.new(algorithm, data).hexdigest() != encoded:
            raise Problem(Code.UNKNOWN, f"{digest} is damaged on the registry's disk; push it again")
        return data

    def adopt(self, upload: Path, digest: str) -> None:
        """Take over a file whose hash is known to be ``digest``, and whose bytes are on the disk. May be repeated."""
        target = self.path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(upload, target)

    def all(self) -> Iterator[str]:
        """Go through the digests of everything stored."""
        for algorithm in ("sha256", "sha512"):
            folder = self.root / algorithm
            if folder.is_dir():
                yield from (f"{algorithm}:{entry.name}" for entry in os.scandir(folder))

    def bytes(self) -> int:
        """Add up everything stored."""
        return sum(self.size(digest) or 0 for digest in self.all())

    def remove(self, digest: str) -> int:
        """Delete a blob; return the bytes freed."""
        size = self.size(digest) or 0
        self.path(digest).unlink(missing_ok=True)
        return size


class Upload:
    """One session: bytes are appended and hashed as they come. Not for two requests at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hash = hashlib.sha256()
        self._hashed = 0

    @classmethod
    def start(cls, folder: Path) -> Upload:
        """Open a new session in ``folder``; its name cannot be guessed."""
        folder.mkdir(parents=True, exist_ok=True)
        upload = cls(folder / uuid.uuid4().hex)
        upload.path.touch()
        return upload

    @classmethod
    def resume(cls, path: Path) -> Upload:
        """Take a session up again that another process, or a cut-off request, has left."""
        if not path.is_file():
            raise _unknown()
        return cls(path)

    @property
    def name(self) -> str:
        """The name by which requests know the session."""
        return self.path.name

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError as error:
            raise _unknown() from error

    def append(self, data: bytes | bytearray) -> None:
        """Add bytes at the end."""
        self._catch_up()
        # Not "ab": a session that another request has finished must not come to life again.
        with self._opened() as file:
            file.seek(self._hashed)
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
        self._hash.update(data)
        self._hashed += len(data)

    def digest(self, algorithm: str) -> str:
        """Return the digest of what has arrived."""
        if algorithm != "sha256":
            return f"{algorithm}:{_hash_file(self.path, algorithm)}"
        self._catch_up()
        return f"sha256:{self._hash.hexdigest()}"

    def discard(self) -> None:
        """Give the session up."""
        self.path.unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        try:
            return self.path.open("r+b", buffering=0)
        except FileNotFoundError as error:
            raise _unknown() from error

    def _catch_up(self) -> None:
        """Hash what is in the file but was not hashed by us: after a restart, all of it."""
        if self._hashed != self.size:
            self._hash, self._hashed = hashlib.sha256(), 0
            for piece in pieces(self._opened(), 0, self.size):
                self._hash.update(piece)
                self._hashed += len(piece)


def _unknown() -> Problem:
    return Problem(Code.BLOB_UPLOAD_UNKNOWN, "blob upload unknown to registry")


def pieces(file: BinaryIO, first: int, length: int) -> Iterator[bytes]:
    """Read ``length`` bytes of an open file from ``first`` on, a piece at a time, and close it."""
    left = length
    with file:
        file.seek(first)
        while left > 0 and (piece := file.read(min(READ, left))):
            left -= len(piece)
            yield piece


def sync(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("r+b") as file:  # Windows syncs only what is open for writing
        os.fsync(file.fileno())


def _hash_file(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
