"""What ADD takes for an archive: it goes by the first header, packed or not."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from dockersim.engine.archives import open_archive


def tar() -> bytes:
    """Make a tar with one file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as made:
        member = tarfile.TarInfo("note")
        member.size = 2
        made.addfile(member, io.BytesIO(b"hi"))
    return out.getvalue()


def unmarked(data: bytes) -> bytes:
    """Take out the ``ustar`` mark, which tars from before 1988 do not have, and set the sum right."""
    block = bytearray(data[:512])
    block[257:265] = bytes(8)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data[512:]


ARCHIVES = {
    "plain": tar(),
    "old": unmarked(tar()),
    "packed": gzip.compress(tar(), mtime=0),
    "old and packed": gzip.compress(unmarked(tar()), mtime=0),
}


@pytest.mark.parametrize("data", ARCHIVES.values(), ids=ARCHIVES)
def test_archives(data: bytes, tmp_path: Path) -> None:
    archive = open_archive(io.BytesIO(data), tmp_path)
    assert archive is not None and [entry.path for entry in archive.entries] == ["note"]


NO_ARCHIVES = {
    "nothing": b"",
    "text": b"hello\n",
    "zeros": bytes(1024),
    "cut off": tar()[:500],
    "wrong sum": b"x" + tar()[1:],
    "packed text": gzip.compress(b"ustar" * 200, mtime=0),
}


@pytest.mark.parametrize("data", NO_ARCHIVES.values(), ids=NO_ARCHIVES)
def test_no_archives(data: bytes, tmp_path: Path) -> None:
    assert open_archive(io.BytesIO(data), tmp_path) is None
