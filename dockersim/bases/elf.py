"""What an ELF file says it needs: its loader and its shared libraries.

A program that is linked dynamically names, in its ``PT_INTERP`` segment, the loader that the kernel starts in
its place (``/lib64/ld-linux-x86-64.so.2``), and in its dynamic section the libraries that the loader then
looks for (``DT_NEEDED``) and places to look in (``DT_RUNPATH``). A container that lacks one of them fails
with the famous "no such file or directory" about a program that is plainly there. See elf(5) and ld.so(8).
"""

from __future__ import annotations

import mmap
import struct
from typing import TypeAlias

from msgspec import Struct

Bytes: TypeAlias = bytes | mmap.mmap
"""The content of a file, read or mapped: a library of 30 MB is not read for its few names."""

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 1, 5, 15, 29


class Elf(Struct, frozen=True):
    """The part of an ELF file that concerns the loader.

    ``machine`` is (32 or 64 bits, little or big endian, e_machine): libraries must have their user's.
    ``interpreter`` is empty for libraries and static programs; ``run_path`` is as written, ``$ORIGIN`` and
    all.
    """

    machine: tuple[int, int, int]
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    run_path: tuple[str, ...] = ()


class _Segment(Struct, frozen=True):
    kind: int
    offset: int
    address: int
    size: int


def parse_elf(data: Bytes) -> Elf | None:
    """Read an ELF file; None if ``data`` is no (whole) ELF file.

    >>> parse_elf(b"#!/bin/sh") is None
    True
    """
    if data[:4] != b"\x7fELF":
        return None
    try:
        return _parse(data)
    except (struct.error, IndexError, ValueError):
        return None


def _parse(data: Bytes) -> Elf:
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    (machine,) = struct.unpack_from(f"{order}H", data, 18)
    segments = _segments(data, order, wide=wide)
    interpreter = next((_text(data, s.offset) for s in segments if s.kind == _PT_INTERP), "")
    tags = [
        tag
        for segment in segments
        if segment.kind == _PT_DYNAMIC
        for tag in struct.iter_unpack(f"{order}qQ" if wide else f"{order}iI", _bytes(data, segment, wide=wide))
    ]
    strings = next((_offset(segments, value) for tag, value in tags if tag == _DT_STRTAB), 0)
    needed = tuple(_text(data, strings + value) for tag, value in tags if tag == _DT_NEEDED)
    paths = [_text(data, strings + value) for tag, value in tags if tag in (_DT_RPATH, _DT_RUNPATH)]
    run_path = tuple(part for path in paths for part in path.split(":") if part)
    return Elf((data[4], data[5], machine), interpreter, needed, run_path)


def _segments(data: Bytes, order: str, *, wide: bool) -> list[_Segment]:
    if wide:
        (table,), (width, count) = (
            struct.unpack_from(f"{order}Q", data, 32),
            struct.unpack_from(f"{order}HH", data, 54),
        )
    else:
        (table,), (width, count) = (
            struct.unpack_from(f"{order}I", data, 28),
            struct.unpack_from(f"{order}HH", data, 42),
        )
    segments = []
    for start in range(table, table + width * count, width):
        if wide:
            kind, _, offset, address, _, size = struct.unpack_from(f"{order}IIQQQQ", data, start)
        else:
            kind, offset, address, _, size = struct.unpack_from(f"{order}IIIII", data, start)
        segments.append(_Segment(kind, offset, address, size))
    return segments


def _bytes(data: Bytes, segment: _Segment, *, wide: bool) -> bytes:
    width = 16 if wide else 8
    return data[segment.offset : segment.offset + segment.size // width * width]


def _offset(segments: list[_Segment], address: int) -> int:
    """Turn an address in memory into a place in the file."""
    for segment in segments:
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
            return address - segment.address + segment.offset
    raise ValueError(f"no segment holds address {address:#x}")


def _text(data: Bytes, start: int) -> str:
    end = data.find(b"\0", start)
    if end < 0:
        raise ValueError(f"no text ends after {start:#x}")
    return data[start:end].decode()
