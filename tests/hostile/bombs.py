"""Attacks by how an archive is packed: small on the way, it fills a disk or the memory when it is unpacked."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator

from tests.hostile.saying import Says
from tests.hostile.tars import END, member

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ATTACKS: dict[str, tuple[Callable[[], bytes], Says]] = {}
"""Each attack by its name, with what is said of it; these are small, and tried at the limits that really hold."""

PROMISED = "is damaged: it unpacks to"
"""A layer that is packed as no layer may be is taken for a plain tar, which is not the one that the config names."""
NO_IMAGE, NO_DOCKERFILE = "holds no image", "unknown instruction"


def attack(refused: str = "", elsewhere: dict[str, str] | None = None) -> Callable[[Callable[[], bytes]], object]:
    """Note an attack, and what is said of it."""

    def note(make: Callable[[], bytes]) -> Callable[[], bytes]:
        ATTACKS[make.__name__] = make, Says(refused, elsewhere or {})
        return make

    return note


HARMLESS = member("Dockerfile", b"FROM scratch\nCOPY . /\n") + member("f", b"x") + END


@attack("cannot be unpacked")
def zstd_that_wants_a_window_of_gigabytes() -> bytes:
    """A frame of nine bytes: its window is 2 GiB, which a careless reader sets aside."""
    return b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + b"\x01\x00\x00"


@attack("cannot be unpacked", {"pull": PROMISED})
def xz_that_wants_a_dictionary_of_gigabytes() -> bytes:
    packed = bytearray(lzma.compress(HARMLESS, lzma.FORMAT_XZ, preset=0))
    size = (packed[12] + 1) * 4
    place = packed.index(b"\x21\x01", 12, 12 + size) + 2  # LZMA2, one byte: how large its dictionary is
    packed[place] = 40  # 4 GiB less one byte
    packed[12 + size - 4 : 12 + size] = zlib.crc32(packed[12 : 12 + size - 4]).to_bytes(4, "little")
    return bytes(packed)


@attack(elsewhere={"load": NO_IMAGE})
def gzip_of_many_members() -> bytes:
    pieces = [HARMLESS[at : at + 8] for at in range(0, len(HARMLESS), 8)]
    return b"".join(gzip.compress(b"", 1, mtime=0) * 100 + gzip.compress(piece, 1, mtime=0) for piece in pieces)


@attack("cannot be unpacked")
def gzip_with_garbage_behind_it() -> bytes:
    return gzip.compress(HARMLESS, mtime=0) + b"garbage" * 1000


@attack("cannot be unpacked|cut off")
def gzip_that_is_cut_off() -> bytes:
    return gzip.compress(HARMLESS + bytes(range(256)) * 4000, mtime=0)[:-1000]


@attack("cannot be unpacked")
def gzip_whose_name_does_not_end() -> bytes:
    return b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (20 << 20)


@attack("not a tar|cut off", {"ADD": "", "build URL": NO_DOCKERFILE, "build -": "neither a Dockerfile nor"})
def gzip_in_a_gzip_in_a_gzip() -> bytes:
    packed = HARMLESS
    for _ in range(5):
        packed = gzip.compress(packed, mtime=0)
    return packed


# ---------------------------------------------------------------- bombs, of any size


def tar_of_zeros(size: int) -> Iterator[bytes]:
    """Give a tar with one file of zeros, piece by piece."""
    yield member("Dockerfile", b"FROM scratch\nCOPY . /\n") + member("zeros", size=size)
    chunk = bytes(1 << 20)
    for _ in range(size >> 20):
        yield chunk
    yield END


def tar_of_entries(count: int) -> Iterator[bytes]:
    """Give a tar with ``count`` empty files, each of a name of its own, piece by piece."""
    block = member("entry-0000000000")
    start = int(block[148:154], 8)
    for first in range(0, count, 1000):
        piece = bytearray()
        for number in range(first, min(first + 1000, count)):
            name = b"entry-%010d" % number
            checksum = start + sum(name) - sum(b"entry-0000000000")
            piece += name + block[16:148] + b"%06o" % checksum + block[154:]
        yield bytes(piece)
    yield END


def packed(tar: Iterator[bytes], how: str) -> Iterator[bytes]:
    """Pack a tar on the way."""
    if how == "plain":
        yield from tar
        return
    packer = {
        "gzip": lambda: zlib.compressobj(6, zlib.DEFLATED, 31),
        "zstd": zstd.ZstdCompressor,
        "xz": lambda: lzma.LZMACompressor(preset=1),
        "bzip2": bz2.BZ2Compressor,
    }[how]()
    for piece in tar:
        if data := packer.compress(piece):
            yield data
    yield packer.flush()
