"""What takes the room in a root: ``docker system df``.

The bytes are those of the files in the layers, as docker counts them. The real thing is moby's daemon/disk_usage.go and
daemon/images/images.go: a layer that several images have is counted once in all, and as shared in each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from dockersim.digest import EMPTY_CHAIN, ChainID, chain_id
from dockersim.engine.cached import Cached, list_cache, measure_cache
from dockersim.errors import ContainerError
from dockersim.images import Image

if TYPE_CHECKING:
    from dockersim.containers import Container
    from dockersim.engine.engine import Engine


class ImageUsage(Struct, frozen=True):
    """An image, the bytes of it that other images have as well, and how many containers were made of it."""

    image: Image
    shared: int
    containers: int

    @property
    def unique(self) -> int:
        """The bytes that would be free without it."""
        return self.image.size - self.shared


class ContainerUsage(Struct, frozen=True):
    """A container, and the bytes of the files that it has changed."""

    container: Container
    size: int


class CacheUsage(Struct, frozen=True):
    """Something that the build cache holds, and the bytes of its files."""

    cached: Cached
    size: int


class Usage(Struct, frozen=True):
    """All of it. ``layers`` are the bytes of the images' layers, each counted once."""

    images: tuple[ImageUsage, ...]
    layers: int
    containers: tuple[ContainerUsage, ...]
    cache: tuple[CacheUsage, ...]


def measure(engine: Engine) -> Usage:
    """Count what images, containers and the build cache take."""
    images = engine.store.images.list()
    containers = engine.containers.list(all=True)
    made_of = Counter(container.image_id for container in containers)
    sizes = {chain: size for image in images for chain, size in _layers(image)}
    owners = Counter(chain for image in images for chain, _ in _layers(image))
    return Usage(
        tuple(
            ImageUsage(image, sum(size for chain, size in _layers(image) if owners[chain] > 1), made_of[image.id])
            for image in images
        ),
        sum(sizes.values()),
        tuple(measure_containers(engine, containers)),
        tuple(CacheUsage(*pair) for pair in measure_cache(engine.store, list_cache(engine.store))),
    )


def measure_containers(engine: Engine, containers: Iterable[Container]) -> Iterator[ContainerUsage]:
    """Count what containers take, but not one that is gone by now."""
    for container in containers:
        with suppress(ContainerError):
            yield ContainerUsage(container, engine.containers.size(container))


def _layers(image: Image) -> list[tuple[ChainID, int]]:
    """Give each layer where it stands in the stack, with its bytes; none twice."""
    chain = EMPTY_CHAIN
    pairs = zip(image.config.diff_ids, image.layer_sizes, strict=True)
    return [(chain := chain_id([diff_id], parent=chain), size) for diff_id, size in pairs]
