"""Reading ELF files, and finding the libraries that they name."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from dockersim.bases.elf import Elf, parse_elf
from dockersim.bases.libraries import LibrarySearch, configured, read_elf
from dockersim.bases.pieces import FileSet

STRINGS = b"\0libone.so\0libtwo.so\0$ORIGIN/../lib:/opt/lib\0/lib/ld.so\0"


def elf(order: str, *, wide: bool) -> bytes:
    """Write a small ELF file: one segment that maps it all at 0x1000, an interpreter, a dynamic section."""
    header, entry = (64, 56) if wide else (52, 32)
    strings = header + 3 * entry
    dynamic = strings + len(STRINGS)
    tags = [(1, 1), (1, 11), (29, 21), (5, 0x1000 + strings), (0, 0)]
    section = b"".join(struct.pack(f"{order}qQ" if wide else f"{order}iI", *tag) for tag in tags)
    end = dynamic + len(section)
    segments = [(1, 0, end), (3, strings + STRINGS.index(b"/lib/ld"), 11), (2, dynamic, len(section))]
    table = b""
    for kind, offset, size in segments:
        if wide:
            table += struct.pack(f"{order}IIQQQQQQ", kind, 0, offset, 0x1000 + offset, 0, size, size, 1)
        else:
            table += struct.pack(f"{order}IIIIIIII", kind, offset, 0x1000 + offset, 0, size, size, 0, 1)
    start = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    pointer = "Q" if wide else "I"
    rest = struct.pack(
        f"{order}HHI{pointer}{pointer}{pointer}IHHHHHH", 2, 62, 1, 0, header, 0, 0, header, entry, 3, 0, 0, 0
    )
    return start + rest + table + STRINGS + section


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("wide", [True, False], ids=["64", "32"])
def test_all_four_forms_are_read(order: str, *, wide: bool) -> None:
    machine = (2 if wide else 1, 1 if order == "<" else 2, 62)
    found = parse_elf(elf(order, wide=wide))
    assert found == Elf(machine, "/lib/ld.so", ("libone.so", "libtwo.so"), ("$ORIGIN/../lib", "/opt/lib"))


def test_a_file_that_was_cut_off_is_none_or_read() -> None:
    whole = elf("<", wide=True)
    for length in range(len(whole)):
        assert parse_elf(whole[:length]) is None or length > 200


@pytest.mark.parametrize("path", ["/bin/sh", "/bin/tar", sys.executable])
def test_the_same_libraries_as_ldd(path: str) -> None:
    if shutil.which("ldd") is None:
        pytest.skip("there is no ldd")
    real = str(Path(path).resolve())
    said = subprocess.run(["ldd", real], capture_output=True, text=True, check=True).stdout
    files = FileSet()
    files.host(real)
    LibrarySearch().complete(files)
    found = {Path(str(piece.source)).resolve().name for piece in files if piece.source}
    wanted = {Path(library).resolve().name for library in re.findall(r"(/\S+) \(", said)}
    assert wanted <= found


def test_ld_so_conf_with_includes(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "b.conf").write_text("/two  \n")
    (tmp_path / "conf.d" / "a.conf").write_text("# a comment\n/one # why\nhwcap 0 nosegneg\n")
    (tmp_path / "ld.so.conf").write_text("include conf.d/*.conf\n/three\n")
    assert configured(str(tmp_path / "ld.so.conf")) == ("/one", "/two", "/three")
    assert configured(str(tmp_path / "missing")) == ()


def test_no_elf_is_none(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert read_elf(str(empty)) is None
    assert read_elf(str(tmp_path)) is None
    assert read_elf(__file__) is None
