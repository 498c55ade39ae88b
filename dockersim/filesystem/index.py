"""The index of a layer: its entries as compact JSON, so that looking into a layer does not read its tar.

The document is ``{"schema": "dockersim.layer/v1", "entries": [...]}``, and an entry is a list, not an object:
in the apt layer of an ordinary image, with its 13,000 entries, the names of the fields would be most of the
bytes and of the time. A list ends with its last field that is not empty.

>>> text = dump_index([Entry("a", Kind.FILE, 0o644, size=2, mtime_ns=5_000_000_000, data=512), Whiteout("b")])
>>> text
b'{"schema":"dockersim.layer/v1","entries":[["file","a",420,0,0,5000000000,2,512],["whiteout","b"]]}'
>>> load_index(text)[1]
Whiteout(path='b')
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from dockersim.digest import Digest
from dockersim.errors import ContentError
from dockersim.filesystem.entry import Entry, Kind, LayerEntry, Opaque, Whiteout

SCHEMA = "dockersim.layer/v1"
_KINDS = {kind.value: kind for kind in Kind}


def dump_index(entries: Iterable[LayerEntry]) -> bytes:
    """Write entries as rows: kind, path, mode, uid, gid, mtime_ns, size, data, hex, link, device, xattrs."""
    rows = [_row(entry) for entry in entries]
    return json.dumps({"schema": SCHEMA, "entries": rows}, separators=(",", ":")).encode("ascii")


def load_index(text: bytes) -> tuple[LayerEntry, ...]:
    """Read what ``dump_index`` wrote; raise ContentError for anything else."""
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            raise ContentError(f"a layer index of the unknown form {document['schema']!r}")
        return tuple([_entry(row) for row in document["entries"]])
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ContentError("a layer index is damaged", hint="delete it; it is made again from the layer") from error


def _row(entry: LayerEntry) -> list[Any]:
    if isinstance(entry, Whiteout):
        return ["whiteout", entry.path]
    if isinstance(entry, Opaque):
        return ["opaque", entry.path]
    row: list[Any] = [entry.kind.value, entry.path, entry.mode, entry.uid, entry.gid, entry.mtime_ns]
    row += [entry.size, entry.data, entry.digest[7:] if entry.digest else None, entry.link]
    row += [entry.device, [(name, value.hex()) for name, value in entry.xattrs]]
    while not row[-1]:
        row.pop()
    return row


def _entry(row: list[Any]) -> LayerEntry:
    kind = _KINDS.get(row[0])
    if kind is None:
        return _mark(row)
    if len(row) < 12:
        row += _EMPTY[len(row) :]
    _, path, mode, uid, gid, mtime_ns, size, data, digest, link, device, xattrs = row
    return Entry(
        path, kind, mode, uid, gid, size, mtime_ns, link,
        Digest("sha256:" + digest) if digest else None,
        tuple(device) if device else None,
        tuple((name, bytes.fromhex(value)) for name, value in xattrs) if xattrs else (),
        data,
    )  # fmt: skip


_EMPTY: list[Any] = [None, "", 0, 0, 0, 0, 0, None, None, "", None, None]


def _mark(row: list[Any]) -> Whiteout | Opaque:
    kind, path = row
    if kind == "whiteout":
        return Whiteout(path)
    if kind == "opaque":
        return Opaque(path)
    raise ContentError(f"a layer index has an entry of the unknown kind {kind!r}")
