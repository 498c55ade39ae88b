"""Pull an image: the manifest, its config, then the layers that are not here yet.

Nothing is trusted on the way: the manifest must have the digest it is known by, every blob that of its descriptor,
every unpacked layer the diff id in the config. Then the image is the one that was pushed, whoever sent it.

The store knows blobs by their sha256. What a manifest names by a sha512 is checked by that, and the manifest that is
kept names it by the other.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from dockersim.content import ContentStore, LayerStore
from dockersim.digest import DiffID, Digest
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

    ``manifest`` is the image's, as it is kept.
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
    given = Manifest.from_json(data)
    kept, config = _fetch_config(client, name, given.config, content)
    manifest = replace(given, config=kept)
    check_platform(config.platform, platform, name.familiar())
    if len(config.diff_ids) != len(manifest.layers):
        raise ContentError(f"{name.familiar()} has {len(manifest.layers)} layers, its config {len(config.diff_ids)}")
    for diff_id, layer in zip(config.diff_ids, manifest.layers, strict=True):
        yield LayerPreparing(diff_id, layer.digest, layer.size, layers.has(diff_id))
    pairs = dict(zip(config.diff_ids, manifest.layers, strict=True))  # a layer may well be in an image twice
    works = [partial(_pull_layer, client, name, *pair, content, layers) for pair in pairs.items()]
    yield from abreast(works, DOWNLOADS)
    # Again, as a slow pull outlives what sweeps spare as young; the layers are the caller's to protect as they come.
    _fetch_config(client, name, kept, content)
    manifest = replace(manifest, layers=tuple(_as_kept(layers, diff_id, pairs[diff_id]) for diff_id in config.diff_ids))
    if manifest != given:
        data = manifest.to_json()
    # Last, as in a push: a manifest in the store means a whole image.
    return Arrived(named, Descriptor(found.media_type, content.put(data), len(data)))


def entry_of(client: RegistryClient, name: Reference, entry: Descriptor, content: ContentStore) -> bytes:
    """Give a manifest, or an index, that an index lists; it is fetched unless it is here."""
    here = _is_here(content, entry)
    data = content.read(entry.digest) if here else client.fetch_manifest(name.repository, entry.digest)[1]
    if len(data) != entry.size:
        raise ContentError(f"manifest {entry.digest} has {len(data)} bytes, its index says {entry.size}")
    return data


def _is_here(content: ContentStore, blob: Descriptor) -> bool:
    """Say whether a blob is here; of what has a sha512 that is not known. Raises ContentError for other algorithms."""
    return not blob.digest.startswith("sha512:") and content.keep(blob.digest, blob.size)


def _as_kept(layers: LayerStore, diff_id: DiffID, layer: Descriptor) -> Descriptor:
    """Describe a layer that is here by its sha256."""
    if not layer.digest.startswith("sha512:"):
        return layer
    return replace(layers.known_gzip(diff_id) or layers.descriptor(diff_id), annotations=layer.annotations)


def _fetch_config(
    client: RegistryClient, name: Reference, config: Descriptor, content: ContentStore
) -> tuple[Descriptor, ImageConfig]:
    """Fetch the config unless it is here; describe it by its sha256, and read it."""
    if config.media_type not in media_types.CONFIGS:
        raise ContentError(f"{name.familiar()} is not an image but an artifact: {config.media_type}")
    if config.size > LARGEST_CONFIG:
        raise ContentError(f"the config of {name.familiar()} has {config.size} bytes, too many for a config")
    kept = config
    if not _is_here(content, config):
        with content.writer(config.digest) as blob:
            for _ in client.fetch_blob(name.repository, config, blob):
                pass
        kept = replace(config, digest=blob.digest)
    return kept, ImageConfig.from_json(content.read(kept.digest))


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
    kept = layer
    if not _is_here(content, layer):
        kept = replace(layer, digest=(yield from fetch_layer(client, name, diff_id, layer, content)))
    layers.add_blob(kept, diff_id)
    yield LayerPulled(diff_id, layer.digest, layer.size)


def fetch_layer(
    client: RegistryClient, name: Reference, shown: DiffID, layer: Descriptor, content: ContentStore
) -> Generator[Progress, None, Digest]:
    """Fetch a blob, which is told of as ``shown``; return the digest under which it is kept."""
    told = 0
    with content.writer(layer.digest) as blob:
        for done in client.fetch_blob(name.repository, layer, blob):
            if done - told >= _STEP or done == layer.size:
                told = done
                yield Progress(shown, layer.digest, done, layer.size)
    return blob.digest
