"""Leases: what a running build needs and no image names yet, written down so that a sweep spares it.

A lease is a file that its process holds locked. The kernel drops the lock when the process ends, however it
ends, so a lease needs no expiry and none is left behind. (containerd's leases are records that expire: its
clients may be on the other side of a socket.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from dockersim.content.disk import is_in_use, mark_in_use, told_plainly
from dockersim.content.store import ContentStore
from dockersim.digest import Digest, parse_digest
from dockersim.errors import ContentError


class Lease:
    """Protects blobs, and all that they refer to, until it is closed."""

    def __init__(self, content: ContentStore, file: BinaryIO) -> None:
        self._content = content
        self._file = file

    def add(self, digest: str) -> bool:
        """Protect a blob from now on, and say whether it is here; if so it is young, since it is used. Repeatable."""
        with self._content.sharing():
            self._file.write(f"{parse_digest(digest)}\n".encode())
            self._file.flush()
            return self._content.touch(digest)


@contextmanager
def lease(content: ContentStore) -> Iterator[Lease]:
    """Take a lease for the length of a block."""
    folder = content.root / "leases"
    path = folder / f"{os.getpid()}-{os.urandom(6).hex()}"
    content.prepare()
    with told_plainly("write to", folder):
        folder.mkdir(exist_ok=True)
        # Under the lock of sweeps: one that ran between the making and the locking would take the lease for
        # dead.
        with content.sharing():
            file = path.open("xb")
            mark_in_use(file)
    try:
        with file:
            yield Lease(content, file)
    finally:
        path.unlink(missing_ok=True)


def leased(content: ContentStore) -> Iterator[Digest]:
    """Yield what living leases name, and delete dead ones; the caller holds ``content.sweeping()``."""
    folder = content.root / "leases"
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            with path.open("rb") as file:
                dead = not is_in_use(file)
                lines = file.read().decode("ascii", "replace").splitlines()
        except FileNotFoundError:
            continue
        if dead:
            path.unlink(missing_ok=True)
            continue
        for line in lines:
            try:
                yield parse_digest(line)
            except ContentError:
                continue  # the last line of a lease whose process is being killed
