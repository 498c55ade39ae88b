"""Pull an image: the manifest, its config, then the layers that are not here yet.

Nothing is trusted on the way: the manifest must have the digest it is known by, every blob that of its descriptor,
every unpacked layer the diff id in the config. Then the image is the one that was pushed, whoever sent it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from typing import Final

from msgspec import Struct

from dockersim.content import ContentStore, LayerStore
from dockersim.digest import DiffID
from dockersim.errors import ContentError
from dockersim.oci import Descriptor, ImageConfig, Index, Manifest, Platform, Reference, media_types
from dockersim.registry.client.abreast import abreast
from dockersim.registry.client.connection import RegistryClient
from dockersim.registry.client.platforms import check_platform, choose
from dockersim.registry.events import (
    LayerExists,
    LayerPreparing,
    LayerPulled,
    ManifestFetched,
    Progress,
    PullEvent,
)

DOWNLOADS: Final = 3
"""Layers that are fetched at once (dockerd's ``max-concurrent-downloads``)."""

DEEPEST_INDEX: Final = 3
"""How many indexes may lie within each other."""

LARGEST_CONFIG: Final = 4 << 20
"""Bytes (containers/image, ``internal/iolimits``)."""

_STEP: Final = 1 << 20
"""Bytes after which progress is told again."""


class Arrived(Struct, frozen=True):
    """What came of a pull: ``named`` is what the name stands for in the registry, which may be an index.

    ``manifest`` is the image's.
    """

    named: Descriptor
    manifest: Descriptor


def pull(
    client: RegistryClient,
    reference: Reference,
    content: ContentStore,
    layers: LayerStore,
    platform: Platform,
) -> Generator[PullEvent, None, Arrived]:
    """Pull ``reference`` for ``platform``; yield what happens. An index that is met on the way is kept in ``content``.

    May be repeated: what is here is not fetched again. Raises NotInRegistry, AccessDenied, RegistryError,
    ContentError, and ImageError for an image of another platform.
    """
    name = reference.resolvable()
    named, data = client.fetch_manifest(name.repository, name.digest or name.tag)
    yield ManifestFetched(name.familiar(), named.digest, named.size, named.media_type)
    found = named
    for _ in range(DEEPEST_INDEX):
        if found.media_type not in media_types.INDEXES:
            break
        content.put(data)
        chosen = choose(Index.from_json(data), platform, name.familiar())
        data = entry_of(client, name, chosen, content)
        found = Descriptor(chosen.media_type, chosen.digest, len(data))
    if found.media_type not in media_types.MANIFESTS:
        raise ContentError(f"{name.familiar()} is not an image but {found.media_type}")
    manifest = Manifest.from_json(data)
    config = _fetch_config(client, name, manifest, content)
    check_platform(config.platform, platform, name.familiar())
    if len(config.diff_ids) != len(manifest.layers):
        raise ContentError(f"{name.familiar()} has {len(manifest.layers)} layers, its config {len(config.diff_ids)}")
    for diff_id, layer in zip(config.diff_ids, manifest.layers, strict=True):
        yield LayerPreparing(diff_id, layer.digest, layer.size, layers.has(diff_id))
    pairs = dict(zip(config.diff_ids, manifest.layers, strict=True))  # a layer may well be in an image twice
    works = [partial(_pull_layer, client, name, *pair, content, layers) for pair in pairs.items()]
    yield from abreast(works, DOWNLOADS)
    # Again, as a slow pull outlives what sweeps spare as young; the layers are the caller's to protect as they come.
    _fetch_config(client, name, manifest, content)
    # Last, as in a push: a manifest in the store means a whole image.
    content.put(data)
    return Arrived(named, found)


def entry_of(client: RegistryClient, name: Reference, entry: Descriptor, content: ContentStore) -> bytes:
    """Give a manifest, or an index, that an index lists; it is fetched unless it is here."""
    here = content.keep(entry.digest, entry.size)
    data = content.read(entry.digest) if here else client.fetch_manifest(name.repository, entry.digest)[1]
    if len(data) != entry.size:
        raise ContentError(f"manifest {entry.digest} has {len(data)} bytes, its index says {entry.size}")
    return data


def _fetch_config(client: RegistryClient, name: Reference, manifest: Manifest, content: ContentStore) -> ImageConfig:
    if manifest.config.media_type not in media_types.CONFIGS:
        raise ContentError(f"{name.familiar()} is not an image but an artifact: {manifest.config.media_type}")
    if manifest.config.size > LARGEST_CONFIG:
        raise ContentError(f"the config of {name.familiar()} has {manifest.config.size} bytes, too many for a config")
    if not content.keep(manifest.config.digest, manifest.config.size):
        with content.writer() as blob:
            for _ in client.fetch_blob(name.repository, manifest.config, blob):
                pass
    return ImageConfig.from_json(content.read(manifest.config.digest))


def _pull_layer(
    client: RegistryClient,
    name: Reference,
    diff_id: DiffID,
    layer: Descriptor,
    content: ContentStore,
    layers: LayerStore,
) -> Generator[PullEvent, None, None]:
    if content.keep(diff_id):
        yield LayerExists(diff_id, layer.digest, layer.size)
        return
    if layer.media_type not in media_types.LAYERS | media_types.FOREIGN_LAYERS:
        raise ContentError(f"layer {layer.digest} of {name.familiar()} has an unknown media type: {layer.media_type}")
    if not content.keep(layer.digest, layer.size):
        yield from fetch_layer(client, name, diff_id, layer, content)
    layers.add_blob(layer, diff_id)
    yield LayerPulled(diff_id, layer.digest, layer.size)


def fetch_layer(
    client: RegistryClient, name: Reference, shown: DiffID, layer: Descriptor, content: ContentStore
) -> Iterator[Progress]:
    """Fetch a blob, which is told of as ``shown``."""
    told = 0
    with content.writer() as blob:
        for done in client.fetch_blob(name.repository, layer, blob):
            if done - told >= _STEP or done == layer.size:
                told = done
                yield Progress(shown, layer.digest, done, layer.size)
