"""Snapshots with overlayfs: layers lie side by side, and the kernel shows them as one.

Every layer is laid out once, in a directory of its own; a snapshot is an empty upper directory on top of
them, and what a process changes comes to lie in there. So preparing takes no time, and the changes of a step
are found by looking at what lies in the upper directory alone. When the step's layer is stored, the upper
directory becomes the laid out form of it as it is. This is how containerd's plugins/snapshots/overlay works.

On disk: ``layers/HEX`` a layer laid out (``HEX.CHAIN`` if it hangs on those below it), ``l/N`` a short link
to one, because mount(2) takes only a page of options (docker's overlay2 has the same ``l`` directory),
``active/N`` snapshots in the making, ``new/N`` layers being laid out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from dockersim.digest import DiffID, chain_id, hex_of
from dockersim.errors import StoreError
from dockersim.filesystem import Entry, LayerEntry, Tree, layer_from
from dockersim.sandbox.contract import OverlayRoot
from dockersim.sandbox.owners import can_own
from dockersim.snapshots.chain import Chains
from dockersim.snapshots.contract import Changes, LayerSource, SnapshotKey
from dockersim.snapshots.disk import Disk, delete, open_file, store_errors, try_rename
from dockersim.snapshots.layout import (
    Layout,
    is_self_contained,
    laid_out_entries,
    make_whiteout,
    opaque_attribute,
)
from dockersim.snapshots.ledger import NOTHING_RECORDED, Ledger
from dockersim.snapshots.scan import is_opaque, read_written, scan
from dockersim.snapshots.sweep import Claim, bury, claim_new, new_path, sweep


class _Active(Struct):
    """One snapshot in the making, and what was found to have changed in it when that was last asked."""

    claim: Claim
    layers: tuple[DiffID, ...]
    changes: tuple[LayerEntry, ...] | None = None

    @property
    def upper(self) -> str:
        return f"{self.claim.path}/upper"


class OverlaySnapshotter:
    """Keeps layers laid out below ``root`` and stacks them with overlayfs.

    As an ordinary user the mount needs the option ``userxattr``; it must in any case be made with
    ``redirect_dir=nofollow,metacopy=off,index=off``, or the upper directory would not hold all that was changed.
    Lower directories are given by short names in one directory, from where they should be mounted.
    """

    def __init__(self, root: Path, source: LayerSource, *, privileged: bool | None = None) -> None:
        self._root = str(root)
        self._source = source
        self._disk = Disk(privileged=can_own() if privileged is None else privileged)
        self._chains = Chains(source)
        self._active: dict[SnapshotKey, _Active] = {}
        self._is_ready = False

    def prepare(self, key: SnapshotKey, layers: Sequence[DiffID]) -> OverlayRoot:
        """Stack ``layers`` under an empty upper directory; see ``Snapshotter.prepare``."""
        if key in self._active:
            raise StoreError(f"snapshot {key} exists already")
        with store_errors("a snapshot cannot be prepared"):
            self._make_ready()
            names = [self._lay_out(layers[: count + 1]) for count in range(len(layers))]
            lower = self._short_links(_once(names)) or [f"{self._root}/l/empty"]
            active = self._begin(key, tuple(layers))
        paths = tuple(Path(path) for path in reversed(lower))
        return OverlayRoot(paths, Path(active.upper), Path(active.claim.path, "work"))

    def changes(self, key: SnapshotKey, ledger: Ledger = NOTHING_RECORDED) -> Changes:
        """Look at what lies in the upper directory; see ``Snapshotter.changes``."""
        active = self._find(key)
        before = self._chains.tree(active.layers)
        with store_errors("the changes of a step cannot be read"):
            found = scan(active.upper)
            written = list(read_written(self._disk, active.upper, found, before, overlay=True, ledger=ledger))
        active.changes = layer_from(before, written)
        return Changes(active.changes)

    def open_file(self, key: SnapshotKey, entry: Entry) -> BinaryIO:
        """Open the content of a FILE that ``changes`` named."""
        with store_errors(f"/{entry.path} cannot be read"):
            return open_file(f"{self._find(key).upper}/{entry.path}")

    def commit(self, key: SnapshotKey, layer: DiffID | None) -> None:
        """Make the upper directory the laid out form of ``layer``."""
        active = self._find(key)
        target = f"{self._root}/layers/{hex_of(layer)}" if layer is not None else ""
        if target and not os.path.exists(target):
            entries = self.changes(key).entries if active.changes is None else active.changes
            with store_errors("a layer cannot be kept laid out"):
                try:
                    self._settle_opaque(active.upper, self._chains.tree(active.layers))
                    _delete_unlisted(active.upper, {entry.path for entry in entries})
                    os.rename(active.upper, target)
                except PermissionError:
                    pass  # in a directory its owner may not write; the layer is laid out from its tar when needed
                except OSError:
                    if not os.path.exists(target):  # else another process has just stored the same layer
                        raise
        self.discard(key)

    def discard(self, key: SnapshotKey) -> None:
        """Forget a snapshot and its upper directory."""
        active = self._active.get(key)
        if active is None:
            return
        with store_errors("a snapshot cannot be deleted"):
            try:
                bury(active.claim.path)
            finally:
                self._active.pop(key, None)
                active.claim.release()

    def remove(self, layers: Collection[DiffID]) -> None:
        """Delete the layers' directories; the links to them go when they are next met."""
        names = {hex_of(layer) for layer in layers}
        with store_errors("a laid out layer cannot be deleted"):
            self._make_ready()
            for found in os.listdir(f"{self._root}/layers"):
                if found.partition(".")[0] in names:
                    with self._draft() as grave:
                        if not try_rename(f"{self._root}/layers/{found}", f"{grave}/fs"):
                            delete(f"{self._root}/layers/{found}")

    def _begin(self, key: SnapshotKey, layers: tuple[DiffID, ...]) -> _Active:
        """Make a snapshot's directories, or nothing at all."""
        path = new_path(f"{self._root}/active")
        try:
            active = self._active[key] = _Active(claim_new(path), layers)
            os.mkdir(f"{path}/work", 0o700)
            os.mkdir(active.upper, 0o700)
            self._disk.finish(active.upper, self._chains.tree(layers).root.entry)
        except BaseException:
            self.discard(key)
            bury(path)
            raise
        return active

    def _find(self, key: SnapshotKey) -> _Active:
        if key not in self._active:
            raise StoreError(f"there is no snapshot {key}")
        return self._active[key]

    def _make_ready(self) -> None:
        """Make our directories, and sweep away what dead processes left, once."""
        if self._is_ready:
            return
        for name in ("layers", "l/empty", "active", "new"):
            os.makedirs(f"{self._root}/{name}", 0o700, exist_ok=True)
        sweep(f"{self._root}/active")
        sweep(f"{self._root}/new")
        self._is_ready = True

    # ---------------------------------------------------------------- layers

    def _lay_out(self, layers: Sequence[DiffID]) -> str:
        """Return the directory name of the top one of ``layers``, which is laid out if it is not yet."""
        top = layers[-1]
        alone = hex_of(top)
        if os.path.exists(f"{self._root}/layers/{alone}"):
            return alone
        chained = f"{alone}.{hex_of(chain_id(layers))[:16]}"
        if os.path.exists(f"{self._root}/layers/{chained}"):
            return chained
        before, after = self._chains.tree(layers[:-1]), self._chains.tree(layers)
        entries = self._source.entries(top)
        name = alone if is_self_contained(entries) else chained
        with self._draft() as draft:
            os.mkdir(f"{draft}/fs", 0o755)
            layout = Layout(f"{draft}/fs", self._disk, self._source, whiteouts=True)
            layout.make(laid_out_entries(before, entries), after)
            if not os.path.exists(f"{self._root}/layers/{name}"):
                os.rename(f"{draft}/fs", f"{self._root}/layers/{name}")
        return name

    @contextmanager
    def _draft(self) -> Iterator[str]:
        """Give a directory to work in that is deleted with all that is left in it."""
        path = new_path(f"{self._root}/new")
        claimed: Claim | None = None
        try:
            claimed = claim_new(path)
            yield path
        finally:
            bury(path)
            if claimed is not None:
                claimed.release()

    def _short_links(self, names: Sequence[str]) -> list[str]:
        """Return the short links to layers' directories; those that are missing are made."""
        folder = f"{self._root}/l"
        numbers = set(os.listdir(folder)) - {"empty"}
        known = {os.readlink(f"{folder}/{number}"): number for number in numbers}
        links = []
        for name in names:
            target = f"../layers/{name}"
            if target not in known:
                known[target] = _link_to(target, folder)
            links.append(f"{folder}/{known[target]}")
        return links

    # ---------------------------------------------------------------- the upper directory

    def _settle_opaque(self, upper: str, before: Tree) -> None:
        """Turn opaque directories into whiteouts, as the stored layer has it.

        The layer may come to lie on another one than the one it was made on, and must not hide what is there.
        Overlayfs marks every new directory opaque, only to save itself looking below.
        """
        folders = [path for path, status in scan(upper) if stat.S_ISDIR(status.st_mode)]
        for folder in folders:
            where = f"{upper}/{folder}"
            if not is_opaque(where, privileged=self._disk.privileged):
                continue
            os.removexattr(where, opaque_attribute(privileged=self._disk.privileged))
            present = set(os.listdir(where))
            for node in before.children(folder):
                gone = node.entry.path.rpartition("/")[2]
                if gone not in present:
                    make_whiteout(f"{where}/{gone}")


def _once(names: Sequence[str]) -> list[str]:
    """Name each directory once, where it lies highest.

    The kernel refuses a directory that is stacked twice, as two steps that change nothing would have it. What a layer
    says lower down it says again higher up, so that nothing is lost.
    """
    return list(reversed(dict.fromkeys(reversed(names))))


def _link_to(target: str, folder: str) -> str:
    """Make a link to ``target`` under the first number that is free, and return that."""
    number = len(os.listdir(folder))
    while True:
        try:
            os.symlink(target, f"{folder}/{number}")
        except FileExistsError:
            number += 1
            continue
        return str(number)


def _delete_unlisted(upper: str, listed: set[str]) -> None:
    """Delete what overlayfs copied up though nothing of it changed.

    It is not part of the layer, and would show the files of this image in any other that has the same layer; that
    of a RUN which changes nothing is the same everywhere.
    """
    unlisted = [path for path, _ in scan(upper) if path not in listed]
    for path in unlisted:
        delete(f"{upper}/{path}")
