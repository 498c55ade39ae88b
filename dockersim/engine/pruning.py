"""Pruning: images and containers that nobody needs, and the build cache: steps, cache mounts, and what was fetched.

The real things are moby's daemon/images/image_prune.go and daemon/prune.go, and for the cache BuildKit's
cache/manager.go (``Prune``): what a build uses stays, and what an image uses stays unless all is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from dockersim.content import Collected, collect
from dockersim.content.garbage import GRACE_SECONDS
from dockersim.digest import DiffID, Digest
from dockersim.engine.cached import STEP, Cached, list_cache, measure_cache
from dockersim.engine.keeping import remove_unused
from dockersim.errors import ContainerError

if TYPE_CHECKING:
    from dockersim.containers import Container
    from dockersim.engine.engine import Engine
    from dockersim.engine.store import Store
    from dockersim.images import Image, Removal

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


def prune_cache(
    store: Store, *, everything: bool, chosen: Callable[[Cached], bool] | None = None, keep_bytes: int = 0
) -> Pruned:
    """Forget the steps of builds and delete what they kept; steps whose layers an image has stay, or all goes.

    Only what is ``chosen`` goes, and with ``keep_bytes`` only so much that no more are left: first what was not used
    for longest. The layers themselves go with the next sweep.
    """
    known = list(list_cache(store))
    doomed = [one for one in known if (everything or not one.shared) and (chosen is None or chosen(one))]
    if keep_bytes:
        doomed = _too_many(doomed, dict(measure_cache(store, known)), keep_bytes)
    steps = store.records.forget(one.id for one in doomed if one.kind == STEP)
    removed = remove_unused(one.place for one in doomed if one.place is not None)
    if chosen is None and not keep_bytes:
        for note in (note for folder in NOTES for note in (store.root / folder).glob("*.json")):
            note.unlink(missing_ok=True)
    return Pruned((*steps, *removed), sum(removed.values()))


def _too_many(doomed: list[Cached], sizes: Mapping[Cached, int], keep_bytes: int) -> list[Cached]:
    """Choose what must go so that no more bytes are left; what images have as well does not count.

    A layer that several steps came to is only free when all of them have gone.
    """
    left = sum(size for one, size in sizes.items() if not one.shared)
    stale = sorted((one for one in doomed if one.used is not None), key=lambda one: one.used or 0.0)
    gone: list[Cached] = []
    layers: set[DiffID] = set()
    for one in stale:
        if left <= keep_bytes and one.layer not in layers:
            continue
        gone.append(one)
        left -= 0 if one.shared else sizes[one]
        layers |= {one.layer} if one.layer else set()
    return gone


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
