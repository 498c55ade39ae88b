"""Where a cache can lie: in a directory, as an OCI image layout, or in a repository of a registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from dockersim.content import BlobWriter, ContentStore
from dockersim.content.disk import locked, told_plainly, write_whole
from dockersim.content.store import copy
from dockersim.engine.remotecache.document import LARGEST_DOCUMENT
from dockersim.engine.remotecache.options import CacheOption
from dockersim.errors import ContentError, StoreError
from dockersim.oci import Descriptor, Index, media_types, parse_reference

if TYPE_CHECKING:
    from dockersim.engine.shipping import Shipping
    from dockersim.registry import RegistryClient

_TAG: Final = "latest"
"""The name that buildx gives a cache in the index of a directory."""

_LARGEST_MANIFEST: Final = 4 << 20
"""The limit that registries set (distribution-spec, "Pushing Manifests")."""


class CachePlace(Protocol):
    """One place. Reading raises ContentError or RegistryError, writing StoreError or RegistryError."""

    name: str
    """What it is called to a learner."""
    exporting: str
    """BuildKit's name for the work of writing to it."""

    def manifest(self) -> bytes:
        """Read the manifest that stands there; its digest is checked. Repeatable."""

    def has(self, blob: Descriptor) -> bool:
        """Say whether the blob is there."""

    def read(self, blob: Descriptor) -> bytes:
        """Read a document and check it."""

    def fetch(self, blob: Descriptor, into: BlobWriter) -> None:
        """Read a layer and commit it, if it is what it should be."""

    def send(self, blob: Descriptor, source: BinaryIO) -> None:
        """Write a blob. Repeatable."""

    def publish(self, manifest: bytes) -> None:
        """Write the manifest, whose blobs are there, in the place of the one before. Repeatable."""

    def close(self) -> None:
        """Let go of connections. Repeatable."""


class Directory:
    """A directory; nothing is made there before the first write."""

    exporting = "exporting cache to client directory"

    def __init__(self, path: Path) -> None:
        self.name = f"local:{path}"
        self._path = path
        self._content = ContentStore(path)

    def manifest(self) -> bytes:
        """Read the manifest that index.json calls latest."""
        with _reading():
            for entry in Index.from_json(self._index()).manifests:
                if entry.annotations.get(media_types.REFERENCE_NAME) == _TAG:
                    return self._content.read(entry.digest, limit=_LARGEST_MANIFEST)
        raise ContentError(f"its index.json names no {_TAG}")

    def has(self, blob: Descriptor) -> bool:
        """Look for the file."""
        return self._content.has(blob.digest)

    def read(self, blob: Descriptor) -> bytes:
        """Read the file."""
        with _reading():
            return self._content.read(blob.digest, limit=LARGEST_DOCUMENT)

    def fetch(self, blob: Descriptor, into: BlobWriter) -> None:
        """Copy the file, which must be as long as it should be."""
        with _reading(), self._content.open(blob.digest) as source:
            if (size := self._content.size(blob.digest)) != blob.size:
                raise ContentError(f"blob {blob.digest} has {size} bytes, it should have {blob.size}")
            copy(source, into)
        into.commit(blob.digest, size=blob.size)

    def send(self, blob: Descriptor, source: BinaryIO) -> None:
        """Write the file."""
        with _writing(), self._content.writer() as target:
            copy(source, target)
            target.commit(blob.digest, size=blob.size)

    def publish(self, manifest: bytes) -> None:
        """Write the manifest and name it in index.json, beside what others may have named there."""
        with _writing():
            entry = Descriptor(media_types.MANIFEST, self._content.put(manifest), len(manifest),
                               annotations={media_types.REFERENCE_NAME: _TAG})  # fmt: skip
            with locked(self._path / "index.lock"):
                others = Index.from_json(self._index()).manifests
                kept = [one for one in others if one.annotations.get(media_types.REFERENCE_NAME) != _TAG]
                write_whole(self._path / "index.json", Index((*kept, entry)).to_json())

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _index(self) -> bytes:
        place = self._path / "index.json"
        # A pipe or a device in a stranger's directory must not be waited for.
        if not place.is_file():
            raise ContentError("it has no index.json")
        with told_plainly("read", place), place.open("rb") as file:
            data = file.read(_LARGEST_MANIFEST + 1)
        if len(data) > _LARGEST_MANIFEST:
            raise ContentError("its index.json is too large")
        return data


class Repository:
    """A repository; it is connected to when it is first asked for something.

    ``content`` is the store of the root, through which every blob goes that is downloaded.
    """

    exporting = "exporting cache to registry"

    def __init__(self, name: str, shipping: Callable[[], Shipping], content: ContentStore) -> None:
        self._content = content
        self._reference = parse_reference(name)
        self._shipping = shipping
        self.name = self._reference.familiar()

    @cached_property
    def _client(self) -> RegistryClient:
        return self._shipping().client(self._reference)

    def manifest(self) -> bytes:
        """Fetch the manifest that the tag, or the digest, stands for."""
        name = self._reference.resolvable()
        return self._client.fetch_manifest(name.repository, name.digest or name.tag)[1]

    def has(self, blob: Descriptor) -> bool:
        """Ask for the blob, with the right to send it next."""
        return self._client.has_blob(self._reference.repository, blob.digest, push=True)

    def read(self, blob: Descriptor) -> bytes:
        """Download the document, if it is not here."""
        if blob.size > LARGEST_DOCUMENT:
            raise ContentError(f"its list of steps has {blob.size} bytes, more than the {LARGEST_DOCUMENT} allowed")
        if not self._content.keep(blob.digest):
            with self._content.writer() as into:
                self.fetch(blob, into)
        return self._content.read(blob.digest, limit=LARGEST_DOCUMENT)

    def fetch(self, blob: Descriptor, into: BlobWriter) -> None:
        """Download the blob."""
        for _ in self._client.fetch_blob(self._reference.repository, blob, into):
            pass

    def send(self, blob: Descriptor, source: BinaryIO) -> None:
        """Upload the blob."""
        for _ in self._client.upload_blob(self._reference.repository, blob, source):
            pass

    def publish(self, manifest: bytes) -> None:
        """Put the manifest under the tag."""
        name = self._reference.resolvable()
        self._client.put_manifest(name.repository, name.tag or name.digest, manifest, media_types.MANIFEST)

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        if "_client" in self.__dict__:
            self._client.close()
            del self.__dict__["_client"]


def place_of(option: CacheOption, shipping: Callable[[], Shipping], content: ContentStore) -> CachePlace:
    """Find the place that an option means."""
    return Directory(Path(option.place)) if option.type == "local" else Repository(option.place, shipping, content)


@contextmanager
def _reading() -> Iterator[None]:
    """Tell what the disk says of a directory that is not ours as what is wrong with the cache."""
    try:
        yield
    except StoreError as error:
        raise ContentError(error.message) from error


@contextmanager
def _writing() -> Iterator[None]:
    """Give the advice that fits: it is not the store that is full or not writable."""
    try:
        yield
    except (StoreError, ContentError) as error:
        raise StoreError(error.message, hint="choose another dest= for the cache") from error
