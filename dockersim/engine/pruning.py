"""Pruning the build cache: steps, cache mounts, and what was fetched.

BuildKit does this in cache/manager.go (``Prune``): what a build uses stays, and what an image uses stays unless all is
asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from dockersim.content import Collected, collect
from dockersim.digest import DiffID, Digest
from dockersim.engine.keeping import remove_unused

if TYPE_CHECKING:
    from dockersim.engine.engine import Engine
    from dockersim.engine.store import Store

KEPT = ("cache-mounts", "repositories/checkouts")
"""Below the root: directories that builds keep for each other."""

NOTES = ("repositories/refs", "downloads")
"""Below the root: what servers said when they were last asked, in a file each."""


class Pruned(Struct, frozen=True):
    """What was deleted: the names of steps and directories, and the bytes of the directories' files."""

    objects: tuple[str, ...]
    size: int


def prune_cache(store: Store, *, everything: bool) -> Pruned:
    """Forget the steps of builds and delete what they kept; steps whose layers an image has stay, or all goes.

    The layers themselves go with the next sweep.
    """
    needed: set[DiffID] = set() if everything else _layers_of_images(store)
    steps = store.records.forget(needed)
    removed = [remove_unused(store.root / folder) for folder in KEPT]
    for note in (note for folder in NOTES for note in (store.root / folder).glob("*.json")):
        note.unlink(missing_ok=True)
    names = (*steps, *(name for of_folder in removed for name in of_folder))
    return Pruned(names, sum(size for of_folder in removed for size in of_folder.values()))


def sweep(engine: Engine) -> Collected:
    """Delete the blobs that neither an image nor a container nor the build cache needs, but not the young ones.

    With a layer goes what was laid out of it.
    """
    store = engine.store
    collected = collect(store.layers, _roots(engine))
    if collected.blobs:
        store.snapshots.remove([DiffID(blob) for blob in collected.blobs])
    return collected


def _roots(engine: Engine) -> Iterator[Digest | DiffID]:
    yield from engine.store.images.roots()
    yield from engine.store.records.layers()
    yield from engine.containers.layers()


def _layers_of_images(store: Store) -> set[DiffID]:
    return {layer for image in store.images.list() for layer in image.config.diff_ids}
