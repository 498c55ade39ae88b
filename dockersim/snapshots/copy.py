"""Snapshots without overlayfs: one plain directory that moves from step to step.

Copying a root file system for every RUN would be hopeless, so there is one tree on disk, changed in place. It
stands at some stack of layers; to prepare another stack, the differ says what is different between the two
trees, and only that is written and deleted. What a process changed is found by one scan of metadata, compared
with the manifest that was taken when the tree was last known: size, times, inode and mode, the way git finds
changed files. A snapshot that is discarded is not cleaned up: what it changed is found, and put back, when
the directory is next used.

Two trees share no file: a hard link would let a command change both. Nor do they share blocks with the layers they
are made from (reflinks of btrfs and XFS), as contents stand in a tar at multiples of 512 bytes, not of the disk's
blocks; the kernel finds the few large ones for which it can be done (``copy_file_range``).

On disk: ``slots/N/tree`` the directory, ``slots/N/state`` the layers it stands at and its manifest,
``slots/N/dirty`` a mark that the tree may have been changed since then. ``slots/N/tree.aside`` is what a sandbox
that was killed had moved out of the tree; the layers have it too, so that it is deleted and the tree put back.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

from msgspec import Struct, field

from dockersim.digest import DiffID
from dockersim.errors import DockersimError, StoreError
from dockersim.filesystem import Entry, Kind, LayerEntry, Tree, Whiteout, layer_between, layer_from
from dockersim.sandbox.contract import DirectoryRoot
from dockersim.sandbox.owners import can_own
from dockersim.snapshots.chain import Chains
from dockersim.snapshots.contract import Changes, LayerSource, SnapshotKey
from dockersim.snapshots.disk import Disk, delete, open_file, store_errors
from dockersim.snapshots.layout import Layout
from dockersim.snapshots.ledger import NOTHING_RECORDED, Ledger
from dockersim.snapshots.scan import read_written, scan
from dockersim.snapshots.sweep import GONE, Claim, bury, claim, claim_new, new_path

SLOTS = 3
"""How many trees are kept when they share nothing: the stages of one build, or the bases of a few."""

Row: TypeAlias = list[int]
Manifest: TypeAlias = dict[str, Row]
"""Size, mtime_ns, ctime_ns, inode and mode of every path."""


class _Slot(Struct):
    """One directory in use: what it stood at when it was handed out, and what the last scan found."""

    claim: Claim
    layers: tuple[DiffID, ...]
    manifest: Manifest
    scanned: Manifest = field(default_factory=dict)
    changes: tuple[LayerEntry, ...] | None = None

    @property
    def tree(self) -> str:
        return f"{self.claim.path}/tree"

    @property
    def root(self) -> DirectoryRoot:
        return DirectoryRoot(Path(self.tree))


class _State(Struct, frozen=True):
    """What a state file says: the layers that a directory stands at, and its manifest."""

    stamp: tuple[int, int]
    layers: tuple[DiffID, ...]
    manifest: Manifest


class CopySnapshotter:
    """Keeps plain directories below ``root`` and moves them from step to step."""

    def __init__(self, root: Path, source: LayerSource, *, privileged: bool | None = None) -> None:
        owns = can_own() if privileged is None else privileged
        self._root = f"{root}/slots"
        self._source = source
        self._disk = Disk(privileged=owns, keep_usable=not owns, devices=False)
        self._chains = Chains(source)
        self._active: dict[SnapshotKey, _Slot] = {}
        self._known: dict[str, _State] = {}  # what was read last, as reading it takes as long as the scan

    def prepare(self, key: SnapshotKey, layers: Sequence[DiffID]) -> DirectoryRoot:
        """Move a directory to ``layers``, or take it as it is if it stands there; see
        ``Snapshotter.prepare``."""
        if key in self._active:
            raise StoreError(f"snapshot {key} exists already")
        with store_errors("a snapshot cannot be prepared"):
            os.makedirs(self._root, 0o700, exist_ok=True)
            claimed = self._choose(tuple(layers))
            try:
                slot = self._stand_at(claimed, tuple(layers))
            except BaseException:
                claimed.release()
                raise
        self._active[key] = slot
        return slot.root

    def changes(self, key: SnapshotKey, ledger: Ledger = NOTHING_RECORDED) -> Changes:
        """Scan the directory and compare it with its manifest; see ``Snapshotter.changes``."""
        slot = self._find(key)
        with store_errors("the changes of a step cannot be read"):
            before = self._chains.tree(slot.layers)
            slot.changes = layer_from(before, self._written(slot, before, ledger))
        return Changes(slot.changes)

    def open_file(self, key: SnapshotKey, entry: Entry) -> BinaryIO:
        """Open the content of a FILE that ``changes`` named."""
        with store_errors(f"/{entry.path} cannot be read"):
            return open_file(f"{self._find(key).tree}/{entry.path}")

    def commit(self, key: SnapshotKey, layer: DiffID | None) -> None:
        """Note that the directory now stands at ``layer`` too."""
        slot = self._find(key)
        entries = self.changes(key).entries if slot.changes is None else slot.changes
        layers = slot.layers if layer is None else (*slot.layers, layer)
        with store_errors("a snapshot cannot be kept"):
            self._make_usable(slot, entries)
            if layer is not None:
                self._set_times(slot, self._source.entries(layer))
            if layers != slot.layers or slot.scanned != slot.manifest:
                self._save(slot.claim.path, layers, slot.scanned)
            os.unlink(f"{slot.claim.path}/dirty")
        self.discard(key)

    def discard(self, key: SnapshotKey) -> None:
        """Let go of the directory; what was changed in it is put back when it is next used."""
        slot = self._active.pop(key, None)
        if slot is not None:
            slot.claim.release()

    def remove(self, layers: Collection[DiffID]) -> None:
        """Delete the directories that stand at a stack with one of ``layers`` in it."""
        gone = frozenset(layers)
        with store_errors("a laid out layer cannot be deleted"):
            for claimed in self._free_slots():
                if not gone.isdisjoint(_layers_of(claimed.path)):
                    bury(claimed.path)
                claimed.release()

    def _make_usable(self, slot: _Slot, entries: Sequence[LayerEntry]) -> None:
        """Give what a process made the rights on disk that it would have if it had been laid out."""
        for entry in entries:
            if isinstance(entry, Entry) and entry.kind in (Kind.FILE, Kind.DIRECTORY):
                mode = self._disk.mode_on_disk(entry)
                if mode != entry.mode:
                    os.chmod(f"{slot.tree}/{entry.path}", mode)
                    slot.scanned[entry.path] = _row(os.lstat(f"{slot.tree}/{entry.path}"))

    def _set_times(self, slot: _Slot, stored: Sequence[LayerEntry]) -> None:
        """Give what a process made the time that its layer says, where SOURCE_DATE_EPOCH has made that another one.

        Else a file of which only a link count changes later, or its mode and back, would look changed.
        """
        for entry in stored:
            row = slot.scanned.get(entry.path)
            if isinstance(entry, Entry) and row and row[1] != entry.mtime_ns:
                path = f"{slot.tree}/{entry.path}"
                os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)
                slot.scanned[entry.path] = _row(os.lstat(path))

    def _find(self, key: SnapshotKey) -> _Slot:
        if key not in self._active:
            raise StoreError(f"there is no snapshot {key}")
        return self._active[key]

    # ---------------------------------------------------------------- choosing and moving a directory

    def _free_slots(self) -> list[Claim]:
        if not os.path.isdir(self._root):
            return []
        paths = [f"{self._root}/{name}" for name in sorted(os.listdir(self._root))]
        for path in (path for path in paths if path.endswith(GONE)):
            delete(path)
        claims = [claim(path) for path in paths if not path.endswith(GONE)]
        return [claimed for claimed in claims if claimed is not None]

    def _choose(self, layers: tuple[DiffID, ...]) -> Claim:
        """Take the free directory that shares the most layers; one that shares none only if there are
        enough."""
        free = self._free_slots()
        best = max(free, key=lambda claimed: _shared(_layers_of(claimed.path), layers), default=None)
        shared = _shared(_layers_of(best.path), layers) if best is not None else (0, 0)
        if best is not None and not shared[0] and layers and len(free) < SLOTS:
            best = None
        for claimed in free:
            if claimed is not best:
                claimed.release()
        return best if best is not None else claim_new(new_path(self._root))

    def _stand_at(self, claimed: Claim, layers: tuple[DiffID, ...]) -> _Slot:
        """Make a directory show ``layers``, at the cost of what is different from what it shows now."""
        slot = self._load(claimed)
        dirty = f"{claimed.path}/dirty"
        was_changed = os.path.exists(dirty)
        _mark(dirty)
        if slot.layers == layers and not was_changed:
            return slot
        if was_changed and self._disk.privileged:
            from dockersim.sandbox.inside.strays import end_strays  # Linux only, as running anything is

            end_strays(slot.tree)
        delete(str(slot.root.aside))
        wanted = self._chains.tree(layers)
        actual = self._actual(slot) if was_changed else self._chains.tree(slot.layers)
        layout = Layout(slot.tree, self._disk, self._source, whiteouts=False, empty=not os.listdir(slot.tree))
        layout.make(layer_between(actual, wanted), wanted)
        self._disk.finish(slot.tree, wanted.root.entry)
        manifest = {path: _row(status) for path, status in scan(slot.tree)}
        self._save(claimed.path, layers, manifest)
        return _Slot(claimed, layers, manifest)

    def _load(self, claimed: Claim) -> _Slot:
        """Read what a directory stands at; if that cannot be told it is begun anew."""
        tree = f"{claimed.path}/tree"
        try:
            known = self._known.get(claimed.path)
            if known is None or known.stamp != _stamp(claimed.path):
                known = self._known[claimed.path] = _read(claimed.path)
            self._chains.tree(known.layers)
            return _Slot(claimed, known.layers, known.manifest)
        except (FileNotFoundError, ValueError, DockersimError):
            delete(f"{claimed.path}/state")
            delete(tree)
            os.mkdir(tree, 0o700)
            _mark(f"{claimed.path}/dirty")
            return _Slot(claimed, (), {})

    def _save(self, folder: str, layers: Sequence[DiffID], manifest: Manifest) -> None:
        """Write the state as a whole: two lines of JSON, the layers and the manifest."""
        draft = f"{folder}/state.new"
        with open(draft, "w", encoding="utf-8") as file:
            file.write(json.dumps(list(layers)) + "\n" + json.dumps(manifest, separators=(",", ":")) + "\n")
        os.replace(draft, f"{folder}/state")
        self._known[folder] = _State(_stamp(folder), tuple(layers), manifest)

    def _actual(self, slot: _Slot) -> Tree:
        """Tell what really is in the directory, after a process that was killed, or a snapshot that was
        discarded."""
        before = self._chains.tree(slot.layers)
        return before.apply(self._written(slot, before))

    def _written(self, slot: _Slot, before: Tree, ledger: Ledger = NOTHING_RECORDED) -> list[LayerEntry]:
        """List what is different from the manifest: one scan, and a closer look at what it shows."""
        found, changed, scanned = slot.manifest, [], {}
        replaced = set()
        for path, status in scan(slot.tree):
            row = scanned[path] = _row(status)
            known = found.get(path)
            if known != row:
                changed.append((path, status))
                if known and known[3] != row[3] and stat.S_ISDIR(status.st_mode):
                    replaced.add(path)
        slot.scanned = scanned
        gone = [path for path in found if path not in scanned and _is_directory(scanned, path.rpartition("/")[0])]
        written = read_written(
            self._disk, slot.tree, changed, before, overlay=False, replaced=replaced, gone=gone, ledger=ledger
        )
        return [*(Whiteout(path) for path in gone), *written]


def _row(status: os.stat_result) -> Row:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode]


def _is_directory(manifest: Manifest, path: str) -> bool:
    return not path or (path in manifest and stat.S_ISDIR(manifest[path][4]))


def _mark(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _stamp(folder: str) -> tuple[int, int]:
    """Tell one state file of a directory from the next, which is another file."""
    status = os.stat(f"{folder}/state")
    return status.st_ino, status.st_mtime_ns


def _read(folder: str) -> _State:
    stamp = _stamp(folder)
    with open(f"{folder}/state", encoding="utf-8") as file:
        layers, manifest = json.loads(file.readline()), json.loads(file.readline())
    return _State(stamp, tuple(layers), manifest)


def _layers_of(folder: str) -> tuple[DiffID, ...]:
    try:
        with open(f"{folder}/state", encoding="utf-8") as file:
            return tuple(json.loads(file.readline()))
    except (FileNotFoundError, ValueError):
        return ()


def _shared(has: tuple[DiffID, ...], wants: tuple[DiffID, ...]) -> tuple[int, int]:
    """Tell how many layers two stacks share from below, and less how many the first has besides."""
    count = 0
    while count < min(len(has), len(wants)) and has[count] == wants[count]:
        count += 1
    return count, count - len(has)
