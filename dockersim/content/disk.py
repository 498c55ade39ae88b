"""What the disk says, as a StoreError of one plain line; and files that are locked by name."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dockersim.errors import StoreError
from dockersim.locks import lock, try_lock

TEMPORARY = "tmp"
"""Below a root: the directory of what is gone when the command that made it has ended."""

_ADVICE = {
    errno.ENOSPC: ("the disk is full", "free some space, or set DOCKERSIM_HOME to a larger disk"),
    errno.EDQUOT: ("your disk quota is used up", "free some space, or set DOCKERSIM_HOME to another disk"),
    errno.EACCES: ("not allowed", "make the directory yours, or set DOCKERSIM_HOME to one that is"),
    errno.EPERM: ("not allowed", "make the directory yours, or set DOCKERSIM_HOME to one that is"),
    errno.EROFS: ("the disk is read-only", "set DOCKERSIM_HOME to a directory that can be written"),
    errno.EMFILE: ("too many open files", "raise the limit with ulimit -n"),
    errno.ENOENT: ("it is gone", "has the store been deleted or swept meanwhile?"),
}


@contextmanager
def told_plainly(doing: str, path: os.PathLike[str] | str) -> Iterator[None]:
    """Turn an OSError inside into a StoreError: "cannot DOING PATH: why; what to do"."""
    try:
        yield
    except OSError as error:
        raise as_store_error(error, doing, path) from error


def as_store_error(error: OSError, doing: str, path: os.PathLike[str] | str) -> StoreError:
    """Put an OSError into one line."""
    why, hint = _ADVICE.get(error.errno or 0, (error.strerror or str(error), ""))
    return StoreError(f"cannot {doing} {os.fspath(path)}: {why}", hint=hint)


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock on ``path`` among all processes and threads; see ``dockersim.locks``."""
    with told_plainly("lock", path):
        descriptor = _open_for_lock(path)
    try:
        lock(descriptor, shared=shared)
        yield
    finally:
        os.close(descriptor)


def is_in_use(file: IO[Any]) -> bool:
    """Say whether a living process holds the lock of this file, by trying to take it."""
    return not try_lock(file.fileno())


def mark_in_use(file: IO[Any]) -> None:
    """Lock a file for as long as it is open; see ``is_in_use``."""
    lock(file.fileno())


def temporary_file(root: Path) -> IO[bytes]:
    """Open a file that nobody else sees and that goes when it is closed: in the root, as not everybody has a /tmp."""
    import tempfile  # 5 ms that most commands need not spend

    folder = root / TEMPORARY
    with told_plainly("make a temporary file in", folder):
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file in one step: readers see the old bytes or the new ones, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    with told_plainly("write", path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_private(path: Path, data: bytes) -> None:
    """Replace a file that only its owner can read, in one step, and have it on the disk. Raises OSError.

    It is unreadable to others before there is anything in it. A power cut leaves the old bytes or the new ones: an
    empty file of users or keys would let anybody in.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise


def _open_for_lock(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)
