"""Directories that belong to one process while it works in them, and are swept away if it died.

The owner of such a directory holds a lock on the file ``lock`` in it. The kernel lets go of a lock when its
process ends, however it ends; so what is not locked any more is a dead process's, and can be deleted at once.
"""

from __future__ import annotations

import fcntl
import os

from dockersim.snapshots.disk import delete


class Claim:
    """A lock on a directory, held until ``release`` or until this process ends."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have the directory."""
        os.close(self._descriptor)


def claim(path: str) -> Claim | None:
    """Lock a directory for this process; None if another one has it, or it is gone."""
    try:
        descriptor = os.open(f"{path}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Claim(path, descriptor)


def claim_new(folder: str, prefix: str) -> Claim:
    """Make a directory of a new name in ``folder`` and lock it."""
    number = 0
    while True:
        path = f"{folder}/{prefix}{number}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            number += 1
            continue
        claimed = claim(path)
        if claimed is not None:
            return claimed
        number += 1  # somebody swept it away between the two calls


def sweep(folder: str) -> None:
    """Delete every directory in ``folder`` that nobody holds."""
    with os.scandir(folder) as found:
        names = [item.path for item in found if item.is_dir(follow_symlinks=False)]
    for path in names:
        claimed = claim(path)
        if claimed is not None:
            delete(path)
            claimed.release()
