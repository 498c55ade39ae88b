"""What is different between two images: files, sizes and config.

Files are compared as the differ compares them, which is how a step's layer is found; but two builds of one Dockerfile
give every file another time, so what differs in its time alone is counted apart.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from dockersim.filesystem import Change, Entry, Kind, Tree, What, diff
from dockersim.images.image import Image
from dockersim.images.store import ImageStore


class Comparison(Struct, frozen=True):
    """Two images, and the paths that differ, in layer order; ``times`` are those that only got another time."""

    before: Image
    after: Image
    changes: tuple[Change, ...]
    times: tuple[Change, ...]

    def of(self, what: What) -> tuple[Change, ...]:
        """Give the changes of one kind."""
        return tuple(change for change in self.changes if change.what is what)

    @property
    def shared_layers(self) -> int:
        """How many layers, from the lowest, are the same: those are stored, pulled and pushed once."""
        pairs = zip(self.before.config.diff_ids, self.after.config.diff_ids, strict=False)
        return next((count for count, (one, other) in enumerate(pairs) if one != other),
                    min(len(self.before.config.diff_ids), len(self.after.config.diff_ids)))  # fmt: skip


def compare(images: ImageStore, before: Image, after: Image) -> Comparison:
    """Compare two images; every file of a deleted directory is listed, as every file of an added one is."""
    trees = [images.layers.tree(image.config.diff_ids) for image in (before, after)]
    changes = [one for change in diff(*trees) for one in _with_contents(change, trees[0])]
    times = tuple(change for change in changes if is_of_time(change))
    return Comparison(before, after, tuple(change for change in changes if not is_of_time(change)), times)


def is_of_time(change: Change) -> bool:
    """Say whether a path is what it was, but for the time it was written."""
    if change.before is None or change.after is None:
        return False
    return _timeless(change.before) == _timeless(change.after)


def _timeless(entry: Entry) -> Entry:
    return replace(entry, mtime_ns=0, data=None)


def _with_contents(change: Change, before: Tree) -> list[Change]:
    """Add what was in a directory that is gone, or in whose place something else stands."""
    gone = change.before is not None and change.before.kind is Kind.DIRECTORY
    if not gone or (change.after is not None and change.after.kind is Kind.DIRECTORY):
        return [change]
    lost = [Change(node.entry.path, What.DELETED, node.entry, None) for node in before.walk(change.path)]
    return [change, *lost]
