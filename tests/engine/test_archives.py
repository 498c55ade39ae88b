"""What ADD takes for an archive: it goes by the first header, packed or not."""

from __future__ import annotations

import gzip
import io
import tarfile

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


@pytest.mark.parametrize("data", [tar(), unmarked(tar()), gzip.compress(tar()), gzip.compress(unmarked(tar()))])
def test_archives(data: bytes) -> None:
    archive = open_archive(io.BytesIO(data))
    assert archive is not None and [entry.path for entry in archive.entries] == ["note"]


@pytest.mark.parametrize(
    "data", [b"", b"hello\n", bytes(1024), tar()[:500], b"x" + tar()[1:], gzip.compress(b"ustar" * 200)]
)
def test_no_archives(data: bytes) -> None:
    assert open_archive(io.BytesIO(data)) is None
