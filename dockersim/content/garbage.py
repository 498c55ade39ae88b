"""Garbage collection: what no root leads to is swept, and what might be about to be needed is spared.

Mark and sweep, as in containerd's ``metadata`` gc: from the roots (the images' manifests, the layers of
cached steps) along the references in the documents. Three things keep a running build safe beside it:

- a blob that is younger than the grace period stays, and whoever finds a blob to be here makes it young;
- a lease protects what it names, as long as its process lives;
- "is it here? then protect it" happens under a lock that the sweep holds, so nothing falls between the two;
- the leases are read before the roots: who names an image does so before letting its lease go, so that one of the two
  is always seen.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from msgspec import Struct

from dockersim.content.layers import LayerStore
from dockersim.content.leases import leased
from dockersim.content.store import ContentStore
from dockersim.digest import DiffID, Digest, parse_digest
from dockersim.errors import ContentError
from dockersim.oci import LARGEST_DOCUMENT, ImageConfig, Index, Manifest

GRACE_SECONDS = 600.0


class Collected(Struct, frozen=True):
    """What a sweep deleted: blobs, and bytes (also of abandoned writes). ``spared`` bytes are too young to go."""

    blobs: tuple[Digest, ...]
    size: int
    spared: int = 0


def collect(layers: LayerStore, roots: Iterable[Digest | DiffID], *, grace_seconds: float = GRACE_SECONDS) -> Collected:
    """Delete every blob older than the grace period that neither ``roots`` nor a lease leads to.

    ``roots`` is gone through once the leases have been read: a generator that asks the database tells what is so then.
    """
    content, now = layers.content, time.time()
    with content.sweeping():
        freed = content.remove_abandoned(now)
        marked = mark(layers, [*leased(content), *roots])
        unmarked = [digest for digest in content.walk() if digest not in marked]
        gone: list[Digest] = []
        spared = 0
        for digest, size, age in _measured(content, unmarked, now):
            if age <= grace_seconds:
                spared += size
                continue
            content.delete(digest)
            layers.forget(DiffID(digest))
            gone.append(digest)
            freed += size
    return Collected(tuple(gone), freed, spared)


def mark(layers: LayerStore, roots: Iterable[str]) -> set[str]:
    """Return everything that ``roots`` lead to, themselves included."""
    marked: set[str] = set()
    waiting = list(roots)
    while waiting:
        digest = waiting.pop()
        if digest not in marked:
            marked.add(digest)
            waiting.extend(_references(layers, digest))
    return marked


def _references(layers: LayerStore, digest: str) -> Iterator[str]:
    """Yield what one blob leads to; nothing for what is neither a layer nor one of the image documents."""
    content = layers.content
    try:
        if not content.has(parse_digest(digest)):
            return
    except ContentError:
        return  # another algorithm than sha256: not in this store
    if gzip := layers.known_gzip(DiffID(Digest(digest))):
        yield gzip.digest
    with content.open(digest) as file:
        document = file.read(LARGEST_DOCUMENT + 1) if _begins_with_brace(file) else b""
    if 0 < len(document) <= LARGEST_DOCUMENT:
        yield from _named_in(document)


def _begins_with_brace(file: BinaryIO) -> bool:
    first = file.read(1)
    file.seek(0)
    return first == b"{"


def _named_in(document: bytes) -> Iterator[str]:
    readers = (_of_index, _of_manifest, _of_config)
    for read in readers:
        try:
            yield from read(document)
            return
        except ContentError:
            continue


def _of_index(document: bytes) -> list[str]:
    return [entry.digest for entry in Index.from_json(document).manifests]


def _of_manifest(document: bytes) -> list[str]:
    manifest = Manifest.from_json(document)
    return [manifest.config.digest, *(layer.digest for layer in manifest.layers)]


def _of_config(document: bytes) -> list[str]:
    return list(ImageConfig.from_json(document).diff_ids)


def _measured(content: ContentStore, digests: Iterable[Digest], now: float) -> Iterator[tuple[Digest, int, float]]:
    """Yield with each blob its size in bytes and its age in seconds."""
    for digest in digests:
        try:
            status = content.path(digest).stat()
        except FileNotFoundError:
            continue
        yield digest, status.st_size, now - status.st_mtime
