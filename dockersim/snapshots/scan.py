"""Scanning: what lies below a directory, in one pass of readdir and lstat."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dockersim.filesystem import Entry, Kind, LayerEntry, Opaque, Tree, Whiteout, content_decides
from dockersim.snapshots.disk import Disk, hash_file, usable
from dockersim.snapshots.layout import opaque_attribute


def scan(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every path below ``root`` with its status, a directory before what is in it."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        prefix = f"{folder}/" if folder else ""
        for name, status in listed(f"{root}/{folder}" if folder else root):
            path = prefix + name
            if stat.S_ISDIR(status.st_mode):
                waiting.append(path)
            yield path, status


def listed(path: str) -> list[tuple[str, os.stat_result]]:
    """List a directory with the status of everything in it, whatever rights its owner has."""
    try:
        return _list(path)
    except PermissionError:
        with usable(path):
            return _list(path)


def _list(path: str) -> list[tuple[str, os.stat_result]]:
    with os.scandir(path) as found:
        return [(item.name, item.stat(follow_symlinks=False)) for item in found]


def read_written(
    disk: Disk, root: str, found: Iterable[tuple[str, os.stat_result]], before: Tree, *, overlay: bool
) -> Iterator[LayerEntry]:
    """Turn what was found into entries; of the names of one file all but the first become hard links.

    ``overlay`` says that ``root`` is the upper directory of an overlay, where a device 0/0 is a whiteout and
    directories may be opaque. Files are hashed only where nothing else can tell whether they changed.
    """
    first_names: dict[int, str] = {}
    for path, status in found:
        where = f"{root}/{path}"
        node = before.get(path)
        entry = disk.read(where, path, status, node.entry if node else None)
        if entry is None:
            continue
        if overlay and entry.kind is Kind.CHARACTER and entry.device == (0, 0):
            yield Whiteout(path)
            continue
        if entry.kind is Kind.DIRECTORY:
            if overlay and is_opaque(where, privileged=disk.privileged):
                yield Opaque(path)
        elif status.st_nlink > 1:
            first = first_names.setdefault(status.st_ino, path)
            if first != path:
                yield replace(entry, kind=Kind.HARDLINK, link=first, size=0)
                continue
        yield _hashed_if_needed(entry, node.entry if node else None, where)


def _hashed_if_needed(entry: Entry, before: Entry | None, where: str) -> Entry:
    if before is not None and content_decides(before, entry):
        return replace(entry, digest=hash_file(where))
    return entry


def is_opaque(path: str, *, privileged: bool) -> bool:
    """Tell whether a directory in overlayfs form hides what is below it."""
    try:
        return os.getxattr(path, opaque_attribute(privileged=privileged)) == b"y"
    except OSError:
        return False  # the attribute is not there
