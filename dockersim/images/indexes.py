"""Images for several platforms: an index, whose manifests are one image each.

The machine runs one of them, and that one is the image that a name stands for. The index and what belongs to the other
platforms are kept beside it as blobs, byte for byte, so that it can be saved and pushed as it came. That is what docker
does with the containerd image store; with its older store it drops the other platforms.

An index is kept if it is whole: if every manifest that it names is here, with config and layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from dockersim.content import ContentStore
from dockersim.errors import ContentError
from dockersim.oci import Descriptor, Index, Manifest, Platform, media_types

DEEPEST_INDEX: Final = 4
"""How many indexes may lie in an index, one in the other."""


def blobs_of(content: ContentStore, descriptor: Descriptor) -> Iterator[Descriptor]:
    """Yield all that a manifest or an index leads to, once each, what is named before what names it, itself last.

    Raises ContentError where a document is not here, is damaged, or where indexes are nested without end.
    """
    yield from _blobs(content, descriptor, 0, set())


def is_whole(content: ContentStore, index: Descriptor, has: Callable[[str], bool]) -> bool:
    """Say whether the store has everything that the index leads to: ``has`` is asked about each blob."""
    try:
        return all(has(blob.digest) for blob in blobs_of(content, index))
    except ContentError:
        return False


def images_of(content: ContentStore, index: Descriptor, has: Callable[[str], bool]) -> Iterator[Descriptor]:
    """Yield the manifests of images that an index names and that are here; what BuildKit attests of them is none.

    ``has`` is asked whether a manifest is here.
    """
    yield from _images(content, index, has, 0, set())


def choose(offered: list[Descriptor], platform: Platform | None) -> Descriptor:
    """Choose the image for ``platform`` of at least one; the first where none is, or none is asked for."""
    wanted = (platform.os, platform.architecture) if platform else None
    fitting = (one for one in offered if one.platform and (one.platform.os, one.platform.architecture) == wanted)
    return next(fitting, offered[0])


def is_attestation(descriptor: Descriptor) -> bool:
    """Tell BuildKit's statements of provenance, which stand in an index as if they were images."""
    return descriptor.annotations.get("vnd.docker.reference.type") == "attestation-manifest"


def _blobs(content: ContentStore, descriptor: Descriptor, depth: int, seen: set[str]) -> Iterator[Descriptor]:
    if descriptor.digest in seen:
        return  # an index may name another a thousand times, which names another a thousand times
    seen.add(descriptor.digest)
    if descriptor.media_type in media_types.INDEXES:
        _check_depth(depth)
        for entry in _index(content, descriptor).manifests:
            yield from _blobs(content, entry, depth + 1, seen)
    else:
        manifest = Manifest.from_json(_document(content, descriptor))
        for blob in (*manifest.layers, manifest.config):
            if blob.digest not in seen:
                seen.add(blob.digest)
                yield blob
    yield descriptor


def _images(
    content: ContentStore, index: Descriptor, has: Callable[[str], bool], depth: int, seen: set[str]
) -> Iterator[Descriptor]:
    _check_depth(depth)
    for entry in _index(content, index).manifests:
        if entry.digest in seen or not has(entry.digest):
            continue
        seen.add(entry.digest)
        if entry.media_type in media_types.INDEXES:
            yield from _images(content, entry, has, depth + 1, seen)
        elif entry.media_type in media_types.MANIFESTS and not is_attestation(entry):
            yield entry


def _check_depth(depth: int) -> None:
    if depth > DEEPEST_INDEX:
        raise ContentError("the image's indexes are nested too deeply")


def _index(content: ContentStore, descriptor: Descriptor) -> Index:
    return Index.from_json(_document(content, descriptor))


def _document(content: ContentStore, descriptor: Descriptor) -> bytes:
    return content.read(descriptor.digest)
