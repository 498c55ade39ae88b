"""Pruning: images and containers that nobody needs, and the build cache: steps, cache mounts, and what was fetched.

The real things are moby's daemon/images/image_prune.go and daemon/prune.go, and for the cache BuildKit's
cache/manager.go (``Prune``): what a build uses stays, and what an image uses stays unless all is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from dockersim.content import Collected, collect
from dockersim.content.garbage import GRACE_SECONDS
from dockersim.digest import DiffID, Digest
from dockersim.engine.keeping import remove_unused
from dockersim.errors import ContainerError

if TYPE_CHECKING:
    from dockersim.containers import Container
    from dockersim.engine.engine import Engine
    from dockersim.engine.store import Store
    from dockersim.images import Image, Removal

KEPT = ("cache-mounts", "repositories/checkouts")
"""Below the root: directories that builds keep for each other."""

NOTES = ("repositories/refs", "downloads")
"""Below the root: what servers said when they were last asked, in a file each."""


class Pruned(Struct, frozen=True):
    """What was deleted: the names of steps and directories, and the bytes of the directories' files."""

    objects: tuple[str, ...]
    size: int


def prune_images(engine: Engine, doomed: Iterable[Image]) -> tuple[Removal, ...]:
    """Remove those of the images that no container was made of; the layers go with the next sweep."""
    used = images_in_use(engine)
    images = engine.store.images
    return tuple(line for image in doomed if image.id not in used for line in images.remove(image.id, force=True))


def images_in_use(engine: Engine) -> set[str]:
    """Give the ids of the images that containers were made of."""
    return {container.image_id for container in engine.containers.list(all=True)}


def prune_containers(engine: Engine, doomed: Callable[[Container], bool]) -> Pruned:
    """Remove the containers that do not run and are ``doomed``."""
    stopped = [one for one in engine.containers.list(all=True) if not one.state.running and doomed(one)]
    removed: dict[str, int] = {}
    for container in stopped:
        try:
            size = engine.containers.size(container)
            engine.containers.remove(container.id)
        except ContainerError:
            continue  # it was removed, or started, just now
        removed[container.id] = size
    return Pruned(tuple(removed), sum(removed.values()))


def prune_cache(store: Store, *, everything: bool, before: float = math.inf) -> Pruned:
    """Forget the steps of builds and delete what they kept; steps whose layers an image has stay, or all goes.

    With ``before``, in seconds since 1970, only steps go whose layers were last used before; of what has no such time
    nothing. The layers themselves go with the next sweep.
    """
    needed: set[DiffID | None] = set() if everything else set(_layers_of_images(store))
    if before < math.inf:
        needed |= {None, *(layer for layer in store.records.layers() if last_used(store, layer) >= before)}
        return Pruned(store.records.forget(needed), 0)
    steps = store.records.forget(needed)
    removed = [remove_unused(store.root / folder) for folder in KEPT]
    for note in (note for folder in NOTES for note in (store.root / folder).glob("*.json")):
        note.unlink(missing_ok=True)
    names = (*steps, *(name for of_folder in removed for name in of_folder))
    return Pruned(names, sum(size for of_folder in removed for size in of_folder.values()))


def sweep(engine: Engine, *, grace_seconds: float = GRACE_SECONDS) -> Collected:
    """Delete the blobs that neither an image nor a container nor the build cache needs, but not the young ones.

    With a layer goes what was laid out of it.
    """
    store = engine.store
    collected = collect(store.layers, _roots(engine), grace_seconds=grace_seconds)
    if collected.blobs:
        store.snapshots.remove([DiffID(blob) for blob in collected.blobs])
    return collected


def _roots(engine: Engine) -> Iterator[Digest | DiffID]:
    yield from engine.store.images.roots()
    yield from engine.store.records.layers()
    yield from engine.containers.layers()


def last_used(store: Store, layer: DiffID) -> float:
    """Say when a layer was last found to be here, in seconds since 1970; 0 if it is not."""
    try:
        return store.content.path(layer).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _layers_of_images(store: Store) -> set[DiffID]:
    return {layer for image in store.images.list() for layer in image.config.diff_ids}
