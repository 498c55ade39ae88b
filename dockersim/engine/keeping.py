"""Directories that are kept between builds: who uses one holds it, and nobody who prunes takes it away.

A lock on a file beside the directory says that it is in use; the kernel lets go of it when its holder ends, however
it ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dockersim.locks import lock, try_lock
from dockersim.snapshots.disk import delete, store_errors, try_rename
from dockersim.snapshots.sweep import new_path


def hold(place: Path) -> int:
    """Hold a directory, which need not be there yet, with others who use it, until the descriptor is closed."""
    descriptor = _open(place)
    lock(descriptor, shared=True)
    os.utime(_lock_of(place))  # see used_at; Windows does it by name alone
    return descriptor


def used_at(place: Path) -> float:
    """Say when a directory was last held, in seconds since 1970; 0 if it never was."""
    try:
        return _lock_of(place).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def names_in(folder: Path) -> list[str]:
    """Name the directories in ``folder``."""
    if not folder.is_dir():
        return []
    with store_errors("looking at the build cache"), os.scandir(folder) as listing:
        return sorted(item.name for item in listing if item.is_dir(follow_symlinks=False))


def remove_unused(places: Iterable[Path]) -> dict[str, int]:
    """Delete those of the directories that nobody holds; return their names with the bytes of their files."""
    with store_errors("pruning the build cache"):
        removed = {place.name: _remove(place) for place in places}
    return {name: size for name, size in removed.items() if size is not None}


def _remove(place: Path) -> int | None:
    """Delete one directory and return the bytes of its files; None if somebody holds it."""
    descriptor = _open(place)
    try:
        if not try_lock(descriptor):
            return None
        # Nobody must find the half of it, and what is left of a prune that was killed, the next one takes.
        doomed = new_path(str(place.parent))
        if not try_rename(str(place), doomed):
            doomed = str(place)
        size = size_of(doomed)
        delete(doomed)
    except FileNotFoundError:
        return None
    else:
        return size
    finally:
        os.close(descriptor)


def _open(place: Path) -> int:
    """Open the file that is locked; it stays, since to delete it would be to take it from who waits for it."""
    return os.open(_lock_of(place), os.O_RDWR | os.O_CREAT, 0o600)


def _lock_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.used")


def size_of(top: str) -> int:
    """Count the bytes of the files below a directory, each once."""
    sizes: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(top):
        for name in names:
            status = os.lstat(os.path.join(folder, name))
            sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())
