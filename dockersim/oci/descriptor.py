"""The arrow between blobs: what it is, its digest, its size (image-spec, descriptor.md).

>>> Platform.parse("linux/arm64/v8").architecture
'arm64'
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from dockersim.digest import Digest
from dockersim.errors import ContentError
from dockersim.oci.gojson import Document, Fields, encode, omit_empty, sorted_map

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]*")


class Platform(Struct, frozen=True):
    """What a program was made to run on, in Go's words for it (image-spec, image-index.md, "platform")."""

    architecture: str
    os: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``os/architecture[/variant]``, as ``docker build --platform`` takes it."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise ContentError(f"not a platform: {text[:80]!r}; write it as linux/amd64")
        return cls(parts[1], parts[0], parts[2] if len(parts) == 3 else "")

    @classmethod
    def from_fields(cls, fields: Fields) -> Platform:
        """Read a platform object; architecture and os must be there."""
        return cls(
            architecture=fields.text("architecture", required=True),
            os=fields.text("os", required=True),
            variant=fields.text("variant"),
            os_version=fields.text("os.version"),
            os_features=fields.texts("os.features"),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the object in Go's field order."""
        document = {
            "architecture": self.architecture,
            "os": self.os,
            "os.version": self.os_version,
            "os.features": list(self.os_features),
            "variant": self.variant,
        }
        return omit_empty(document, "architecture", "os")

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(Struct, frozen=True):
    """Names a blob. ``size`` is in bytes, of the blob as it is stored or sent.

    ``data`` may carry the blob itself when it is small.
    """

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None
    platform: Platform | None = None
    artifact_type: str = ""

    @classmethod
    def from_json(cls, document: Document) -> Descriptor:
        """Read and check a descriptor; raise ContentError that names the field."""
        return cls.from_fields(Fields.of(document, "descriptor"))

    @classmethod
    def from_fields(cls, fields: Fields) -> Descriptor:
        """Read a descriptor inside another document."""
        return cls(
            media_type=fields.media_type("mediaType", required=True),
            digest=fields.digest("digest"),
            size=fields.integer("size", required=True, least=0),
            urls=_addresses(fields, "urls"),
            annotations=fields.text_map("annotations"),
            data=_base64(fields, "data"),
            platform=Platform.from_fields(fields.one("platform")) if fields.has("platform") else None,
            artifact_type=fields.media_type("artifactType"),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the object in Go's field order."""
        document = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
            "urls": list(self.urls),
            "annotations": sorted_map(self.annotations),
            "data": base64.b64encode(self.data).decode() if self.data is not None else "",
            "platform": self.platform.as_json() if self.platform else None,
            "artifactType": self.artifact_type,
        }
        return omit_empty(document, "mediaType", "digest", "size")

    def to_json(self) -> bytes:
        """Write the descriptor."""
        return encode(self.as_json())


def _addresses(fields: Fields, name: str) -> tuple[str, ...]:
    # MUST (descriptor.md): each entry conforms to RFC 3986.
    for address in fields.texts(name):
        if not _ADDRESS.fullmatch(address):
            raise ContentError(f"{fields.where}.{name} has {address!r}, which is no address")
    return fields.texts(name)


def _base64(fields: Fields, name: str) -> bytes | None:
    if not fields.has(name):
        return None
    try:
        return base64.b64decode(fields.text(name), validate=True)
    except ValueError as error:  # binascii.Error is one; so is what is not even ASCII
        raise ContentError(f"{fields.where}.{name} is not base64: {error}") from error
