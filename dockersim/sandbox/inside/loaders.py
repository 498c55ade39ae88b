"""Take proot's loaders out of its program.

proot starts every program by way of a small one, its loader, of which it has one for each width of word. It carries
them in its own file and writes them to /tmp when it is started. A pod may have a /tmp that is full, read-only or
noexec, or none; and a proot that is killed leaves them there. So they are written to a directory of ours, and named to
proot by the variables that it has for this.
"""

from __future__ import annotations

import os

_MAGIC = b"\x7fELF"
_VARIABLES = {1: "PROOT_LOADER_32", 2: "PROOT_LOADER"}
"""By the class of the program, ELFCLASS32 or ELFCLASS64 (elf(5))."""
_SECTIONS = {1: (32, 4, 46), 2: (40, 8, 58)}
"""Where a header tells of the table of sections, with which a file ends: its offset and its length; size and number."""
_HEADER = 64


def write_loaders(program: str, directory: str) -> dict[str, str]:
    """Write the loaders of ``program`` to ``directory``; give the variables that name them, none if it has none."""
    with open(program, "rb") as file:
        whole = file.read()
    found: dict[str, str] = {}
    start = 0
    while (start := whole.find(_MAGIC, start + 1)) > 0:  # the first is the program itself
        loader = _loader_at(whole, start)
        variable = _VARIABLES.get(loader[4]) if loader else None
        if variable and variable not in found:
            found[variable] = f"{directory}/loader{len(found)}"
            _write(found[variable], loader)
    return found


def _loader_at(whole: bytes, start: int) -> bytes:
    """Give the program that begins at ``start``; empty if these four bytes are the beginning of nothing."""
    header = whole[start : start + _HEADER]
    if len(header) < _HEADER or header[4] not in _SECTIONS or header[5:7] != b"\1\1":  # little endian, version 1
        return b""
    place, width, shape = _SECTIONS[header[4]]
    offset = int.from_bytes(header[place : place + width], "little")
    size, number = (int.from_bytes(header[at : at + 2], "little") for at in (shape, shape + 2))
    end = offset + size * number
    return whole[start : start + end] if _HEADER < end <= len(whole) - start else b""


def _write(path: str, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700)
    os.write(file, content)
    os.close(file)
