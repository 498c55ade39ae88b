"""Which repository has which blob, manifest, tag and referrer.

Blobs lie together, so a repository is a folder of links: tiny files whose names are digests. A mount, a push of a
layer that another image has, a delete: all of them only make or remove a link. Deleted content is still on the disk
until ``collect`` removes the blobs that no manifest names any more.

    repositories/alice/app/_blobs/sha256/<hex>        empty: alice/app may show this blob
    repositories/alice/app/_manifests/sha256/<hex>    holds the media type it was pushed with
    repositories/alice/app/_tags/latest               holds a digest
    repositories/alice/app/_referrers/<of>/<digest>   empty: the manifest has ``of`` as its subject
    repositories/alice/app/_uploads/<session>         a blob on its way

No part of a repository's name starts with an underscore, so the folders cannot meet.

Whatever makes or removes a link does so under one lock, from the look at what must be there to the rename; so two
writers of one tag come one after the other, and what a sweep takes for garbage is not linked behind its back.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from dockersim.locks import lock
from dockersim.registry.names import is_tag
from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.blobs import Blobs, Upload, sync
from dockersim.registry.server.manifests import Entry, referred

Known = Mapping[tuple[str, str], Entry]
"""Manifests that were read, by repository and digest."""

_NOTHING: Final[Known] = {}


class RegistryStore:
    """All that the registry keeps, under ``root``.

    One process serves it, with as many threads as it likes; another may collect the garbage beside it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = Blobs(root / "blobs")
        self._repositories = root / "repositories"
        self._temporary = root / "tmp"
        self._one_thread = threading.Lock()
        self._changes = 0

    # Blobs

    def has_blob(self, repository: str, digest: str) -> bool:
        """Tell whether ``repository`` may show this blob."""
        return self._link(repository, "_blobs", digest).is_file() and self.blobs.size(digest) is not None

    def blob_size(self, repository: str, digest: str) -> int:
        """Return a blob's size; raise BLOB_UNKNOWN."""
        size = self.blobs.size(digest) if self._link(repository, "_blobs", digest).is_file() else None
        if size is None:
            raise Problem(Code.BLOB_UNKNOWN, "blob unknown to registry")
        return size

    def keep_blob(self, repository: str, digest: str) -> int:
        """Return a blob's size and make it young, so that who was told it is here can count on it for a while.

        Raises BLOB_UNKNOWN. (For builds, ``ContentStore.keep`` does the same.)
        """
        try:
            with self._linking():
                size = self.blob_size(repository, digest)
                os.utime(self._link(repository, "_blobs", digest))
                return size
        except OSError:  # a disk that is read-only: no sweep deletes anything there either
            return self.blob_size(repository, digest)

    def open_blob(self, repository: str, digest: str) -> BinaryIO:
        """Open a blob for reading; raise BLOB_UNKNOWN."""
        self.blob_size(repository, digest)
        try:
            return self.blobs.open(digest)
        except FileNotFoundError as error:
            raise Problem(Code.BLOB_UNKNOWN, "blob unknown to registry") from error

    def start_upload(self, repository: str) -> Upload:
        """Open a session."""
        return Upload.start(self._repositories / repository / "_uploads")

    def resume_upload(self, repository: str, session: str) -> Upload:
        """Find a session; raise BLOB_UPLOAD_UNKNOWN."""
        return Upload.resume(self._repositories / repository / "_uploads" / session)

    def finish_upload(self, repository: str, upload: Upload, digest: str) -> None:
        """Store what has arrived if it has ``digest``, else throw it away and raise DIGEST_INVALID."""
        if upload.digest(digest.partition(":")[0]) != digest:
            upload.discard()
            raise Problem(Code.DIGEST_INVALID, "provided digest did not match uploaded content")
        sync(upload.path)
        with self._linking():
            # The link first: where the disk has no room for it, the session is still there to be finished later.
            self._write(self._link(repository, "_blobs", digest), b"")
            self.blobs.adopt(upload.path, digest)

    def mount(self, repository: str, digest: str, source: str = "") -> bool:
        """Let ``repository`` show a blob of ``source``, or of any repository that has it; False if none has."""
        with self._linking():
            if not any(self.has_blob(one, digest) for one in ([source] if source else self._walk())):
                return False
            self._write(self._link(repository, "_blobs", digest), b"")
        return True

    def remove_blob(self, repository: str, digest: str) -> None:
        """Take the blob out of the repository; raise BLOB_UNKNOWN."""
        with self._linking():
            self.blob_size(repository, digest)
            self._link(repository, "_blobs", digest).unlink(missing_ok=True)

    # Manifests and tags

    def resolve(self, repository: str, name: str) -> str:
        """Turn a tag or a digest into the digest of a manifest that is there; raise MANIFEST_UNKNOWN."""
        digest = name if ":" in name else self._tagged(repository, name)
        if not digest or not self._link(repository, "_manifests", digest).is_file():
            raise Problem(Code.MANIFEST_UNKNOWN, "manifest unknown")
        return digest

    def manifest(self, repository: str, digest: str) -> tuple[bytes, str]:
        """Return a manifest's bytes, checked, and the media type it was pushed with; raise MANIFEST_UNKNOWN."""
        try:
            return self.blobs.read(digest), self._link(repository, "_manifests", digest).read_text()
        except FileNotFoundError as error:  # deleted since it was resolved
            raise Problem(Code.MANIFEST_UNKNOWN, "manifest unknown") from error

    def put_manifest(self, repository: str, data: bytes, entry: Entry, *, tags: Iterable[str] = ()) -> None:
        """Store a manifest that was checked, then point ``tags`` at it; raise MANIFEST_BLOB_UNKNOWN."""
        with self._changing():
            self._check_all_there(repository, entry)
            self._write(self.blobs.path(entry.digest), data)
            if entry.subject:
                self._write(self._referrer(repository, entry.subject, entry.digest), b"")
            self._write(self._link(repository, "_manifests", entry.digest), entry.media_type.encode())
            for tag in tags:
                self._write(self._repositories / repository / "_tags" / tag, entry.digest.encode())

    def remove_tag(self, repository: str, tag: str) -> None:
        """Remove a tag; the manifest stays. Raises MANIFEST_UNKNOWN."""
        with self._changing():
            if not self._tagged(repository, tag):
                raise Problem(Code.MANIFEST_UNKNOWN, "manifest unknown")
            (self._repositories / repository / "_tags" / tag).unlink(missing_ok=True)

    def remove_manifest(self, repository: str, digest: str) -> None:
        """Remove a manifest and every tag that points at it; raise MANIFEST_UNKNOWN."""
        with self._changing():
            self.resolve(repository, digest)
            for tag in self.tags(repository):
                if self._tagged(repository, tag) == digest:
                    (self._repositories / repository / "_tags" / tag).unlink(missing_ok=True)
            self._forget_manifest(repository, digest)

    # Listings

    def tags(self, repository: str) -> list[str]:
        """List the tags by byte value; raise NAME_UNKNOWN for a repository that holds nothing."""
        folder = self._repositories / repository
        if not (folder / "_manifests").is_dir():
            raise Problem(Code.NAME_UNKNOWN, f"repository name not known to registry: {repository}")
        return sorted(name for name in _names(folder / "_tags") if is_tag(name))

    def manifests(self, repository: str) -> list[str]:
        """List the digests of the manifests, tagged or not."""
        return sorted(self._links(repository, "_manifests"))

    def repositories(self) -> list[str]:
        """List the repositories that hold a manifest."""
        return sorted(name for name in self._walk() if any(self._links(name, "_manifests")))

    def referrers(self, repository: str, subject: str, *, after: str = "") -> Iterator[dict[str, object]]:
        """Describe every manifest that has ``subject`` as its subject, whether that exists or not, by digest."""
        folder = self._referrer(repository, subject, "").parent
        for digest in sorted(name.replace("-", ":", 1) for name in _names(folder)):
            there = digest > after and self._link(repository, "_manifests", digest).is_file()
            if there and (found := self._found(repository, digest)) is not None:
                yield referred(*found, digest)

    def state(self) -> tuple[int, int]:
        """Name the present state of manifests and tags: as long as it is the same, so are they.

        Ask before reading them, not after.
        """
        status = _status(self.root / "links.lock")
        return self._changes, status.st_mtime_ns if status else 0

    # Garbage

    def garbage(self, before: float, known: Known = _NOTHING) -> dict[str, int]:
        """Find the blobs that no manifest names: digest to bytes.

        Blobs that came into a repository after the time ``before`` may be waiting for their manifest: they stay.
        Manifests that the caller has ``known`` are not read again.
        """
        live: set[str] = set()
        for repository in self._walk():
            live |= self._live(repository, before, known)
        return {digest: self.blobs.size(digest) or 0 for digest in self.blobs.all() if digest not in live}

    def untagged(self, before: float, known: Known = _NOTHING) -> list[tuple[str, str]]:
        """Find the manifests that no tag leads to: repository and digest. Those of after ``before`` stay, too."""
        return [(name, digest) for name in self._walk() for digest in sorted(self._untagged(name, before, known))]

    def remove_untagged(self, listed: Collection[tuple[str, str]], before: float) -> list[tuple[str, str]]:
        """Remove those of the ``listed`` manifests that no tag leads to still; return repositories and digests."""
        with self._changing():
            found = [one for one in self.untagged(before) if one in listed]
            for repository, digest in found:
                self._forget_manifest(repository, digest)
        return found

    def collect(self, before: float) -> dict[str, int]:
        """Remove the garbage; return what was freed. Pushes wait meanwhile, pulls do not."""
        with self._changing():
            found = self.garbage(before)
            for digest in found:
                self.blobs.remove(digest)
            for repository in self._walk():
                for digest in found.keys() & set(self._links(repository, "_blobs")):
                    self._link(repository, "_blobs", digest).unlink(missing_ok=True)
        return found

    def expire_uploads(self, before: float) -> int:
        """Give up the upload sessions that nothing came for since ``before``; return the bytes freed."""
        freed = 0
        for repository in self._walk():
            for name in _names(folder := self._repositories / repository / "_uploads"):
                status = _status(folder / name)
                if status is not None and status.st_mtime < before:
                    (folder / name).unlink(missing_ok=True)
                    freed += status.st_size
        return freed

    def temporary(self) -> Path:
        """Give the directory for temporary files, which is there then."""
        self._temporary.mkdir(parents=True, exist_ok=True)
        return self._temporary

    def clear_temporary(self) -> None:
        """Remove the small files that a killed process left half-written; nobody else may be writing."""
        for name in _names(self._temporary):
            (self._temporary / name).unlink(missing_ok=True)

    def _live(self, repository: str, before: float, known: Known) -> set[str]:
        """Find the blobs that a repository still needs, or may be about to need."""
        manifests, blobs = set(self._links(repository, "_manifests")), set(self._links(repository, "_blobs"))
        live = manifests | {blob for blob in blobs if self._since(repository, "_blobs", blob) > before}
        for digest in manifests:
            try:
                entry = known.get((repository, digest)) or self._entry(repository, digest)
            except Problem:  # damaged: it might have named any of them
                return live | blobs
            live.update(entry.blobs, entry.elsewhere)
        return live

    def _untagged(self, repository: str, before: float, known: Known) -> set[str]:
        """Find the manifests that no tag leads to, by way of an index, or of a manifest that refers to another.

        Those that came after the time ``before`` may be waiting for their index. None where one cannot be read.
        """
        try:
            entries = {
                digest: known.get((repository, digest)) or self._entry(repository, digest)
                for digest in self._links(repository, "_manifests")
            }
        except Problem:
            return set()
        kept = {self._tagged(repository, tag) for tag in _names(self._repositories / repository / "_tags")}
        kept |= {digest for digest in entries if self._since(repository, "_manifests", digest) > before}
        while True:
            led_to = {child for digest in kept & entries.keys() for child in entries[digest].manifests}
            led_to |= {digest for digest, entry in entries.items() if entry.subject in kept}
            if led_to <= kept:
                return entries.keys() - kept
            kept |= led_to

    def _forget_manifest(self, repository: str, digest: str) -> None:
        try:
            if subject := self._entry(repository, digest).subject:
                self._referrer(repository, subject, digest).unlink(missing_ok=True)
        except Problem:
            pass  # damaged: what it referred to lists it no more without its link
        self._link(repository, "_manifests", digest).unlink(missing_ok=True)

    def _found(self, repository: str, digest: str) -> tuple[bytes, str] | None:
        try:
            return self.manifest(repository, digest)
        except Problem:  # removed meanwhile, or damaged
            return None

    def _entry(self, repository: str, digest: str) -> Entry:
        return Entry.read(*self.manifest(repository, digest), digest)

    def _check_all_there(self, repository: str, entry: Entry) -> None:
        for needed in entry.blobs:
            if not self.has_blob(repository, needed):
                raise Problem(Code.MANIFEST_BLOB_UNKNOWN, f"blob unknown to registry: {needed}")
        for needed in entry.manifests:
            if not self._link(repository, "_manifests", needed).is_file():
                raise Problem(Code.MANIFEST_BLOB_UNKNOWN, f"manifest unknown to registry: {needed}")

    @contextmanager
    def _linking(self) -> Iterator[None]:
        """Be the only one, among all threads and processes, that makes or removes links."""
        self.root.mkdir(parents=True, exist_ok=True)
        with self._one_thread, open(self.root / "links.lock", "ab") as file:
            lock(file.fileno())
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Be the only one; then give the state another name, also if it fails: some of it may be done."""
        with self._linking():
            try:
                yield
            finally:
                self._changes += 1  # some file systems know no times between two seconds
                now = time.time_ns()
                with suppress(OSError):
                    os.utime(self.root / "links.lock", ns=(now, now))

    def _since(self, repository: str, kind: str, digest: str) -> float:
        status = _status(self._link(repository, kind, digest))
        return status.st_mtime if status else 0.0

    def _link(self, repository: str, kind: str, digest: str) -> Path:
        algorithm, _, encoded = digest.partition(":")
        return self._repositories / repository / kind / algorithm / encoded

    def _referrer(self, repository: str, subject: str, digest: str) -> Path:
        folder = self._repositories / repository / "_referrers" / subject.replace(":", "-")
        return folder / (digest.replace(":", "-") or "none")

    def _tagged(self, repository: str, tag: str) -> str:
        try:
            return (self._repositories / repository / "_tags" / tag).read_text()
        except FileNotFoundError:
            return ""

    def _links(self, repository: str, kind: str) -> Iterator[str]:
        for algorithm in ("sha256", "sha512"):
            folder = self._repositories / repository / kind / algorithm
            yield from (f"{algorithm}:{name}" for name in _names(folder))

    def _walk(self, prefix: str = "") -> Iterator[str]:
        names = _names(self._repositories / prefix)
        if any(name.startswith("_") for name in names):
            yield prefix
        for name in names:
            if not name.startswith("_"):
                yield from self._walk(f"{prefix}/{name}" if prefix else name)

    def _write(self, target: Path, data: bytes) -> None:
        """Write a small file: under another name first, so that no one sees half of it. What is there becomes young."""
        if _holds(target, data):
            os.utime(target)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        half = self.temporary() / uuid.uuid4().hex
        try:
            half.write_bytes(data)
            if data:
                sync(half)
            os.replace(half, target)
        finally:
            half.unlink(missing_ok=True)  # where the disk is full, it would only make that worse


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except FileNotFoundError:
        return False


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
