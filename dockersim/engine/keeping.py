"""Directories that are kept between builds: who uses one holds it, and nobody who prunes takes it away.

A lock on a file beside the directory says that it is in use; the kernel lets go of it when its holder ends, however
it ends.
"""

from __future__ import annotations

import os
from pathlib import Path

from dockersim.locks import lock, try_lock
from dockersim.snapshots.disk import delete, store_errors, try_rename
from dockersim.snapshots.sweep import new_path


def hold(place: Path) -> int:
    """Hold a directory, which need not be there yet, with others who use it, until the descriptor is closed."""
    descriptor = _open(place)
    lock(descriptor, shared=True)
    return descriptor


def sizes_of(folder: Path) -> dict[str, int]:
    """Give the bytes of the files of every directory in ``folder``, by its name."""
    if not folder.is_dir():
        return {}
    with store_errors("looking at the build cache"):
        return {path.name: size_of(str(path)) for path in sorted(folder.iterdir()) if path.is_dir()}


def remove_unused(folder: Path) -> dict[str, int]:
    """Delete every directory in ``folder`` that nobody holds; return their names with the bytes of their files."""
    if not folder.is_dir():
        return {}
    with store_errors("pruning the build cache"):
        with os.scandir(folder) as listing:
            names = sorted(item.name for item in listing if item.is_dir(follow_symlinks=False))
        removed = {name: _remove(folder / name) for name in names}
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
    return os.open(place.with_name(f"{place.name}.used"), os.O_RDWR | os.O_CREAT, 0o600)


def size_of(top: str) -> int:
    """Count the bytes of the files below a directory, each once."""
    sizes: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(top):
        for name in names:
            status = os.lstat(os.path.join(folder, name))
            sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())
