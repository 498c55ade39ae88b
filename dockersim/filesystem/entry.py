"""One path in a layer: a file, a directory, a link, a device, or the mark that something below is gone.

The vocabulary is the tar header's (image-spec, layer.md): what a layer can say about a path is what a tar
can.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from dockersim.digest import Digest


class Kind(Enum):
    """What stands at a path. The values are the words of the trace document."""

    FILE = "file"
    DIRECTORY = "dir"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    FIFO = "fifo"
    CHARACTER = "char"
    BLOCK = "block"


class Entry(Struct, frozen=True):
    """What a layer says stands at ``path``.

    ``path`` has no slash at either end and no ``.``, ``..`` or empty part; the root itself is ``""``.
    ``mode`` holds the permission bits and set-uid, set-gid and sticky (``0o7777``), ``mtime_ns`` nanoseconds
    since 1970, ``size`` bytes, ``digest`` the sha256 of a FILE's content. ``link`` is a SYMLINK's target as
    written, or for a HARDLINK the path (in the same layer) that it is another name of. ``device`` is (major,
    minor). ``data`` is where a FILE's content begins in its layer's uncompressed tar, once that has been
    written.
    """

    path: str
    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    link: str = ""
    digest: Digest | None = None
    device: tuple[int, int] | None = None
    xattrs: tuple[tuple[str, bytes], ...] = ()
    data: int | None = None


class Whiteout(Struct, frozen=True):
    """The mark that ``path``, which a lower layer has, is deleted (``.wh.NAME`` in the tar)."""

    path: str


class Opaque(Struct, frozen=True):
    """The mark that nothing below ``path``, a directory, shows through (``.wh..wh..opq`` in the tar)."""

    path: str


LayerEntry: TypeAlias = Entry | Whiteout | Opaque


def content_bytes(entries: Iterable[LayerEntry]) -> int:
    """Count a layer's bytes as ``docker history`` does: its files, and its links by the length of their targets.

    The real thing is moby's directory.Size, over the layer's directory: further names of a file count nothing, nor do
    directories.
    """
    total = 0
    for entry in entries:
        if isinstance(entry, Entry):
            if entry.kind is Kind.FILE:
                total += entry.size
            elif entry.kind is Kind.SYMLINK:
                total += len(entry.link.encode("utf-8", "surrogateescape"))
    return total
