"""What a delete or a garbage collection would do, said before it is done.

A registry keeps every blob once, however many images name it. So a delete cannot simply remove an image's layers: it
removes a name or a manifest, and only garbage collection, which looks at all manifests, can tell which blobs are
named by none of them any more.

>>> shared = Blob("sha256:" + "a" * 64, 28_000_000, "layer", (Holder("bob/app", "sha256:" + "c" * 64, ("v1",)),))
>>> plan = Removal("alice/app", "sha256:" + "d" * 64, kept=(shared,), freed=(Blob("sha256:" + "b" * 64, 512, "layer"),))
>>> plan.bytes_freed, [str(holder) for holder in shared.holders]
(512, ['bob/app:v1'])
"""

from __future__ import annotations

import hashlib

from msgspec import Struct

LATER = 3600.0
"""Seconds for which a blob may wait for its manifest: a push sends the manifest last, and a slow one takes a while."""


class Holder(Struct, frozen=True, order=True):
    """A manifest that names a blob, in one of the repositories; ``digest`` is the manifest's own."""

    repository: str
    digest: str
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        short = self.digest.partition(":")[2][:12]
        return ", ".join(f"{self.repository}:{tag}" for tag in self.tags) or f"{self.repository}@{short}"


class Blob(Struct, frozen=True):
    """A blob on the disk: ``what`` it is ("layer", "config", "manifest", ...), and the manifests that name it."""

    digest: str
    size: int
    what: str
    holders: tuple[Holder, ...] = ()


class Removal(Struct, frozen=True):
    """What follows if a tag or a manifest is removed. Nothing of it is freed before the garbage is collected.

    ``tag`` is "" where the manifest itself is removed; ``tags`` are all names that go. ``freed`` are the blobs that
    no manifest names then, ``kept`` those that others still name. ``indexes`` list this manifest and will miss it;
    ``referrers`` have it as their subject, and ``children`` are the manifests an index leaves behind.
    """

    repository: str
    digest: str
    tag: str = ""
    tags: tuple[str, ...] = ()
    other_tags: tuple[str, ...] = ()
    freed: tuple[Blob, ...] = ()
    kept: tuple[Blob, ...] = ()
    indexes: tuple[Holder, ...] = ()
    children: tuple[Holder, ...] = ()
    referrers: tuple[Holder, ...] = ()

    @property
    def bytes_freed(self) -> int:
        """What garbage collection can free afterwards."""
        return sum(blob.size for blob in self.freed)

    @property
    def fingerprint(self) -> str:
        """Tell this plan from another: who confirms a plan confirms what was read."""
        return _fingerprint(self.repository, self.digest, self.tag, *self.tags, *(one.digest for one in self.freed))


class Collection(Struct, frozen=True):
    """What garbage collection would free.

    ``waiting`` are unnamed too, but so young that a push may be under way. ``untagged`` are manifests that no tag leads
    to, each with the bytes that it alone keeps from being freed.
    """

    freed: tuple[Blob, ...]
    waiting: tuple[Blob, ...] = ()
    untagged: tuple[Blob, ...] = ()
    kept_blobs: int = 0
    kept_bytes: int = 0

    @property
    def bytes_freed(self) -> int:
        """How much the disk wins."""
        return sum(blob.size for blob in self.freed)

    @property
    def bytes_waiting(self) -> int:
        """How much is unnamed and spared."""
        return sum(blob.size for blob in self.waiting)

    @property
    def fingerprint(self) -> str:
        """Tell this plan from another."""
        return _fingerprint(*sorted(blob.digest for blob in self.freed))


def _fingerprint(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]
