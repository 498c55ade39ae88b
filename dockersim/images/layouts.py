"""An image in an OCI image layout on disk: ``oci-layout://path[:tag][@digest]``.

The real thing is buildx, which reads the layout and lends its blobs to BuildKit. Here the image is taken into the
store; every blob must be what its digest says, so that it does not matter who has made the layout.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dockersim.content import lease
from dockersim.content.store import copy
from dockersim.digest import parse_digest, sha256
from dockersim.errors import ContentError, ImageError
from dockersim.images.image import Image
from dockersim.images.indexes import DEEPEST_INDEX
from dockersim.images.store import ImageStore
from dockersim.oci import (
    LARGEST_DOCUMENT,
    LAYOUT_FILE,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    check_layout,
    media_types,
)
from dockersim.oci.gojson import Fields


class Layout:
    """One image of a layout, the one for ``platform`` (``linux/amd64``). Errors are ImageError and ContentError."""

    def __init__(self, reference: str, platform: str) -> None:
        named, _, self._digest = reference.partition("@")
        path, _, tag = named.partition(":")
        self._tag = tag or "latest"
        self._folder = Path(path)
        self._reference = reference
        self._platform = platform

    def manifest(self) -> Manifest:
        """Find the image's manifest: by its digest, else by its tag."""
        check_layout(self._read(LAYOUT_FILE))
        for one in Index.from_json(self._read("index.json")).manifests:
            if self._digest in (one.digest, "") and (self._digest or self._is_tagged(one)):
                return self._of_platform(one, 0)
        if self._digest:
            return self._of_platform(Descriptor(media_types.MANIFEST, parse_digest(self._digest), 0), 0)
        hint = f"{self._folder} has {', '.join(self._tags()) or 'no tags'}"
        raise ImageError(f'oci-layout reference "{self._reference}" could not be resolved', hint=hint)

    def load(self, images: ImageStore) -> Image:
        """Take the image into the store, without a name. Repeatable."""
        manifest = self.manifest()
        manifest.check_image(f"oci-layout://{self._reference}")
        config = self._document(manifest.config)
        diff_ids = ImageConfig.from_json(config).diff_ids
        if len(diff_ids) != len(manifest.layers):
            raise ContentError(f"the image has {len(manifest.layers)} layers, but its config {len(diff_ids)}")
        with lease(images.content) as protection:
            for layer, diff_id in zip(manifest.layers, diff_ids, strict=True):
                protection.add(diff_id)
                if not images.layers.has(diff_id):
                    self._copy(images, layer)
                    images.layers.add_blob(layer, diff_id)
                protection.add(diff_id)
            return images.put(config, list(diff_ids))

    # ------------------------------------------------------------ looking things up

    def _is_tagged(self, descriptor: Descriptor) -> bool:
        name = descriptor.annotations.get(media_types.REFERENCE_NAME, "")
        return name == self._tag or name.endswith(f":{self._tag}")

    def _tags(self) -> Iterator[str]:
        for one in Index.from_json(self._read("index.json")).manifests:
            if name := one.annotations.get(media_types.REFERENCE_NAME):
                yield name

    def _of_platform(self, descriptor: Descriptor, depth: int) -> Manifest:
        """Read a manifest, choosing by platform where an index stands between."""
        document = self._document(descriptor)
        if not Fields.of(document, "manifest").has("manifests"):
            return Manifest.from_json(document)
        inner = Index.from_json(document)
        if depth == DEEPEST_INDEX:
            raise ContentError("the layout's indexes are nested too deeply")
        for one in inner.manifests:
            if one.platform is None or str(one.platform) == self._platform:
                return self._of_platform(one, depth + 1)
        offered = ", ".join(str(one.platform) for one in inner.manifests)
        raise ImageError(f"no match for platform {self._platform} in {self._reference}", hint=f"it offers {offered}")

    # ------------------------------------------------------------ reading blobs

    def _document(self, descriptor: Descriptor) -> bytes:
        document = self._read(self._path(descriptor))
        if sha256(document) != descriptor.digest:
            raise ContentError(f"{self._folder / self._path(descriptor)} is not what its name says")
        return document

    def _read(self, path: str) -> bytes:
        with self._open(path) as stream:
            document = stream.read(LARGEST_DOCUMENT + 1)
        if len(document) > LARGEST_DOCUMENT:
            raise ContentError(f"{self._folder / path} is larger than the {LARGEST_DOCUMENT} bytes of a document")
        return document

    def _open(self, path: str) -> BinaryIO:
        """Open a file of the layout; from a pipe or a device one could read for ever."""
        file = self._folder / path
        hint = "an OCI image layout is a directory with oci-layout, index.json and blobs"
        try:
            if not stat.S_ISREG(file.stat().st_mode):
                raise ImageError(f"{file} is no regular file", hint=hint)
            return file.open("rb")
        except OSError as error:
            raise ImageError(f"{file} cannot be read: {error.strerror}", hint=hint) from error

    def _copy(self, images: ImageStore, descriptor: Descriptor) -> None:
        with self._open(self._path(descriptor)) as source, images.content.writer() as blob:
            if os.fstat(source.fileno()).st_size != descriptor.size:
                raise ContentError(
                    f"{self._folder / self._path(descriptor)} has not the {descriptor.size} bytes it says"
                )
            copy(source, blob)
            blob.commit(descriptor.digest, size=descriptor.size)

    def _path(self, descriptor: Descriptor) -> str:
        return f"blobs/{descriptor.digest.replace(':', '/', 1)}"
