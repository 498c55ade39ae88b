"""Archives that ADD unpacks: tar, plain or packed with gzip, bzip2, xz or zstd, told by content and not by name.

The real thing is moby's pkg/archive (``DetectCompression``, ``IsArchive``).
"""

from __future__ import annotations

import tempfile
from typing import IO, BinaryIO, cast

from msgspec import Struct

from dockersim.content.compression import BZIP2_MAGIC, GZIP_MAGIC, XZ_MAGIC, ZSTD_MAGIC, any_unpacked, first_bytes
from dockersim.content.disk import temporary_directory, told_plainly
from dockersim.engine.windows import window
from dockersim.errors import BuildError, ContentError
from dockersim.filesystem import LayerEntry, Node, index_layer
from dockersim.filesystem.tar_header import decode

_BLOCK = 512
_CHUNK = 1 << 20


class Archive(Struct, frozen=True):
    """An archive laid open: what it says, and its plain tar in a temporary file that goes when this goes."""

    entries: tuple[LayerEntry, ...]
    file: IO[bytes]

    def open(self, node: Node) -> BinaryIO:
        """Open the content of a FILE of the archive."""
        return window(lambda: cast(BinaryIO, self.file), node.entry.data or 0, node.entry.size, keep_open=True)


def open_archive(stream: BinaryIO) -> Archive | None:
    """Lay an archive open; None if the stream is none (it is then copied as it is).

    Raises BuildError for one that is damaged or beyond what is allowed, StoreError where the disk is full.
    """
    head = stream.read(_BLOCK)
    stream.seek(0)
    packed = head.startswith((GZIP_MAGIC, ZSTD_MAGIC, BZIP2_MAGIC, XZ_MAGIC))
    if not packed and not _is_tar(head):
        return None
    file: IO[bytes] = tempfile.TemporaryFile(dir=temporary_directory())  # noqa: SIM115  # it lives as long as the Archive
    try:
        entries = _lay_open(cast(BinaryIO, any_unpacked(stream) if packed else stream), file)
    except ContentError as error:
        file.close()
        raise BuildError(f"unexpected EOF: the archive is damaged ({error.message})", hint=error.hint) from error
    except BaseException:
        file.close()
        raise
    return Archive(entries, file) if entries is not None else None


def _lay_open(tar: BinaryIO, file: IO[bytes]) -> tuple[LayerEntry, ...] | None:
    """Copy a tar into a file and list what it says; None for something packed that is no tar, which stays as it is."""
    first = first_bytes(tar, _BLOCK)
    if not _is_tar(first):
        return None
    with told_plainly("unpack an archive in", temporary_directory()):
        file.write(first)
    while piece := tar.read(_CHUNK):
        with told_plainly("unpack an archive in", temporary_directory()):
            file.write(piece)
    file.seek(0)
    return index_layer(cast(BinaryIO, file))[2]


def _is_tar(block: bytes) -> bool:
    """Tell whether a tar begins here: its header's sum is right; the oldest tars show it in no other way."""
    if len(block) < _BLOCK:
        return False
    try:
        decode(block)
    except ContentError:
        return False
    return True
