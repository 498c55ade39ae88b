"""Scanning: what lies below a directory, in one pass of readdir and lstat."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress

from msgspec.structs import replace

from dockersim.filesystem import Entry, Kind, LayerEntry, Opaque, Tree, Whiteout, content_decides
from dockersim.snapshots.disk import Disk, hash_file, usable
from dockersim.snapshots.layout import opaque_attribute
from dockersim.snapshots.ledger import NOTHING_RECORDED, Ledger
from dockersim.snapshots.moved import Moved


def scan(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every path below ``root`` with its status, a directory before what is in it.

    What vanishes meanwhile is passed over: a container may run.
    """
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        prefix = f"{folder}/" if folder else ""
        try:
            items = listed(f"{root}/{folder}" if folder else root)
        except (FileNotFoundError, NotADirectoryError):
            if not folder:
                raise
            continue
        for name, status in items:
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
    items = []
    with os.scandir(path) as found:
        for item in found:
            with suppress(FileNotFoundError):
                items.append((item.name, item.stat(follow_symlinks=False)))
    return items


def read_written(
    disk: Disk,
    root: str,
    found: Iterable[tuple[str, os.stat_result]],
    before: Tree,
    *,
    overlay: bool,
    replaced: Container[str] = (),
    gone: Iterable[str] = (),
    ledger: Ledger = NOTHING_RECORDED,
) -> Iterator[LayerEntry]:
    """Turn what was found into entries; of the names of one file all but the first become hard links.

    ``overlay`` says that ``root`` is the upper directory of an overlay, where a device 0/0 is a whiteout and
    directories may be opaque. ``replaced`` names directories that are other ones than before, ``gone`` what is
    deleted besides whiteouts. ``ledger`` is of who wrote it. Files are hashed only where nothing else can tell whether
    they changed, or what they were called before.
    """
    listing = list(found)
    owners = _Owners(before, listing, ledger)
    moved = Moved(before, [*gone, *(path for path, status in listing if _may_have_moved(status, overlay=overlay))])
    first_names: dict[int, str] = {}
    for path, status in listing:
        with suppress(FileNotFoundError):  # a container that runs has deleted it since
            where = f"{root}/{path}"
            is_directory = stat.S_ISDIR(status.st_mode)
            hides = overlay and is_directory and is_opaque(where, privileged=disk.privileged)
            if hides or path in replaced:
                owners.forget(path)
            if overlay and _is_whiteout(status):
                yield Whiteout(path)
                continue
            known = owners.of(path, status)
            entry = disk.read(where, path, status, known, owners.of_new(path))
            if entry is None:
                continue
            if known is None and not disk.privileged and (origin := moved.origin(entry, where, ledger.began_ns)):
                entry, known = disk.read(where, path, status, origin) or entry, origin
            entry = owners.settle(entry, where, status, known)
            if hides:
                yield Opaque(path)
            elif status.st_nlink > 1 and not is_directory:
                first = first_names.setdefault(status.st_ino, path)
                if first != path:
                    yield replace(entry, kind=Kind.HARDLINK, link=first, size=0)
                    continue
            node = before.get(path)
            yield _hashed_if_needed(entry, node.entry if node else None, where)


def _may_have_moved(status: os.stat_result, *, overlay: bool) -> bool:
    """Tell whether what stood before where this was found may now have another name: deleted, or another file."""
    return stat.S_ISREG(status.st_mode) or (overlay and _is_whiteout(status))


def _is_whiteout(status: os.stat_result) -> bool:
    """Tell whether overlayfs takes it for the mark of a deleted name."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


class _Owners:
    """What was known of paths before, and so of who owns them where the disk cannot tell.

    A new name of an old file is the old file. A directory that was deleted and made again is a new one, and so is
    all that is in it.
    """

    def __init__(self, before: Tree, listing: Iterable[tuple[str, os.stat_result]], ledger: Ledger) -> None:
        self._before = before
        self._ledger = ledger
        self._handing_down: dict[str, int] = {}  # directories that are set-gid, with their groups
        self._new: set[str] = set()
        self._linked: dict[int, Entry] = {}
        for path, status in listing:
            if status.st_nlink > 1 and stat.S_ISREG(status.st_mode) and (node := before.get(path)):
                self._linked.setdefault(status.st_ino, node.entry)

    def forget(self, directory: str) -> None:
        """Take the directory for a new one."""
        self._new.add(directory)

    def of(self, path: str, status: os.stat_result) -> Entry | None:
        """Give what stood there before, None for something new. Directories are asked for before their contents."""
        if path in self._new or path.rpartition("/")[0] in self._new:
            if stat.S_ISDIR(status.st_mode):
                self._new.add(path)
            return None
        if status.st_nlink > 1 and (linked := self._linked.get(status.st_ino)):
            return linked
        node = self._before.get(path)
        return node.entry if node else None

    def of_new(self, path: str) -> tuple[int, int]:
        """Give who owns what is made at ``path``: who ran, with the group of a set-gid directory in that."""
        return self._ledger.uid, self._group_in(path.rpartition("/")[0])

    def _group_in(self, folder: str) -> int:
        if folder not in self._handing_down:
            node = self._before.get(folder)
            is_set = node is not None and folder not in self._new and node.entry.mode & stat.S_ISGID
            return node.entry.gid if node is not None and is_set else self._ledger.gid
        return self._handing_down[folder]

    def settle(self, entry: Entry, where: str, status: os.stat_result, known: Entry | None) -> Entry:
        """Put in what was recorded of ``entry``, and remember what it means for what is in it."""
        entry = self._ledger.corrected(entry, where, status, stood_before=known is not None)
        if entry.kind is Kind.DIRECTORY:
            self._handing_down[entry.path] = entry.gid if entry.mode & stat.S_ISGID else self._ledger.gid
        return entry


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
