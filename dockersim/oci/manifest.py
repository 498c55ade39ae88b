"""The documents that hold an image together: its manifest, and the index of several platforms' manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from dockersim.errors import ContentError
from dockersim.oci import media_types
from dockersim.oci.descriptor import Descriptor
from dockersim.oci.gojson import Document, Fields, encode, omit_empty, sorted_map


class Manifest(Struct, frozen=True):
    """One image: the descriptor of its config, and of its layers, lowest first (image-spec, manifest.md)."""

    config: Descriptor
    layers: tuple[Descriptor, ...] = ()
    media_type: str = media_types.MANIFEST
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, document: Document) -> Manifest:
        """Read and check a manifest, the OCI's or docker's; raise ContentError that names the field."""
        fields = Fields.of(document, "manifest")
        _check_kind(fields, media_types.MANIFESTS, forbidden="manifests")
        artifact_type = fields.media_type("artifactType")
        config = Descriptor.from_fields(fields.one("config")) if fields.has("config") else None
        if config is None:
            raise ContentError("manifest.config is missing")
        # MUST (manifest.md): artifactType is set when config.mediaType is the empty value.
        if config.media_type == media_types.EMPTY and not artifact_type:
            raise ContentError("manifest.artifactType is missing, although the config is empty")
        return cls(
            config=config,
            layers=tuple(map(Descriptor.from_fields, fields.many("layers"))),
            media_type=fields.text("mediaType") or media_types.MANIFEST,
            artifact_type=artifact_type,
            subject=_subject(fields),
            annotations=fields.text_map("annotations"),
        )

    def check_image(self, name: str) -> None:
        """Raise ContentError for an artifact, whose config does not say how anything is run."""
        if self.config.media_type not in media_types.CONFIGS:
            raise ContentError(f"{name} is not an image but an artifact: {self.config.media_type}")

    def to_json(self) -> bytes:
        """Write the manifest; equal values give equal bytes."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "artifactType": self.artifact_type,
            "config": self.config.as_json(),
            # Deviation: BuildKit writes null where an image has no layers; the OCI's schema wants a list.
            "layers": [layer.as_json() for layer in self.layers],
            "subject": self.subject.as_json() if self.subject else None,
            "annotations": sorted_map(self.annotations),
        }
        return encode(omit_empty(document, "layers"))


class Index(Struct, frozen=True):
    """One name for several manifests, one per platform (image-index.md); also ``index.json`` of a layout."""

    manifests: tuple[Descriptor, ...] = ()
    media_type: str = media_types.INDEX
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, document: Document) -> Index:
        """Read and check an index, or docker's manifest list; raise ContentError that names the field."""
        fields = Fields.of(document, "index")
        _check_kind(fields, media_types.INDEXES, forbidden="layers")
        return cls(
            manifests=tuple(map(Descriptor.from_fields, fields.many("manifests", required=True))),
            media_type=fields.text("mediaType") or media_types.INDEX,
            artifact_type=fields.media_type("artifactType"),
            subject=_subject(fields),
            annotations=fields.text_map("annotations"),
        )

    def to_json(self) -> bytes:
        """Write the index; equal values give equal bytes."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "artifactType": self.artifact_type,
            "manifests": [entry.as_json() for entry in self.manifests],
            "subject": self.subject.as_json() if self.subject else None,
            "annotations": sorted_map(self.annotations),
        }
        return encode(omit_empty(document, "manifests"))


def _check_kind(fields: Fields, allowed: frozenset[str], *, forbidden: str) -> None:
    """Refuse another kind of document, and one that could be read as two kinds at once.

    A document with both ``layers`` and ``manifests`` is another image to another reader: CVE-2021-41190.
    """
    if fields.integer("schemaVersion", required=True) != 2:
        raise ContentError(f"{fields.where}.schemaVersion must be 2")
    media_type = fields.media_type("mediaType")
    if media_type and media_type not in allowed:
        raise ContentError(f"{fields.where}.mediaType is {media_type!r}, which is no {fields.where}")
    if fields.has(forbidden):
        raise ContentError(f"{fields.where} must not have the field {forbidden!r}: it is ambiguous")


def _subject(fields: Fields) -> Descriptor | None:
    return Descriptor.from_fields(fields.one("subject")) if fields.has("subject") else None
