"""Push an image: layers first, then the config, the manifest last, since it may only name what is there.

Layers lie in the store as plain tars and are sent as gzip, so the manifest that is pushed differs from the local
one in its layers. The config is the same, byte for byte: the image keeps its id.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping
from functools import partial
from typing import Final, cast

from msgspec.structs import replace

from dockersim.content import ContentStore, LayerStore
from dockersim.digest import DiffID, Digest
from dockersim.oci import Descriptor, ImageConfig, Manifest, Reference, media_types
from dockersim.registry.client.abreast import abreast
from dockersim.registry.client.connection import RegistryClient
from dockersim.registry.events import (
    ConfigSent,
    LayerExists,
    LayerMounted,
    LayerPreparing,
    LayerPushed,
    ManifestPut,
    Progress,
    PushEvent,
)

UPLOADS: Final = 5
"""Layers that are sent at once (dockerd's ``max-concurrent-uploads``)."""

_AS_GZIP = {
    media_types.LAYER: media_types.LAYER_GZIP,
    media_types.DOCKER_LAYER: media_types.DOCKER_LAYER_GZIP,
}


def push(
    client: RegistryClient,
    reference: Reference,
    manifest: Manifest,
    content: ContentStore,
    layers: LayerStore,
    *,
    mounts: Mapping[str, str] | None = None,
) -> Generator[PushEvent, None, Descriptor]:
    """Push ``manifest`` as ``reference``; yield what happens, return the descriptor of what was pushed.

    ``mounts`` maps a layer's diff id to a repository of the same registry that may have it. The pushed manifest
    is kept in ``content``. May be repeated: what is there is not sent again. Raises AccessDenied, RegistryError,
    ContentError.
    """
    config = ImageConfig.from_json(content.read(manifest.config.digest))
    pairs = dict(zip(config.diff_ids, manifest.layers, strict=True))  # a layer may well be in an image twice
    for diff_id in config.diff_ids:
        yield LayerPreparing(diff_id)
    # Asked first: where even looking needs a right, a no comes before anything is compressed, and the token is here
    # for all layers that are sent at once.
    existed = client.has_blob(reference.repository, manifest.config.digest, push=True)
    works = [
        partial(_push_layer, client, reference, diff_id, layer, content, layers, mounts or {})
        for diff_id, layer in pairs.items()
    ]
    sent = dict(zip(pairs, (yield from abreast(works, UPLOADS)), strict=True))
    if not existed:
        _push_config(client, reference, manifest.config, content)
    yield ConfigSent(Digest(manifest.config.digest), manifest.config.size, existed)
    pushed = replace(manifest, layers=tuple(sent[diff_id] for diff_id in config.diff_ids))
    data = pushed.to_json()
    name = reference.tag or reference.digest
    client.put_manifest(reference.repository, name, data, pushed.media_type)
    digest = content.put(data)
    yield ManifestPut(name, digest, len(data))
    return Descriptor(pushed.media_type, digest, len(data))


def _push_layer(
    client: RegistryClient,
    reference: Reference,
    diff_id: DiffID,
    layer: Descriptor,
    content: ContentStore,
    layers: LayerStore,
    mounts: Mapping[str, str],
) -> Generator[PushEvent, None, Descriptor]:
    if layer.urls:
        # A foreign layer: whoever pulls fetches it where its maker publishes it.
        yield LayerExists(diff_id, layer.digest, layer.size)
        return layer
    blob = yield from _as_sent(diff_id, layer, content, layers)
    yield from send_blob(client, reference, diff_id, blob, content, mounts.get(diff_id, ""))
    return blob


def send_blob(
    client: RegistryClient,
    reference: Reference,
    shown: DiffID,
    blob: Descriptor,
    content: ContentStore,
    source: str = "",
) -> Generator[PushEvent, None, None]:
    """Send a blob unless it is there, or can be mounted from the repository ``source``; it is told of as ``shown``."""
    if client.has_blob(reference.repository, blob.digest, push=True):
        yield LayerExists(shown, blob.digest, blob.size)
        return
    if source and client.mount_blob(reference.repository, blob.digest, source):
        yield LayerMounted(shown, blob.digest, blob.size, source)
        return
    yield LayerPreparing(shown, blob.digest, blob.size)
    with content.open(blob.digest) as file:
        for done in client.upload_blob(reference.repository, blob, file):
            yield Progress(shown, blob.digest, done, blob.size)
    yield LayerPushed(shown, blob.digest, blob.size)


def _as_sent(
    diff_id: DiffID, layer: Descriptor, content: ContentStore, layers: LayerStore
) -> Generator[PushEvent, None, Descriptor]:
    """Choose the form a layer is sent in: as it was pulled if that is here, else as gzip."""
    if layer.media_type not in media_types.PLAIN_LAYERS and content.has(layer.digest):
        return layer
    made = yield from _compressed(diff_id, layers)
    kind = _AS_GZIP.get(layer.media_type, layer.media_type)
    if kind not in media_types.GZIP_LAYERS:
        kind = media_types.LAYER_GZIP
    return replace(layer, media_type=kind, digest=made.digest, size=made.size, data=None)


def _compressed(diff_id: DiffID, layers: LayerStore) -> Generator[PushEvent, None, Descriptor]:
    """Compress a layer, telling how far that is, so that it can be stopped on the way."""
    steps, total = layers.compressing(diff_id), layers.size(diff_id)
    try:
        while True:
            yield Progress(diff_id, "", next(steps), total)
    except StopIteration as end:
        return cast(Descriptor, end.value)
    finally:
        steps.close()


def _push_config(client: RegistryClient, reference: Reference, config: Descriptor, content: ContentStore) -> None:
    for _ in client.upload_blob(reference.repository, config, io.BytesIO(content.read(config.digest))):
        pass
