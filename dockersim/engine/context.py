"""The build context: the learner's directory as a tree, and the digests of the files in it.

BuildKit's client sends the daemon only what COPY and ADD name, minus what .dockerignore leaves out, and keeps the
digests of what has not changed (session/filesync, fsutil). Here nothing has to be sent; what is kept is a stat index
as git has one: a file whose size, times and inode are those of last time has the digest of last time.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from msgspec import Struct

from dockersim.content.disk import write_whole
from dockersim.digest import Digest, sha256
from dockersim.dockerfile import NO_RULES, Decision, IgnoreRules
from dockersim.errors import ContextError, StoreError
from dockersim.filesystem import Entry, Kind, LayerEntry, Tree

_RACY_NS = 50_000_000
"""A file younger than this when it was read may change again within one tick of the clock: do not trust its times."""

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flag

_KINDS = {stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.SYMLINK, stat.S_IFIFO: Kind.FIFO}


Witness = Callable[[str, os.stat_result, Decision], None]
"""Is shown every path that the scan of a context comes to, kept or left out; what is pruned it does not come to."""


class _Known(NamedTuple):
    """What the stat index knows of one file; a tuple, as there may be many thousand."""

    stamp: tuple[int, int, int, int]
    digest: Digest


_Item = tuple[str, os.stat_result, str]
"""A path below the context, its status, and where it is on disk."""


class _Folder(Struct):
    """A directory that is being walked; ``excluded`` is what it is itself if it was left out so far."""

    items: Iterator[_Item]
    excluded: _Item | None


class Context:
    """One directory that a build takes files from.

    Every path is looked up below ``root`` without following a link out of it: the tree is read with lstat, and links
    are followed inside the tree only. ``rules`` come from the file that ``ignore_file`` names.
    """

    def __init__(
        self, root: Path, rules: IgnoreRules, index: Path | None = None, *, ignore_file: str = ".dockerignore"
    ) -> None:
        self.root = root
        self.rules = rules
        self.ignore_file = ignore_file
        self._prefix = os.path.join(root, "")
        self._witness: Witness | None = None
        self._index_file = index
        self._known: dict[str, _Known] | None = None
        self._dirty = False
        self._tree: Tree | None = None
        self._names: dict[tuple[int, int], str] = {}  # the first name of each file that has several

    def tree(self) -> Tree:
        """Read the directory as a tree; owners are 0:0 as BuildKit sends them. Read once.

        Files have the digest that the stat index knows, if it is still true; ``digest`` finds out the others.
        """
        if self._tree is None:
            self._tree = Tree.EMPTY.apply(self._scan())
        return self._tree

    def survey(self, witness: Witness) -> Tree:
        """Read the directory as ``tree`` does, anew, and show ``witness`` what is left out of it as well."""
        self._witness, self._tree = witness, None
        try:
            return self.tree()
        finally:
            self._witness = None

    def open(self, path: str) -> BinaryIO:
        """Open a regular file of the context for reading. Raises ContextError if it is gone or is a link by now."""
        try:
            descriptor = os.open(self._where(path), os.O_RDONLY | _NOFOLLOW)
        except OSError as error:
            raise ContextError(f"{path} of the build context cannot be read: {error.strerror}") from error
        return os.fdopen(descriptor, "rb")

    def digest(self, entry: Entry) -> Digest:
        """Give the sha256 of a file's content, from the stat index where it is still true."""
        known = self._index()
        found = known.get(entry.path)
        stamp = self._stamp(entry.path)
        if found is not None and found.stamp == stamp:
            return found.digest
        started = time.time_ns()
        digest = self._hash(entry.path)
        if max(stamp[1], stamp[2]) < started - _RACY_NS:
            known[entry.path] = _Known(stamp, digest)
            self._dirty = True
        return digest

    def save(self) -> None:
        """Write the stat index, if anything in it is new. Losing it costs only time."""
        if self._index_file is None or not self._dirty or self._known is None:
            return
        rows = {path: [*known.stamp, known.digest] for path, known in self._known.items()}
        with suppress(StoreError):  # where nothing can be kept, the store says so when it keeps the layer
            write_whole(self._index_file, json.dumps(rows, separators=(",", ":")).encode())
        self._dirty = False

    # ------------------------------------------------------------ reading

    def _scan(self) -> Iterator[LayerEntry]:
        """Walk the directory depth first; not by recursion, as it may be a thousand deep."""
        open_folders = [_Folder(self._listed(""), None)]
        while open_folders:
            item = next(open_folders[-1].items, None)
            if item is None:
                open_folders.pop()
                continue
            name, status, _ = item
            decision = self.rules.decide(name)
            if self._witness is not None:
                self._witness(name, status, decision)
            found = [] if decision.excluded else list(self._entry(*item))
            if found:
                yield from self._brought_back(open_folders)
                yield from found
            if stat.S_ISDIR(status.st_mode) and not (decision.excluded and self.rules.may_prune(name)):
                open_folders.append(_Folder(self._listed(name), item if decision.excluded else None))

    def _listed(self, path: str) -> Iterator[_Item]:
        try:
            with os.scandir(self.root / path if path else self.root) as listing:
                found = list(listing)
        except OSError as error:
            raise ContextError(f"{path or self.root} of the build context cannot be read: {error.strerror}") from error
        for item in found:
            yield f"{path}/{item.name}" if path else item.name, item.stat(follow_symlinks=False), item.path

    def _brought_back(self, open_folders: list[_Folder]) -> Iterator[LayerEntry]:
        """Give the excluded directories above a path that an exception brought back, and so them as well."""
        for folder in open_folders:
            if folder.excluded is not None:
                yield from self._entry(*folder.excluded)
                folder.excluded = None

    def _entry(self, path: str, status: os.stat_result, where: str) -> Iterator[Entry]:
        kind = kind_of(status)
        if kind is None:
            return  # sockets and devices are not sent, as in BuildKit (fsutil)
        if kind is Kind.FILE and status.st_nlink > 1:
            first = self._names.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                yield Entry(path, Kind.HARDLINK, link=first)
                return
        yield Entry(
            path,
            kind,
            mode=_mode_of(status),
            size=status.st_size if kind is Kind.FILE else 0,
            mtime_ns=status.st_mtime_ns,
            link=os.readlink(where) if kind is Kind.SYMLINK else "",
            digest=self._known_digest(path, status) if kind is Kind.FILE else None,
        )

    def _known_digest(self, path: str, status: os.stat_result) -> Digest | None:
        known = self._index().get(path)
        return known.digest if known is not None and known.stamp == _stamp_of(status) else None

    def _stamp(self, path: str) -> tuple[int, int, int, int]:
        try:
            status = os.lstat(self._where(path))
        except OSError as error:
            raise ContextError(f"{path} of the build context is gone: {error.strerror}") from error
        return _stamp_of(status)

    def _hash(self, path: str) -> Digest:
        with self.open(path) as stream:
            return Digest("sha256:" + hashlib.file_digest(cast("io.BufferedReader", stream), "sha256").hexdigest())

    def _where(self, path: str) -> str:
        """Join by hand: a Path for each of many thousand files would take longer than reading them."""
        return f"{self._prefix}{path}"

    def _index(self) -> dict[str, _Known]:
        if self._known is None:
            self._known = self._load()
        return self._known

    def _load(self) -> dict[str, _Known]:
        if self._index_file is None:
            return {}
        try:
            rows = json.loads(self._index_file.read_bytes())
        except (OSError, ValueError):
            return {}  # no index, or one cut short: everything is hashed anew
        return {path: _Known((row[0], row[1], row[2], row[3]), Digest(row[4])) for path, row in rows.items()}


def kind_of(status: os.stat_result) -> Kind | None:
    """Say what stands at a path; None for what no context can hold."""
    return _KINDS.get(stat.S_IFMT(status.st_mode))


def _mode_of(status: os.stat_result) -> int:
    """Give the permission bits of a path; what comes from Windows, which has none, may be run (fsutil, ``mkstat``)."""
    mode = stat.S_IMODE(status.st_mode)
    return (mode | 0o111) & 0o755 if sys.platform == "win32" else mode


def _stamp_of(status: os.stat_result) -> tuple[int, int, int, int]:
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def open_context(directory: Path, dockerfile: Path | None, state: Path | None) -> Context:
    """Open ``directory`` as a build context, with its .dockerignore. Raises ContextError if it is not there.

    ``Dockerfile.dockerignore`` beside a Dockerfile goes before ``.dockerignore``, as in BuildKit. ``state`` is where
    the stat index is kept; None keeps none.
    """
    if not directory.is_dir():
        raise ContextError(f"unable to prepare context: path {str(directory)!r} not found")
    name, text = _ignore_text(directory, dockerfile)
    return Context(directory, IgnoreRules.parse(text, file=name), _index_of(directory, state), ignore_file=name)


def open_whole(directory: Path, state: Path | None) -> Context:
    """Open a directory that was fetched: in such a one .dockerignore is a file like any other, as in BuildKit."""
    return Context(directory, NO_RULES, _index_of(directory, state))


def _index_of(directory: Path, state: Path | None) -> Path | None:
    return state / f"{sha256(os.fsencode(directory.resolve()))[7:23]}.json" if state else None


def _ignore_text(directory: Path, dockerfile: Path | None) -> tuple[str, str]:
    """Read the ignore file that counts: its name and its text, empty where there is none."""
    candidates = [directory / ".dockerignore"]
    if dockerfile is not None:
        candidates.insert(0, dockerfile.with_name(dockerfile.name + ".dockerignore"))
    for file in candidates:
        try:
            return file.name, file.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ContextError(f"{file} cannot be read: {error.strerror}") from error
    return ".dockerignore", ""
