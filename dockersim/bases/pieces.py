"""The parts a root file system is collected from: every path, and where its bytes come from.

An image is just files. Nothing here looks at what they are for; it only keeps three promises that make the
layer of the same machine the same bytes each time: one order, one time stamp, one owner.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from msgspec import Struct

from dockersim.errors import ImageError
from dockersim.filesystem.entry import Entry, Kind

EPOCH = 315_532_800
"""1980-01-01, the time of every file we collect, in seconds since 1970.

It is the earliest time that a zip file can hold; Cloud Native Buildpacks and nixpkgs date their reproducible
output so, because with 0 ``pip`` and ``zip`` stop working inside.
"""

MAX_LINKS = 40
"""How many symbolic links one path may lead through; the kernel's own limit (path_resolution(7))."""


class Piece(Struct, frozen=True):
    """One path of a root file system in the making.

    ``source`` is where a FILE's content is: a path of the host, or the bytes themselves; None for what is no
    FILE.
    """

    entry: Entry
    source: str | bytes | None = None


class FileSet:
    """A root file system in the making: from paths as in an ``Entry`` to pieces.

    The parents of everything that is added are added with it.
    """

    def __init__(self) -> None:
        self._pieces: dict[str, Piece] = {}

    def __contains__(self, path: str) -> bool:
        return path.strip("/") in self._pieces

    def __iter__(self) -> Iterator[Piece]:
        """Yield the pieces in layer order: a directory before what is in it, names by byte value."""
        for path in sorted(self._pieces, key=layer_order):
            yield self._pieces[path]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(piece.entry.size for piece in self._pieces.values())

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory; one that is there already gets ``mode``."""
        self._put(Entry(path.strip("/"), Kind.DIRECTORY, mode, mtime_ns=EPOCH * 10**9))

    def text(self, path: str, text: str, mode: int = 0o644) -> None:
        """Add a file that holds ``text``."""
        self.data(path, text.encode(), mode)

    def data(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file that holds ``data``."""
        entry = Entry(path.strip("/"), Kind.FILE, mode, size=len(data), mtime_ns=EPOCH * 10**9)
        self._put(entry, data)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._put(Entry(path.strip("/"), Kind.SYMLINK, 0o777, mtime_ns=EPOCH * 10**9, link=target))

    def copy(self, source: str, path: str) -> None:
        """Add the host's file ``source`` as ``path``; links on the way to ``source`` are followed."""
        status = _status(source)
        entry = Entry(
            path.strip("/"),
            Kind.FILE,
            _plain_mode(status.st_mode),
            size=status.st_size,
            mtime_ns=EPOCH * 10**9,
        )
        self._put(entry, source)

    def host(self, path: str) -> str:
        """Add the host's file or directory ``path`` where it stands, and every link that leads to it.

        So ``/bin/sh`` brings ``/bin -> usr/bin`` and ``/usr/bin/sh -> dash`` where the host has them, and the
        image gets the host's layout (merged /usr or not) without our knowing of it. Returns the path behind
        the links.
        """
        todo = [part for part in reversed(path.split("/")) if part]
        here, links = "", 0
        while todo:
            name = todo.pop()
            if name in (".", ".."):
                here = os.path.dirname(here) if name == ".." else here
                continue
            step = f"{here}/{name}"
            status = _status(step, follow=False)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if links > MAX_LINKS:
                    raise ImageError(f"{path} leads through more than {MAX_LINKS} links")
                target = os.readlink(step)
                self.link(step, target)
                here = "" if target.startswith("/") else here
                todo.extend(part for part in reversed(target.split("/")) if part)
            elif stat.S_ISDIR(status.st_mode):
                if step not in self:
                    self.directory(step)
                here = step
            else:
                self.copy(step, step)
                here = step
        return here

    def minus(self, below: FileSet) -> FileSet:
        """Return what is here and not in ``below``: the layer that goes on top of it, with the parents it needs."""
        upper = FileSet()
        for path, piece in self._pieces.items():
            if below._pieces.get(path) != piece:
                upper._put(piece.entry, piece.source)
        return upper

    def update(self, other: Iterable[Piece]) -> None:
        """Add everything of ``other``."""
        for piece in other:
            self._put(piece.entry, piece.source)

    def _put(self, entry: Entry, source: str | bytes | None = None) -> None:
        parent = os.path.dirname(entry.path)
        if parent and parent not in self._pieces:
            self.directory(parent)
        self._pieces[entry.path] = Piece(entry, source)


def layer_order(path: str) -> list[bytes]:
    """Return the key by which the paths of a layer are sorted."""
    return [os.fsencode(part) for part in path.split("/")]


def _status(path: str, *, follow: bool = True) -> os.stat_result:
    try:
        return os.stat(path, follow_symlinks=follow)
    except OSError as error:
        raise ImageError(f"a starter image cannot have {path}: {error.strerror}") from error


def _plain_mode(mode: int) -> int:
    # The umask of whoever installed the file is no property of it: what its owner can read, all can.
    return (mode & 0o7000) | (0o755 if mode & 0o100 else 0o644)
