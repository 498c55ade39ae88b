"""Reading an archive of images: docker's format, old and new, or an OCI image layout; compressed or not.

An archive comes through a pipe and from a stranger. Nothing of it is ever written under a name it chose: each member
goes into the content store as a blob, under its own digest, and its path is only a word in a table. What is not an
image when all has been read is swept later; every layer must be what the config promised.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from msgspec import Struct

from dockersim.content import lease
from dockersim.content.compression import any_unpacked
from dockersim.digest import DiffID, Digest
from dockersim.errors import ContentError, InvalidReference
from dockersim.filesystem import Content, Entry, Kind, Limits, read_layer
from dockersim.images.image import Image
from dockersim.images.indexes import choose, images_of, is_whole
from dockersim.images.saving import CONTAINERD_NAME
from dockersim.images.store import ImageStore
from dockersim.oci import (
    LAYOUT_FILE,
    ContainerConfig,
    Descriptor,
    History,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    Reference,
    check_layout,
    media_types,
    parse_reference,
)
from dockersim.oci.gojson import parse

LIMITS = Limits(entries=100_000)
"""docker itself writes a handful of members per layer."""


class Loaded(Struct, frozen=True):
    """An image that was read from an archive, and the names that came with it."""

    image: Image
    names: tuple[Reference, ...]

    def __str__(self) -> str:
        if not self.names:
            return f"Loaded image ID: {self.image.id}"
        return "\n".join(f"Loaded image: {name.familiar()}" for name in self.names)


def load(images: ImageStore, stream: BinaryIO, platform: Platform | None = None) -> tuple[Loaded, ...]:
    """Read all images of an archive and give them the names it tells; raise ContentError if it is none.

    ``stream`` is read once from front to back. Images are stored as soon as they are known to be whole; those before
    a damaged one stay. Of an image for several platforms the one for ``platform`` gets the name, else the first.
    """
    with lease(images.content) as protection:
        archive = _Archive(images, dict(_store_members(images, stream, protection.add)), platform)
        if "manifest.json" in archive and not archive.has_indexes():
            return tuple(archive.docker_images())
        if LAYOUT_FILE in archive and "index.json" in archive:
            return tuple(archive.layout_images())
    raise ContentError(
        "the archive holds no image: neither manifest.json nor index.json is in it",
        hint="a plain root file system is read with dockersim import",
    )


def import_rootfs(
    images: ImageStore,
    stream: BinaryIO,
    *,
    created: str,
    platform: Platform,
    name: Reference | None = None,
    config: ContainerConfig | None = None,
    message: str = "Imported from -",
) -> Image:
    """Make an image of one layer from the tar of a root file system, compressed or not, as ``docker import`` does."""
    with lease(images.content) as protection, any_unpacked(stream) as tar:
        diff_id = images.layers.add_tar(tar)
        protection.add(diff_id)
        document = ImageConfig(
            architecture=platform.architecture,
            os=platform.os,
            variant=platform.variant,
            config=config or ContainerConfig(),
            diff_ids=(diff_id,),
            history=(History(created=created, comment=message),),
            created=created,
        )
        return images.put(document, [diff_id], [name] if name else [])


def _store_members(images: ImageStore, stream: BinaryIO, protect: Callable[[str], object]) -> Iterator[tuple[str, str]]:
    """Put every file of the archive into the content store; yield its path with its digest.

    A link is yielded with ``@`` and the path it leads to: old versions of docker link equal layers.
    """
    with any_unpacked(stream) as tar:
        for entry, content in read_layer(tar, LIMITS):
            if not isinstance(entry, Entry):
                continue
            if entry.kind is Kind.FILE:
                digest = _store(images, content)
                protect(digest)
                yield entry.path, digest
            elif entry.kind is Kind.SYMLINK:
                yield (
                    entry.path,
                    "@" + posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), entry.link)),
                )
            elif entry.kind is Kind.HARDLINK:
                yield entry.path, "@" + entry.link


def _store(images: ImageStore, content: Content) -> Digest:
    room = memoryview(bytearray(1 << 20))
    with images.content.writer() as blob:
        while count := content.readinto(room):
            blob.write(room[:count])
        return blob.commit()


class _Archive:
    """The members of an archive by path, all of them in the content store."""

    def __init__(self, images: ImageStore, members: Mapping[str, str], platform: Platform | None) -> None:
        self._images = images
        self._content = images.content
        self._members = members
        self._platform = platform

    def __contains__(self, path: str) -> bool:
        return path in self._members

    def docker_images(self) -> Iterator[Loaded]:
        """Read docker's format: ``manifest.json`` lists images with config, layers and names."""
        entries = self._document("manifest.json")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ContentError("the archive's manifest.json is not a list of images")
        for entry in entries:
            config = self._read(_text(entry, "Config"))
            layers = [self._digest(path) for path in _texts(entry, "Layers")]
            names = tuple(parse_reference(tag) for tag in _texts(entry, "RepoTags"))
            yield self._put(config, layers, names)

    def has_indexes(self) -> bool:
        """Say whether it is a layout, too, with an image for several platforms: docker's format cannot tell of one."""
        if LAYOUT_FILE not in self or "index.json" not in self:
            return False
        return any(one.media_type in media_types.INDEXES for one in self._entries())

    def layout_images(self) -> Iterator[Loaded]:
        """Read an OCI image layout: ``index.json`` lists manifests and indexes, with names in annotations."""
        check_layout(self._read(LAYOUT_FILE))
        found: dict[Digest, Descriptor] = {}
        names: dict[Digest, tuple[Reference, ...]] = {}
        for entry in self._entries():
            found[entry.digest] = Descriptor(entry.media_type, entry.digest, entry.size)
            known = names.get(entry.digest, ())
            names[entry.digest] = (*known, *(name for name in _names(entry) if name not in known))
        loaded = [image for one in found.values() if (image := self._put_listed(one, names[one.digest]))]
        if not loaded:
            raise ContentError("the archive's index.json lists no image")
        yield from loaded

    def _entries(self) -> tuple[Descriptor, ...]:
        return Index.from_json(self._read("index.json")).manifests

    def _check_sizes(self, manifest: Manifest) -> None:
        # SHOULD NOT (descriptor.md, "size"): content of another length "SHOULD NOT be trusted".
        for blob in (manifest.config, *manifest.layers):
            if self._content.has(blob.digest) and self._content.size(blob.digest) != blob.size:
                raise ContentError(f"the archive's blob {blob.digest} has not the {blob.size} bytes it should have")

    def _put_listed(self, listed: Descriptor, names: tuple[Reference, ...]) -> Loaded | None:
        """Take in what ``index.json`` lists: an image, or an index with the one that is for this machine."""
        if listed.media_type in media_types.MANIFESTS:
            return self._put_manifest(listed, names, None)
        if listed.media_type not in media_types.INDEXES:
            return None
        self._blob(listed.digest)
        offered = list(images_of(self._content, listed, self._has_blob))
        if not offered:
            return None
        whole = is_whole(self._content, listed, self._has_blob)
        return self._put_manifest(choose(offered, self._platform), names, listed if whole else None)

    def _put_manifest(self, listed: Descriptor, names: tuple[Reference, ...], index: Descriptor | None) -> Loaded:
        document = self._blob(listed.digest)
        manifest = Manifest.from_json(document)
        manifest.check_image(f"manifest {listed.digest} of the archive")
        self._check_sizes(manifest)
        layers = [layer.digest for layer in manifest.layers]
        return self._put(self._blob(manifest.config.digest), layers, names, document, index)

    def _put(
        self,
        config: bytes,
        layers: list[Digest],
        names: tuple[Reference, ...],
        manifest: bytes | None = None,
        index: Descriptor | None = None,
    ) -> Loaded:
        diff_ids = ImageConfig.from_json(config).diff_ids
        if len(diff_ids) != len(layers):
            raise ContentError(f"an image of the archive has {len(layers)} layers, but its config {len(diff_ids)}")
        for digest, diff_id in zip(layers, diff_ids, strict=True):
            self._add_layer(digest, diff_id)
        return Loaded(self._images.put(config, diff_ids, names, manifest=manifest, index=index), names)

    def _add_layer(self, digest: Digest, diff_id: DiffID) -> None:
        if str(digest) == diff_id or not self._images.layers.has(diff_id):
            descriptor = Descriptor(media_types.LAYER, digest, self._content.size(digest))
            self._images.layers.add_blob(descriptor, diff_id)

    def _document(self, path: str) -> Any:
        return parse(self._read(path), f"the archive's {path}")

    def _read(self, path: str) -> bytes:
        return self._content.read(self._digest(path))

    def _blob(self, digest: str) -> bytes:
        """Read a document by its digest; a member of that name that is another one could name itself."""
        path = self._path(digest)
        if self._digest(path) != digest:
            raise ContentError(f"the archive's {path} is not what its name says")
        return self._read(path)

    def _has_blob(self, digest: str) -> bool:
        return self._path(digest) in self

    def _path(self, digest: str) -> str:
        return "blobs/" + digest.replace(":", "/", 1)

    def _digest(self, path: str) -> Digest:
        """Look a path up, following links inside the archive only."""
        at = posixpath.normpath(path)
        for _ in range(8):
            found = self._members.get(at)
            if found is None:
                raise ContentError(f"the archive has no {path!r}", hint="save the image again")
            if not found.startswith("@"):
                return Digest(found)
            at = found[1:]
        raise ContentError(f"the archive's links to {path!r} go in circles")


def _names(descriptor: Descriptor) -> Iterator[Reference]:
    """Yield the full name in the annotations, if there is one: a bare tag such as ``latest`` names nothing."""
    full = descriptor.annotations.get(CONTAINERD_NAME) or descriptor.annotations.get(media_types.REFERENCE_NAME, "")
    if ":" in full or "/" in full:
        try:
            yield parse_reference(full)
        except InvalidReference:
            return  # other tools put other words there


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str):
        raise ContentError(f"the archive's manifest.json: {name} must be a path")
    return value


def _texts(entry: Mapping[str, Any], name: str) -> list[str]:
    values = entry.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ContentError(f"the archive's manifest.json: {name} must be a list of texts")
    return values
