"""The file system that an image's layers make, read by Python's own tarfile: a second opinion on both builders."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

_TYPES = {
    tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "character", tarfile.BLKTYPE: "block", tarfile.FIFOTYPE: "fifo",
}  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What must be equal of a path, whoever built it."""

    type: str
    mode: str
    uid: int
    gid: int
    link: str = ""
    sha256: str = ""


Merged = dict[str, Facts]


def merged(archive: Path) -> Merged:
    """Read the file system of the one image in an archive of ``docker save``."""
    found: Merged = {}
    with tarfile.open(archive) as saved:
        manifest = json.load(_member(saved, "manifest.json"))
        for name in manifest[0]["Layers"]:
            with tarfile.open(fileobj=_member(saved, name)) as layer:
                _apply(found, layer)
    return found


def differences(mine: Merged, theirs: Merged) -> list[str]:
    """Name every path that is not the same in both."""
    return [
        f"/{path}: dockersim {mine.get(path)}, docker {theirs.get(path)}"
        for path in sorted(mine.keys() | theirs.keys())
        if mine.get(path) != theirs.get(path)
    ]


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    assert found is not None, name
    return found


def _apply(found: Merged, layer: tarfile.TarFile) -> None:
    """Lay a layer over what is there (image-spec, layer.md): whiteouts concern the layers below, never this one."""
    below = set(found)
    for member in layer:
        path = member.name.removeprefix("./").strip("/")
        folder, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            _remove(found, [other for other in below if other.startswith(f"{folder}/")])
        elif name.startswith(".wh."):
            gone = f"{folder}/{name[4:]}".strip("/")
            _remove(found, [other for other in below if other == gone or other.startswith(f"{gone}/")])
        elif path:
            facts = _facts(member, layer, found)
            if facts.type != "directory":
                _remove(found, [other for other in below if other.startswith(f"{path}/")])
            found[path] = facts
            below.discard(path)


def _remove(found: Merged, paths: list[str]) -> None:
    for path in paths:
        found.pop(path, None)


def _facts(member: tarfile.TarInfo, layer: tarfile.TarFile, found: Merged) -> Facts:
    if member.islnk():
        return found[member.linkname.removeprefix("./").strip("/")]
    facts = Facts(_TYPES[member.type], f"{member.mode & 0o7777:04o}", member.uid, member.gid)
    if member.issym():
        return replace(facts, mode="0777", link=member.linkname)
    return replace(facts, sha256=_sha256(layer, member)) if member.isreg() else facts


def _sha256(layer: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    hasher = hashlib.sha256()
    for piece in _pieces(cast("IO[bytes]", layer.extractfile(member))):
        hasher.update(piece)
    return hasher.hexdigest()


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.read(1 << 20):
        yield piece
