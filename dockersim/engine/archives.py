"""Archives that ADD unpacks: tar, plain or packed with gzip, bzip2, xz or zstd, told by content and not by name.

The real thing is moby's pkg/archive (``DetectCompression``, ``IsArchive``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import IO, BinaryIO, cast

from msgspec import Struct

from dockersim.content.compression import unpacked
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

    Raises BuildError for one that is damaged.
    """
    head = stream.read(_BLOCK)
    stream.seek(0)
    opener = next((one for magic, one in _OPENERS if head.startswith(magic)), None)
    if opener is None and not _is_tar(head):
        return None
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the Archive
    try:
        _pour(opener(stream) if opener else stream, file)
    except (OSError, EOFError, ValueError, ContentError) as error:
        file.close()
        raise BuildError(f"unexpected EOF: the archive is damaged ({error})") from error
    file.seek(0)
    if not _is_tar(file.read(_BLOCK)):
        file.close()
        return None  # something packed that is no tar stays as it is
    file.seek(0)
    try:
        entries = index_layer(cast(BinaryIO, file))[2]
    except ContentError as error:
        raise BuildError(f"unexpected EOF: the archive is damaged ({error.message})") from error
    return Archive(entries, file)


def _is_tar(block: bytes) -> bool:
    """Tell whether a tar begins here: its header's sum is right; the oldest tars show it in no other way."""
    if len(block) < _BLOCK:
        return False
    try:
        decode(block)
    except ContentError:
        return False
    return True


def _pour(source: BinaryIO, file: IO[bytes]) -> None:
    while piece := source.read(_CHUNK):
        file.write(piece)


def _blob(stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, unpacked(stream))


def _bzip2(stream: BinaryIO) -> BinaryIO:
    import bz2

    return cast(BinaryIO, bz2.BZ2File(stream))


def _xz(stream: BinaryIO) -> BinaryIO:
    import lzma

    return cast(BinaryIO, lzma.LZMAFile(stream))


_OPENERS: tuple[tuple[bytes, Callable[[BinaryIO], BinaryIO]], ...] = (
    (b"\x1f\x8b", _blob),
    (b"\x28\xb5\x2f\xfd", _blob),
    (b"BZh", _bzip2),
    (b"\xfd7zXZ\x00", _xz),
)
