"""Push and pull an image for several platforms whole: the index and all it names, byte for byte.

A plain pull takes what the machine runs, as docker's does. With ``--all-platforms``, as in nerdctl and ctr, what the
others run comes along; its layers stay packed, since nothing here will run them.
"""

from __future__ import annotations

from collections.abc import Generator

from dockersim.content import ContentStore
from dockersim.digest import DiffID, Digest, parse_digest
from dockersim.errors import ContentError
from dockersim.images.indexes import DEEPEST_INDEX, blobs_of
from dockersim.oci import Descriptor, Index, Manifest, Reference, media_types
from dockersim.registry.client.connection import RegistryClient
from dockersim.registry.client.pull import entry_of, fetch_layer
from dockersim.registry.client.push import send_blob
from dockersim.registry.events import (
    LayerExists,
    LayerPreparing,
    LayerPulled,
    ManifestPut,
    PullEvent,
    PushEvent,
)

_DOCUMENTS = media_types.INDEXES | media_types.MANIFESTS


def push_index(
    client: RegistryClient, reference: Reference, index: Descriptor, content: ContentStore
) -> Generator[PushEvent, None, Descriptor]:
    """Push an index under a name, after all that it leads to; return its descriptor. May be repeated.

    Raises AccessDenied, RegistryError, and ContentError if something of it is not here.
    """
    for blob in blobs_of(content, index):
        if blob.digest == index.digest:
            break
        if blob.media_type in _DOCUMENTS:
            client.put_manifest(reference.repository, blob.digest, content.read(blob.digest), blob.media_type)
        else:
            yield from send_blob(client, reference, DiffID(Digest(blob.digest)), blob, content)
    name = reference.tag or reference.digest
    client.put_manifest(reference.repository, name, content.read(index.digest), index.media_type)
    yield ManifestPut(name, index.digest, index.size)
    return index


def pull_index(
    client: RegistryClient, reference: Reference, index: Descriptor, content: ContentStore
) -> Generator[PullEvent, None, None]:
    """Pull all that an index leads to; it is in ``content`` itself, as ``pull`` leaves it.

    May be repeated: what is here is not fetched again. Raises NotInRegistry, AccessDenied, RegistryError, ContentError.
    """
    data = content.read(index.digest)
    yield from _pull_entries(client, reference.resolvable(), data, content, 0, set())
    content.put(data)  # again, as a slow pull outlives what sweeps spare as young


def _pull_entries(
    client: RegistryClient, name: Reference, index: bytes, content: ContentStore, depth: int, seen: set[str]
) -> Generator[PullEvent, None, None]:
    if depth > DEEPEST_INDEX:
        raise ContentError(f"the indexes of {name.familiar()} are nested too deeply")
    for entry in Index.from_json(index).manifests:
        if entry.digest in seen:
            continue
        seen.add(parse_digest(entry.digest))  # by a sha512 it would not be found again
        data = entry_of(client, name, entry, content)
        if entry.media_type in media_types.INDEXES:
            yield from _pull_entries(client, name, data, content, depth + 1, seen)
        else:
            manifest = Manifest.from_json(data)
            for blob in (manifest.config, *manifest.layers):
                yield from _pull_blob(client, name, blob, content)
        content.put(data)


def _pull_blob(
    client: RegistryClient, name: Reference, blob: Descriptor, content: ContentStore
) -> Generator[PullEvent, None, None]:
    shown = DiffID(Digest(blob.digest))
    if content.keep(blob.digest, blob.size):
        yield LayerExists(shown, blob.digest, blob.size)
        return
    yield LayerPreparing(shown, blob.digest, blob.size)
    yield from fetch_layer(client, name, shown, blob, content)
    yield LayerPulled(shown, blob.digest, blob.size)
