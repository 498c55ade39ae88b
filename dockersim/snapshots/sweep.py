"""Directories that belong to one process while it works in them, and are swept away if it died.

The owner of such a directory holds a lock on the file ``lock`` in it. The kernel lets go of a lock when its
process ends, however it ends; so what is not locked any more is a dead process's, and can be deleted at once.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dockersim.content.disk import TEMPORARY, told_plainly
from dockersim.locks import try_lock
from dockersim.snapshots.disk import delete, delete_surely, try_rename

GONE = ".gone"
"""The end of the name of a directory that is being deleted, by whoever meets it."""


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
        descriptor = os.open(f"{path}/lock", os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    if not try_lock(descriptor) or not _is_there(f"{path}/lock", descriptor):
        os.close(descriptor)
        return None
    return Claim(path, descriptor)


def _is_there(path: str, descriptor: int) -> bool:
    """Say whether an open file is still the one at ``path``: between opening and locking it, it may have been swept."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def new_path(folder: str) -> str:
    """Name a directory in ``folder`` that nobody else will make."""
    return f"{folder}/{secrets.token_hex(6)}"


def claim_new(path: str) -> Claim:
    """Make a directory and lock it.

    The caller names it (``new_path``), and deletes it if a Ctrl-C arrives before the claim does.
    """
    while True:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue  # it is on its way out
        claimed = claim(path)
        if claimed is not None:
            return claimed
        # somebody sweeps it away, having come between the two calls


@contextmanager
def temporary_directory(root: Path) -> Iterator[Path]:
    """Have a directory for the length of a block, in the ``root``. Raises StoreError where none can be made."""
    parent = root / TEMPORARY
    with ExitStack() as stack:
        with told_plainly("make a temporary directory in", parent):
            made = stack.enter_context(room_in(parent))
        yield made


@contextmanager
def room_in(parent: Path) -> Iterator[Path]:
    """Have a directory in ``parent`` for the length of a block, and sweep away those of the dead. Raises OSError."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep(str(parent))
    path = new_path(str(parent))
    claimed = claim_new(path)
    try:
        yield Path(path)
    finally:
        bury(path)
        claimed.release()


def bury(path: str) -> None:
    """Delete a directory that the caller holds, or has just made.

    First it gets another name. Else its lock would be deleted before the rest, and who looks whether it is free would
    make a new one, and have half a directory that vanishes below his hands. The name is one of its own: whoever has
    just made a directory, and lost it to a sweep, makes it again (``claim_new``), and there may be two to bury.
    """
    # Not a random number: the kernel is asked for that, and a Ctrl-C meanwhile would leave the directory.
    grave = f"{path}.{time.monotonic_ns()}{GONE}"
    try:
        if not try_rename(path, grave):
            delete_surely(path)
    except FileNotFoundError:
        pass  # never made, or buried before
    finally:
        delete_surely(grave)


def sweep(folder: str) -> None:
    """Delete every directory in ``folder`` that nobody holds."""
    with os.scandir(folder) as found:
        names = [item.path for item in found if item.is_dir(follow_symlinks=False)]
    for path in names:
        if path.endswith(GONE):
            delete(path)
            continue
        claimed = claim(path)
        if claimed is not None:
            bury(path)
            claimed.release()
