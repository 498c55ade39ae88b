"""``docker save``, ``docker load`` and ``docker import``: images as one tar, without a registry.

The archive that docker writes since version 25 is two things at once: an OCI image layout, and docker's own format
beside it (``manifest.json`` and ``repositories``), whose paths lead into the same ``blobs``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from dockersim.content import ContentStore
from dockersim.digest import Digest, hex_of
from dockersim.filesystem import Entry, Kind, LayerWriter
from dockersim.images.image import Image
from dockersim.images.indexes import blobs_of
from dockersim.images.store import ImageStore
from dockersim.oci import LAYOUT_FILE, LAYOUT_JSON, Descriptor, Index, Reference, media_types

CONTAINERD_NAME = "io.containerd.image.name"
"""The annotation in which docker and containerd keep the full name of an image in an archive."""

_MANIFEST_JSON = "manifest.json"
_REPOSITORIES = "repositories"


class Choice(Struct, frozen=True):
    """An image to save, and what ``index.json`` lists for it under each of its names that are saved.

    That is the image's manifest, or the index that the name stands for; under None where it is saved without a name.
    """

    image: Image
    listed: Mapping[Reference | None, Descriptor]

    @property
    def names(self) -> tuple[Reference, ...]:
        """The names that are saved."""
        return tuple(name for name in self.listed if name is not None)


def choose(images: ImageStore, wanted: Iterable[str]) -> tuple[Choice, ...]:
    """Read the arguments of ``docker save``: a name saves that name, an id saves no name; each image once."""
    chosen: dict[Digest, Choice] = {}
    for text in wanted:
        image, name = images.find(text)
        before = chosen[image.id].listed if image.id in chosen else {}
        key = None if name is None or name.digest else name
        chosen[image.id] = Choice(image, {**before, key: images.index_of(text) or image.descriptor})
    return tuple(chosen.values())


def save_docker(images: ImageStore, wanted: Iterable[str], out: BinaryIO) -> None:
    """Write what ``docker save`` writes, layers not compressed; ``out`` is only written to, never sought."""
    choices = choose(images, wanted)
    documents = {
        "index.json": Index(tuple(_index_entries(choices))).to_json(),
        _MANIFEST_JSON: json.dumps([_docker_entry(choice) for choice in choices]).encode(),
        LAYOUT_FILE: LAYOUT_JSON,
        _REPOSITORIES: json.dumps(_repositories(choices)).encode(),
    }
    _write(images, choices, documents, out)


def save_oci(images: ImageStore, wanted: Iterable[str], out: BinaryIO) -> None:
    """Write an OCI image layout as a tar: what skopeo calls ``oci-archive``."""
    choices = choose(images, wanted)
    documents = {
        "index.json": Index(tuple(_index_entries(choices, full_tags=True))).to_json(),
        LAYOUT_FILE: LAYOUT_JSON,
    }
    _write(images, choices, documents, out)


def _write(images: ImageStore, choices: Iterable[Choice], documents: Mapping[str, bytes], out: BinaryIO) -> None:
    # A layer writer writes any tar; no time, no owner: saving an image twice gives the same bytes.
    writer = LayerWriter(out)
    for folder in ("blobs", "blobs/sha256"):
        writer.add(Entry(folder, Kind.DIRECTORY, 0o755))
    for digest in sorted({digest for choice in choices for digest in _blobs(images.content, choice)}):
        entry = Entry(_path(digest), Kind.FILE, size=images.content.size(digest), digest=digest)
        with images.content.open(digest) as blob:
            writer.add(entry, blob)  # hashed on the way: a damaged blob must not leave the house as an image
    for name, content in documents.items():
        writer.add(Entry(name, Kind.FILE), content)
    writer.close()


def _blobs(content: ContentStore, choice: Choice) -> Iterator[Digest]:
    for listed in (choice.image.descriptor, *choice.listed.values()):
        yield from (blob.digest for blob in blobs_of(content, listed))


def _path(digest: str) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


def _docker_entry(choice: Choice) -> dict[str, Any]:
    """Return the image's entry of ``manifest.json`` (moby, ``image/tarexport``)."""
    layers = choice.image.manifest.layers
    return {
        "Config": _path(choice.image.id),
        "RepoTags": [name.familiar() for name in choice.names] or None,
        "Layers": [_path(layer.digest) for layer in layers],
        "LayerSources": {layer.digest: layer.as_json() for layer in layers},
    }


def _repositories(choices: Iterable[Choice]) -> dict[str, dict[str, str]]:
    """Return the oldest format, which names the topmost layer of each tag; kept for the tools that read it."""
    found: dict[str, dict[str, str]] = {}
    for choice in choices:
        layers = choice.image.manifest.layers
        for name in choice.names if layers else ():
            found.setdefault(name.familiar_name, {})[name.tag] = hex_of(layers[-1].digest)
    return found


def _index_entries(choices: Iterable[Choice], *, full_tags: bool = False) -> Iterator[Descriptor]:
    for choice in choices:
        for name in choice.names:
            reference_name = name.familiar() if full_tags else name.tag
            annotations = {CONTAINERD_NAME: name.canonical(), media_types.REFERENCE_NAME: reference_name}
            yield replace(choice.listed[name], annotations=annotations)
        if not choice.names:
            yield choice.listed[None]
