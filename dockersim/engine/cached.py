"""What the build cache holds: what steps came to, cache mounts, and what was fetched of Git repositories.

BuildKit's words for its records are those of client/diskusage.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from dockersim.digest import DiffID
from dockersim.engine.keeping import names_in, size_of, used_at
from dockersim.filesystem import content_bytes

if TYPE_CHECKING:
    from dockersim.engine.store import Store

FOLDERS = {"cache-mounts": "exec.cachemount", "repositories/checkouts": "source.git.checkout"}
"""Below the root: directories that builds keep for each other, and BuildKit's words for such records."""

STEP = "regular"


class Cached(Struct, frozen=True):
    """Something that a build kept: what a step came to, or a directory. ``shared``: an image has the layer as well.

    ``used`` is when, in seconds since 1970; None for a step without a layer, of which nobody wrote that down.
    """

    id: str
    kind: str
    shared: bool
    used: float | None
    layer: DiffID | None = None
    place: Path | None = None


def list_cache(store: Store) -> Iterator[Cached]:
    """List what the cache holds."""
    of_images = {layer for image in store.images.list() for layer in image.config.diff_ids}
    for key, layer in store.records.steps():
        yield Cached(key, STEP, layer in of_images, last_used(store, layer) if layer else None, layer)
    for folder, kind in FOLDERS.items():
        for name in names_in(store.root / folder):
            place = store.root / folder / name
            yield Cached(name, kind, False, used_at(place), place=place)


def measure_cache(store: Store, records: Iterable[Cached]) -> Iterator[tuple[Cached, int]]:
    """Count the bytes of the files of each; a layer that several steps came to is counted once."""
    seen: set[DiffID] = set()
    for one in records:
        if one.place is not None:
            yield one, size_of(str(one.place))
        elif one.layer is None or one.layer in seen or not store.layers.has(one.layer):
            yield one, 0
        else:
            seen.add(one.layer)
            yield one, content_bytes(store.layers.entries(one.layer))


def last_used(store: Store, layer: DiffID) -> float:
    """Say when a layer was last found to be here, in seconds since 1970; 0 if it is not."""
    try:
        return store.content.path(layer).stat().st_mtime
    except FileNotFoundError:
        return 0.0
