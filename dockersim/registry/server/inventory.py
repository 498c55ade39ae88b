"""The store as one looks at it: which images there are, which of them share a blob, what a delete would free."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from dockersim.oci import media_types
from dockersim.registry.plans import LATER, Blob, Collection, Holder, Removal
from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.manifests import Entry
from dockersim.registry.server.repositories import Known, RegistryStore


class Stored(Struct, frozen=True):
    """A manifest or an index in one repository, read."""

    repository: str
    digest: str
    media_type: str
    size: int
    tags: tuple[str, ...]
    entry: Entry
    document: Mapping[str, Any]

    @property
    def holder(self) -> Holder:
        """How others speak of it."""
        return Holder(self.repository, self.digest, self.tags)

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests instead of layers."""
        return self.media_type in media_types.INDEXES


class Inventory:
    """All manifests of a store at one moment, and the blobs they name."""

    def __init__(self, store: RegistryStore, found: Iterable[Stored]) -> None:
        self._store = store
        self.manifests: Mapping[tuple[str, str], Stored] = {(one.repository, one.digest): one for one in found}
        self._sizes: dict[str, int] = {}
        self._naming: dict[str, list[Stored]] = defaultdict(list)
        self._of: dict[str, list[Stored]] = defaultdict(list)
        for one in self.manifests.values():
            self._of[one.repository].append(one)
            for digest in self._named_by(one):
                self._naming[digest].append(one)

    @classmethod
    def read(cls, store: RegistryStore) -> Inventory:
        """Read every manifest; what another request removes meanwhile is left out."""
        return cls(store, (one for name in store.repositories() for one in _stored(store, name)))

    def find(self, repository: str, name: str) -> Stored:
        """Find a manifest by tag or digest; raise MANIFEST_UNKNOWN."""
        found = self.manifests.get((repository, self._store.resolve(repository, name)))
        if found is None:
            raise Problem(Code.MANIFEST_UNKNOWN, "manifest unknown")
        return found

    def of(self, repository: str) -> list[Stored]:
        """List the manifests of a repository, those with tags first."""
        return sorted(self._of.get(repository, ()), key=lambda one: (not one.tags, one.tags, one.digest))

    def repositories(self) -> list[str]:
        """List the repositories."""
        return sorted(self._of)

    def holders(self, digest: str) -> tuple[Holder, ...]:
        """List the manifests that name a blob, in every repository."""
        return tuple(sorted(one.holder for one in self._naming.get(digest, ())))

    def size(self, digest: str) -> int:
        """Tell a blob's size on the disk, 0 if it is gone."""
        if digest not in self._sizes:
            self._sizes[digest] = self._store.blobs.size(digest) or 0
        return self._sizes[digest]

    def on_disk(self) -> int:
        """Add up the blobs that manifests name, each once, as they lie on the disk."""
        return sum(self.size(digest) for digest in self._naming)

    def if_nothing_were_shared(self) -> int:
        """Add up the same blobs for each image by itself."""
        return sum(self.size(digest) * len(named_by) for digest, named_by in self._naming.items())

    def weigh(self, stored: Stored) -> tuple[int, int]:
        """Add up the blobs that go with a manifest: all of them, and those that no other manifest names."""
        digests = self._named_by(stored)
        own = (one for one in digests if len(self._naming[one]) == 1)
        return sum(map(self.size, digests)), sum(map(self.size, own))

    def blobs_of(self, stored: Stored) -> list[Blob]:
        """List the blobs that go with a manifest: itself, its config, its layers, each once."""
        roles = {stored.digest: "index" if stored.is_index else "manifest"}
        config = stored.document.get("config")
        if isinstance(config, dict) and isinstance(config.get("digest"), str):
            roles.setdefault(config["digest"], "config")
        for digest in self._named_by(stored):
            roles.setdefault(digest, "layer")
        return [Blob(one, self.size(one), what, self.holders(one)) for one, what in roles.items()]

    def plan_removal(self, repository: str, name: str) -> Removal:
        """Say what follows if a tag, or the manifest with a digest, is removed; raise MANIFEST_UNKNOWN."""
        stored = self.find(repository, name)
        if ":" not in name:
            others = tuple(tag for tag in stored.tags if tag != name)
            return Removal(repository, stored.digest, name, (name,), others)
        blobs = [_without(blob, stored.holder) for blob in self.blobs_of(stored)]
        within = self.of(repository)
        return Removal(
            repository,
            stored.digest,
            tags=stored.tags,
            freed=tuple(blob for blob in blobs if not blob.holders),
            kept=tuple(blob for blob in blobs if blob.holders),
            indexes=tuple(one.holder for one in within if stored.digest in one.entry.manifests),
            children=tuple(one.holder for one in within if one.digest in stored.entry.manifests),
            referrers=tuple(one.holder for one in within if one.entry.subject == stored.digest),
        )

    def plan_collection(self, now: float, *, spare_young: bool = True) -> Collection:
        """Say what garbage collection frees: the blobs that no manifest names.

        Those younger than LATER may belong to a push that is under way, whose manifest comes last; they are spared
        unless the caller knows that nobody is pushing.
        """
        known = {name: stored.entry for name, stored in self.manifests.items()}
        everything = self._store.garbage(now, known)
        freed = self._store.garbage(now - LATER, known) if spare_young else everything
        waiting = {digest: size for digest, size in everything.items() if digest not in freed}
        kept = [self.size(digest) for digest in self._naming]
        return Collection(
            self._described(freed), self._described(waiting), tuple(self._untagged(now, known)), len(kept), sum(kept)
        )

    def _named_by(self, stored: Stored) -> tuple[str, ...]:
        """List a manifest and its blobs, each once; what is fetched from elsewhere only if it was pushed too."""
        entry = stored.entry
        return tuple(dict.fromkeys((stored.digest, *entry.blobs, *filter(self.size, entry.elsewhere))))

    def _untagged(self, now: float, known: Known) -> Iterator[Blob]:
        for name in self._store.untagged(now, known):
            if (stored := self.manifests.get(name)) is not None:
                yield Blob(stored.digest, self.weigh(stored)[1], "manifest", (stored.holder,))

    def _described(self, blobs: Mapping[str, int]) -> tuple[Blob, ...]:
        found = (Blob(digest, size, _look(self._store.blobs.path(digest))) for digest, size in blobs.items())
        return tuple(sorted(found, key=lambda blob: (-blob.size, blob.digest)))


def _stored(store: RegistryStore, repository: str) -> Iterable[Stored]:
    tags = _tags(store, repository)
    for digest in store.manifests(repository):
        try:
            data, kind = store.manifest(repository, digest)
            entry = Entry.read(data, kind, digest)
        except Problem:
            continue  # removed meanwhile, damaged, or let in by an older version that refused less
        named = tuple(tags.get(digest, ()))
        yield Stored(repository, digest, kind, len(data), named, entry, json.loads(data))


def _tags(store: RegistryStore, repository: str) -> Mapping[str, list[str]]:
    """Find the tags of each digest."""
    found: dict[str, list[str]] = defaultdict(list)
    try:
        for tag in store.tags(repository):
            found[store.resolve(repository, tag)].append(tag)
    except Problem:
        pass  # a tag or the whole repository went while we looked
    return found


def _without(blob: Blob, holder: Holder) -> Blob:
    return Blob(blob.digest, blob.size, blob.what, tuple(one for one in blob.holders if one != holder))


_SIGNS = ((b"\x1f\x8b", "layer (gzip)"), (b"\x28\xb5\x2f\xfd", "layer (zstd)"), (b"{", "manifest or config (JSON)"))
"""How content begins: gzip (RFC 1952), zstd (RFC 8878), a JSON object."""


def _look(path: Path) -> str:
    """Tell by its first bytes what a blob may be that nothing describes any more."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        return "gone"
    if head[257:262] == b"ustar":
        return "layer (tar)"
    return next((what for sign, what in _SIGNS if head.startswith(sign)), "unknown")
