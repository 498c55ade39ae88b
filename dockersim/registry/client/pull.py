"""Pull an image: the manifest, its config, then the layers that are not here yet.

Nothing is trusted on the way: the manifest must have the digest it is known by, every blob that of its descriptor,
every unpacked layer the diff id in the config. Then the image is the one that was pushed, whoever sent it.
"""

from __future__ import annotations

from collections.abc import Generator

from dockersim.content import ContentStore, LayerStore
from dockersim.digest import DiffID
from dockersim.errors import ContentError, ImageError
from dockersim.oci import Descriptor, ImageConfig, Index, Manifest, Platform, Reference, media_types
from dockersim.registry.client.connection import RegistryClient
from dockersim.registry.events import (
    LayerExists,
    LayerPreparing,
    LayerPulled,
    ManifestFetched,
    Progress,
    PullEvent,
)

_DEFAULT_VARIANT = {"arm64": "v8", "arm": "v7"}
"""What an architecture without a variant means (containerd ``platforms/database.go``)."""


def pull(
    client: RegistryClient,
    reference: Reference,
    content: ContentStore,
    layers: LayerStore,
    platform: Platform,
) -> Generator[PullEvent, None, Descriptor]:
    """Pull ``reference`` for ``platform``; yield what happens, return the descriptor of the image's manifest.

    May be repeated: what is here is not fetched again. Raises NotInRegistry, AccessDenied, RegistryError,
    ContentError, and ImageError for an image of another platform.
    """
    name = reference.resolvable()
    found, data = client.fetch_manifest(name.repository, name.digest or name.tag)
    yield ManifestFetched(name.familiar(), found.digest, found.size, found.media_type)
    if found.media_type in media_types.INDEXES:
        content.put(data)
        chosen = choose(Index.from_json(data), platform, name.familiar())
        found, data = client.fetch_manifest(name.repository, chosen.digest)
    if found.media_type not in media_types.MANIFESTS:
        raise ContentError(f"{name.familiar()} is not an image but {found.media_type}")
    manifest = Manifest.from_json(data)
    config = _fetch_config(client, name, manifest, content)
    check_platform(config.platform, platform, name.familiar())
    if len(config.diff_ids) != len(manifest.layers):
        raise ContentError(f"{name.familiar()} has {len(manifest.layers)} layers, its config {len(config.diff_ids)}")
    for diff_id, layer in zip(config.diff_ids, manifest.layers, strict=True):
        yield LayerPreparing(diff_id, layer.digest, layer.size)
    for diff_id, layer in zip(config.diff_ids, manifest.layers, strict=True):
        yield from _pull_layer(client, name, diff_id, layer, content, layers)
    # Again, as a slow pull outlives what sweeps spare as young; the layers are the caller's to protect as they come.
    _fetch_config(client, name, manifest, content)
    # Last, as in a push: a manifest in the store means a whole image.
    content.put(data)
    return found


def choose(index: Index, platform: Platform, name: str) -> Descriptor:
    """Choose the manifest of an index that runs on ``platform``; raise ImageError if there is none."""
    images = [one for one in index.manifests if one.media_type in media_types.MANIFESTS | {""}]
    for one in images:
        if one.platform is not None and runs_on(one.platform, platform):
            return one
    offered = ", ".join(sorted({str(one.platform) for one in images if one.platform and one.platform.os != "unknown"}))
    raise ImageError(
        f"no matching manifest for {platform} in the manifest list of {name}",
        hint=f"it offers {offered}" if offered else "it offers no image at all",
    )


def check_platform(image: Platform, machine: Platform, name: str) -> None:
    """Raise ImageError for an image of another platform, naming both."""
    if not runs_on(image, machine):
        raise ImageError(
            f"{name} is an image for {image}, this machine runs {machine}",
            hint="choose an image that is made for several platforms",
        )


def runs_on(image: Platform, machine: Platform) -> bool:
    """Tell whether an image can run; an architecture without a variant means its usual one.

    >>> runs_on(Platform("arm64", "linux", "v8"), Platform("arm64", "linux"))
    True
    """
    return (image.os, image.architecture, _variant(image)) == (machine.os, machine.architecture, _variant(machine))


def _variant(platform: Platform) -> str:
    return platform.variant or _DEFAULT_VARIANT.get(platform.architecture, "")


def _fetch_config(client: RegistryClient, name: Reference, manifest: Manifest, content: ContentStore) -> ImageConfig:
    if manifest.config.media_type not in media_types.CONFIGS:
        raise ContentError(f"{name.familiar()} is not an image but an artifact: {manifest.config.media_type}")
    if not content.keep(manifest.config.digest):
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
    if layer.media_type not in media_types.LAYERS:
        raise ContentError(f"layer {layer.digest} of {name.familiar()} has an unknown media type: {layer.media_type}")
    if not content.keep(layer.digest):
        with content.writer() as blob:
            for done in client.fetch_blob(name.repository, layer, blob):
                yield Progress(diff_id, layer.digest, done, layer.size)
    layers.add_blob(layer, diff_id)
    yield LayerPulled(diff_id, layer.digest, layer.size)
