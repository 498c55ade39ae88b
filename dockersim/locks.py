"""Locks on open files, among processes and threads: who dies lets go of them, however it dies.

A lock belongs to one opening of a file, and is given back by closing it; so it also excludes other threads, and must
not be waited for twice by one of them. On Linux and macOS this is flock(2). A library such as filelock would do for
most of it, but has no shared locks, and makes and deletes the files that it locks, where ours are there for other
reasons: a blob that is being written, a lease, a container's folder.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt
    import os
    import time

    _FAR = 0x7FFF_FFF0
    """Which byte stands for the file: there others cannot read what is locked, so it is one that nobody reads."""
    _PAUSE = 0.01

    def lock(descriptor: int, *, shared: bool = False) -> None:
        """Wait for the lock; Windows' C library has no shared ones, so all exclude each other, which is only slower."""
        while not try_lock(descriptor):
            time.sleep(_PAUSE)

    def try_lock(descriptor: int) -> bool:
        """Take the lock if nobody has it, and say whether it was taken."""
        here = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(descriptor, here, os.SEEK_SET)
        return True

else:
    import fcntl

    def lock(descriptor: int, *, shared: bool = False) -> None:
        """Wait for the lock; those who take it ``shared`` exclude only those who do not."""
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def try_lock(descriptor: int) -> bool:
        """Take the lock if nobody has it, and say whether it was taken."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
