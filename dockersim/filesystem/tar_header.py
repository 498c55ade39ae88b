"""The 512 bytes that stand before every file of a tar: how they are laid out, written and read.

The format is POSIX.1-1988 ustar with POSIX.1-2001 (PAX) records for what does not fit; of GNU's own
extensions the long names and the binary numbers are read, never written. We write what Go's archive/tar
writes, which BuildKit and containerd use: the shortest form that holds the values, times in whole seconds, no
user names.

>>> block = encode(Entry("etc/hostname", Kind.FILE, 0o644, size=7))
>>> block[:12], block[124:136], len(block)
(b'etc/hostname', b'00000000007\\x00', 512)
>>> decode(block).size
7
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

from dockersim.errors import ContentError
from dockersim.filesystem.entry import Entry, Kind

BLOCK = 512
SECOND = 1_000_000_000
XATTR_RECORD = "SCHILY.xattr."
"""The PAX key, before the attribute's name, under which star, GNU tar and Go keep extended attributes."""

TYPE_OF = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHARACTER: b"3",
    Kind.BLOCK: b"4",
    Kind.DIRECTORY: b"5",
    Kind.FIFO: b"6",
}
KIND_OF = {flag: kind for kind, flag in TYPE_OF.items()} | {b"\0": Kind.FILE, b"7": Kind.FILE}

_OCTAL = re.compile(rb"[ \0]*([0-7]*)[ \0]*\Z")


class Header(Struct, frozen=True):
    """What one header block says, before PAX records and GNU long names change it."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    flag: bytes
    link: bytes
    device: tuple[int, int]


def encode(entry: Entry) -> bytes:
    """Write the header blocks of an entry: one, or three or more if a PAX header has to go before it."""
    name = entry.path.encode("utf-8", "surrogateescape")
    if entry.kind is Kind.DIRECTORY:
        name += b"/"
    link = entry.link.encode("utf-8", "surrogateescape")
    size = entry.size if entry.kind is Kind.FILE else 0
    seconds = entry.mtime_ns // SECOND
    records: dict[str, bytes] = {}
    prefix = b""
    if len(name) > 100 or not name.isascii():
        split = _split(name)
        if split is None:
            records["path"] = name
        else:
            prefix, name = split
    if len(link) > 100 or not link.isascii():
        records["linkpath"] = link
    for key, value, limit in (
        ("size", size, 0o77777777777),
        ("uid", entry.uid, 0o7777777),
        ("gid", entry.gid, 0o7777777),
        ("mtime", seconds, 0o77777777777),
    ):
        if not 0 <= value <= limit:
            records[key] = b"%d" % value
    for attribute, data in entry.xattrs:
        records[XATTR_RECORD + attribute] = data
    block = _block(
        name if name.isascii() else name.decode("ascii", "replace").encode("ascii", "replace"),
        entry.mode,
        0 if "uid" in records else entry.uid,
        0 if "gid" in records else entry.gid,
        0 if "size" in records else size,
        0 if "mtime" in records else seconds,
        TYPE_OF[entry.kind],
        link if link.isascii() else b"",
        entry.device or (0, 0),
        prefix,
    )
    return _pax(entry.path, records) + block if records else block


def whiteout(path: str, mtime_ns: int = 0) -> bytes:
    """Write the header of an empty file by that name, which is how a layer says "deleted"."""
    return encode(Entry(path, Kind.FILE, 0, mtime_ns=mtime_ns))


def decode(block: bytes) -> Header:
    """Read one header block; raise ContentError if its checksum or a number in it is wrong."""
    stated = _number(block[148:156], "checksum")
    if stated != sum(block) - sum(block[148:156]) + 256:
        raise ContentError("not a tar: a header's checksum is wrong")
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and block[345]:
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    flag = block[156:157]
    is_device = flag in (b"3", b"4")
    return Header(
        name,
        _number(block[100:108], "mode"),
        _number(block[108:116], "uid"),
        _number(block[116:124], "gid"),
        _number(block[124:136], "size"),
        _number(block[136:148], "mtime"),
        flag,
        block[157:257].partition(b"\0")[0],
        (_number(block[329:337], "device"), _number(block[337:345], "device")) if is_device else (0, 0),
    )


def parse_records(data: bytes) -> dict[str, bytes]:
    """Read the records of a PAX header: ``LENGTH KEY=VALUE`` and a line break, one after the other."""
    records: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at:space]
        if space < 0 or not digits.isdigit():
            if not data[at:].strip(b"\0"):
                break
            raise ContentError("not a tar: a PAX record has no length")
        end = at + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space + 1 or not equals or data[end - 1 : end] != b"\n":
            raise ContentError("not a tar: a PAX record is cut off")
        records[key.decode("utf-8", "surrogateescape")] = value
        at = end
    return records


def _block(
    name: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    flag: bytes,
    link: bytes,
    device: tuple[int, int],
    prefix: bytes,
) -> bytes:
    """Lay out one header; every value fits its field."""
    front = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        name[:100].ljust(100, b"\0"), mode, uid, gid, size, mtime,
    )  # fmt: skip
    back = b"%s%sustar\00000%s" % (flag, link[:100].ljust(100, b"\0"), _tail(device, prefix))
    checksum = sum(front) + sum(back) + 256  # the checksum counts itself as eight spaces
    return b"%s%06o\0 %s" % (front, checksum, back)


@lru_cache(maxsize=256)
def _tail(device: tuple[int, int], prefix: bytes) -> bytes:
    """Lay out what stands behind the ``ustar`` mark: no names, the device, the first part of a long path."""
    return b"%s%07o\0%07o\0%s" % (bytes(64), *device, prefix.ljust(167, b"\0"))


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Cut a long path at a slash into the 155 and 100 bytes that ustar has room for, if that can be done."""
    if not name.isascii() or len(name) > 256:
        return None
    slash = name.rfind(b"/", 0, min(156, len(name) - 1))
    if slash <= 0 or len(name) - slash - 1 > 100:
        return None
    return name[:slash], name[slash + 1 :]


def _pax(path: str, records: Mapping[str, bytes]) -> bytes:
    """Write the PAX header that holds ``records``, sorted by key, named as Go names it."""
    data = b"".join(_record(key, records[key]) for key in sorted(records))
    folder, _, base = path.rpartition("/")
    name = f"{folder}/PaxHeaders.0/{base}".lstrip("/").encode("ascii", "replace").replace(b"?", b"")[:100]
    block = _block(name, 0, 0, 0, len(data), 0, b"x", b"", (0, 0), b"")
    return block + data + bytes(-len(data) % BLOCK)


def _record(key: str, value: bytes) -> bytes:
    """Write one PAX record, whose length counts its own digits."""
    body = b" %s=%s\n" % (key.encode("utf-8", "surrogateescape"), value)
    length = len(body) + 1
    while len(b"%d" % length) + len(body) != length:
        length = len(b"%d" % length) + len(body)
    return b"%d%s" % (length, body)


def _number(field: bytes, what: str) -> int:
    """Read a number: octal digits, or GNU's binary form, whose first byte has the top bit set."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ~(0x80 << (8 * (len(field) - 1)))
        return value if field[0] != 0xFF else int.from_bytes(field, "big", signed=True)
    digits = _OCTAL.match(field.partition(b"\0")[0] if field[:1] not in (b"\0", b" ") else field)
    if digits is None:
        raise ContentError(f"not a tar: a header's {what} is no number")
    return int(digits[1] or b"0", 8)
