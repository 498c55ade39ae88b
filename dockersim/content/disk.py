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


def temporary_directory() -> str:
    """Name the directory for temporary files. Raises StoreError where there is none."""
    import tempfile  # takes its time to import, and a cached build needs none

    try:
        return tempfile.gettempdir()
    except FileNotFoundError as error:  # not the system's error: it has tried all that it knows
        raise StoreError(
            "there is no directory for temporary files that can be written to", hint="set TMPDIR to one"
        ) from error


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


def _open_for_lock(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)
