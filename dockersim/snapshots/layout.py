"""Laying layers out: making the files and directories that a layer, or the step from one tree to another,
says.

An archive is never unpacked by its names. Its entries are applied to a Tree first, which knows what is a link
and what a directory; what is made on disk is the outcome, whose paths lead through directories that were made
here. So no archive can make us write outside, whatever links and dots it has.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from dockersim.filesystem import Entry, Kind, LayerEntry, Opaque, Tree, Whiteout, layer_between
from dockersim.snapshots.disk import Contents, Disk, TarSource, delete


def is_self_contained(entries: Iterable[LayerEntry]) -> bool:
    """Tell whether a layer lists all directories above its entries, so that it means the same on any other
    layer.

    Docker's and BuildKit's layers do. Of another one it depends on the layers below whether ``a/b`` is in a
    directory, behind a link, or needs a new directory, and what rights that has.
    """
    folders: set[str] = {""}
    others: set[str] = set()
    for entry in entries:
        if entry.path.rpartition("/")[0] not in folders:
            return False
        if isinstance(entry, Opaque):
            if not entry.path or entry.path not in folders:
                return (
                    False  # overlayfs knows no opaque root; and what is no directory here may be a link that leads out
                )
            continue
        if entry.path in folders or entry.path in others:
            return False  # a path that is two things: what comes of it depends on the order
        if isinstance(entry, Entry) and entry.kind is Kind.HARDLINK and entry.link not in others:
            return False
        is_folder = isinstance(entry, Entry) and entry.kind is Kind.DIRECTORY
        (folders if is_folder else others).add(entry.path)
    return True


def laid_out_entries(before: Tree, entries: Sequence[LayerEntry]) -> Sequence[LayerEntry]:
    """Return what a layer comes to on top of ``before``: its own entries, or if they hang on it, what they
    change."""
    if is_self_contained(entries):
        return entries
    return layer_between(before, before.apply(entries))


class Layout:
    """Makes the entries of one layer below a directory.

    ``whiteouts`` says that the directory is one layer of an overlay, so that what is gone is marked, as
    overlayfs reads it (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"), and not
    deleted. ``empty`` says that nothing is in the way of anything.
    """

    def __init__(self, root: str, disk: Disk, source: TarSource, *, whiteouts: bool, empty: bool = False) -> None:
        self._root = root
        self._disk = disk
        self._source = source
        self._whiteouts = whiteouts
        self._empty = empty or whiteouts

    def make(self, entries: Iterable[LayerEntry], after: Tree) -> None:
        """Make what ``entries`` say. Contents are those of the nodes of ``after``, the tree with the layer
        applied.

        Directories get their modes and times last, the deepest first: making things in them needs the right
        to write, and moves the time.
        """
        contents = Contents(self._source)
        folders: list[Entry] = []
        try:
            for entry in entries:
                if isinstance(entry, Entry):
                    self._make(entry, after, contents, folders)
                else:
                    self._mark(entry)
            for entry in reversed(folders):
                self._disk.finish(self._at(entry.path), entry)
        finally:
            contents.close()

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _make(self, entry: Entry, after: Tree, contents: Contents, folders: list[Entry]) -> None:
        path = self._at(entry.path)
        if entry.kind is Kind.DIRECTORY:
            if not os.path.isdir(path) or os.path.islink(path):
                delete(path)
                os.mkdir(path, 0o700)
            elif not self._disk.privileged:
                os.chmod(path, 0o700)  # it may be one that its owner may not write
            folders.append(entry)
            return
        if not self._empty:
            delete(path)
        if entry.kind is Kind.HARDLINK:
            os.link(self._at(entry.link), path, follow_symlinks=False)
            return
        node = after.get(entry.path)
        if node is None or node.entry.kind is not entry.kind:
            return  # a later entry of the same layer has taken its place
        self._disk.make(path, node.entry, node.layer, contents)

    def _mark(self, mark: Whiteout | Opaque) -> None:
        path = self._at(mark.path)
        if not self._whiteouts:
            delete(path)
        elif isinstance(mark, Whiteout):
            make_whiteout(path)
        else:
            os.makedirs(path, 0o700, exist_ok=True)
            os.setxattr(path, opaque_attribute(privileged=self._disk.privileged), b"y")


def make_whiteout(path: str) -> None:
    """Mark a name as deleted: a character device 0/0, which Linux lets any user make since 5.8."""
    os.mknod(path, 0o020000, 0)


def opaque_attribute(*, privileged: bool) -> str:
    """Name the attribute that makes a directory opaque; an ordinary user's overlay is mounted with
    ``userxattr``."""
    return "trusted.overlay.opaque" if privileged else "user.overlay.opaque"
