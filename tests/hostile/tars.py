"""Tar by hand: headers and records that no tar program would write."""

from __future__ import annotations

import tarfile

BLOCK = 512
END = bytes(2 * BLOCK)
DIRECTORY, SYMLINK, HARDLINK, CHARACTER, BLOCK_DEVICE, FIFO = (
    tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
)  # fmt: skip


def member(
    name: str | bytes,
    content: bytes = b"",
    kind: bytes = b"0",
    link: str | bytes = "",
    *,
    mode: int = 0o644,
    size: int | None = None,
    **fields: int,
) -> bytes:
    """Write one member: header and content. Numbers that fit no octal field are written in GNU's binary form.

    A name or link that is too long for its field goes before the header, as GNU tar writes it.
    """
    raw_name, raw_link = _bytes(name), _bytes(link)
    before = b""
    for flag, text in ((b"L", raw_name), (b"K", raw_link)):
        if len(text) > 100:
            before += _header(b"././@LongLink", flag, size=len(text) + 1) + _padded(text + b"\0")
    head = _header(raw_name, kind, raw_link, mode=mode, size=len(content) if size is None else size, **fields)
    return before + head + _padded(content)


def folder(name: str, mode: int = 0o755, **fields: int) -> bytes:
    """Write a directory."""
    return member(name, kind=DIRECTORY, mode=mode, **fields)


def symlink(name: str | bytes, target: str | bytes) -> bytes:
    """Write a symbolic link."""
    return member(name, kind=SYMLINK, link=target)


def hardlink(name: str, target: str) -> bytes:
    """Write a further name of a file."""
    return member(name, kind=HARDLINK, link=target)


def pax(records: dict[str, bytes], flag: bytes = b"x") -> bytes:
    """Write an extended header."""
    return extended(b"".join(_record(key, value) for key, value in records.items()), flag)


def extended(data: bytes, flag: bytes = b"x", size: int | None = None) -> bytes:
    """Write an extended header of any bytes; ``size`` is what it states."""
    return _header(b"PaxHeaders/x", flag, size=len(data) if size is None else size) + _padded(data)


def _header(name: bytes, flag: bytes, link: bytes = b"", **fields: int) -> bytes:
    value = {"mode": 0o644, "uid": 0, "gid": 0, "size": 0, "mtime": 1_700_000_000, "major": 0, "minor": 0} | fields
    head = b"".join(
        [
            name[:100].ljust(100, b"\0"), _number(value["mode"], 8), _number(value["uid"], 8), _number(value["gid"], 8),
            _number(value["size"], 12), _number(value["mtime"], 12), b" " * 8, flag, link[:100].ljust(100, b"\0"),
            b"ustar\00000", bytes(64), _number(value["major"], 8), _number(value["minor"], 8),
        ]
    ).ljust(BLOCK, b"\0")  # fmt: skip
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def _number(value: int, width: int) -> bytes:
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    if value < 0:
        return value.to_bytes(width, "big", signed=True)
    return bytes([value.to_bytes(width, "big")[0] | 0x80]) + value.to_bytes(width, "big")[1:]


def _record(key: str, value: bytes) -> bytes:
    body = b" " + key.encode() + b"=" + value + b"\n"
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
