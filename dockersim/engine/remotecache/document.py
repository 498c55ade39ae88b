"""What an exported cache says: the steps in one document, and a manifest that names it and the layers.

The shape is that of BuildKit's (cache/remotecache/v1/types): an image manifest whose config is the document, and whose
layers tell their diff ids in an annotation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from dockersim.digest import DiffID, parse_digest
from dockersim.errors import ContentError
from dockersim.oci import Descriptor, Manifest, media_types
from dockersim.solver import StepResult

# Deviation: BuildKit names the steps of an exported cache by the digests of its own graph, here they are those of
# dockersim's cache keys; so the media type is another one, and neither builder reads the other's cache.
MEDIA_TYPE: Final = "application/vnd.dockersim.cacheconfig.v0"

UNCOMPRESSED: Final = "containerd.io/uncompressed"
"""The annotation by which a compressed layer tells its diff id (containerd, core/images/labels.go)."""

LARGEST_DOCUMENT: Final = 16 << 20
"""Bytes; the 20,000 steps that a root remembers would take a third of it."""

_Sha256 = Annotated[str, Meta(pattern=r"\Asha256:[0-9a-f]{64}\Z")]
_Count = Annotated[int, Meta(ge=0, le=1 << 60)]
_Time = Annotated[
    str, Meta(pattern=r"\A([0-9]{4}-[0-9]{2}-[0-9]{2}T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z)?\Z")
]
"""The form only; ``_check_time`` says whether it is a time. Hour 24 is one to Python 3.14, but not to RFC 3339."""
_Line = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f]*\Z", max_length=1000)]


class CacheRecord(Struct, frozen=True):
    """One step: the digest of its key, and what of its result may leave the house.

    What a command printed stays at home: it is no part of an image either. ``layer`` is a diff id. Sizes are in bytes.
    """

    digest: _Sha256
    layer: _Sha256 | None
    size: _Count
    added: _Count
    created: _Time
    command: bool = False
    rung: _Line = ""
    deviations: tuple[_Line, ...] = ()

    @classmethod
    def of(cls, digest: str, result: StepResult) -> CacheRecord:
        """Note a step that ended well."""
        return cls(
            digest,
            result.layer,
            result.size,
            result.added,
            result.created,
            result.exit_code is not None,
            result.rung,
            result.deviations,
        )

    def result(self) -> StepResult:
        """Give the result back, as the cache keeps it."""
        return StepResult(
            DiffID(self.layer) if self.layer else None,
            self.size,
            self.added,
            0 if self.command else None,
            rung=self.rung,
            deviations=self.deviations,
            created=self.created,
        )


class CacheConfig(Struct, frozen=True):
    """The whole document."""

    records: tuple[CacheRecord, ...]

    def to_json(self) -> bytes:
        """Write the document; equal values give equal bytes."""
        return json.dumps(msgspec.to_builtins(self), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> CacheConfig:
        """Read and check a document; raise ContentError that names the field."""
        try:
            config = msgspec.json.decode(data, type=cls)
            for record in config.records:
                _check_time(record.created)
        except (ValueError, RecursionError) as error:
            raise ContentError(f"its list of steps is damaged: {error}") from error
        return config


def _check_time(created: str) -> None:
    """Raise ValueError for what only looks like a time: it would get into an image."""
    if created:
        datetime.fromisoformat(created[: len("2024-01-31T23:59:59")])


def manifest_of(config: Descriptor, layers: Iterable[tuple[DiffID, Descriptor]]) -> Manifest:
    """Make the manifest that names the document and the layers."""
    blobs = (
        Descriptor(layer.media_type, layer.digest, layer.size, annotations={UNCOMPRESSED: diff_id})
        for diff_id, layer in layers
    )
    return Manifest(config, tuple(blobs))


def read_manifest(data: bytes) -> tuple[Descriptor, dict[str, Descriptor]]:
    """Read a manifest: the descriptor of the document, and the layers' by diff id. Raises ContentError."""
    manifest = Manifest.from_json(data)
    if manifest.config.media_type != MEDIA_TYPE:
        raise ContentError(f"it holds no build cache of dockersim, but {manifest.config.media_type}")
    layers: dict[str, Descriptor] = {}
    for blob in manifest.layers:
        if blob.media_type not in media_types.LAYERS:
            raise ContentError(f"a layer has an unknown media type: {blob.media_type}")
        layers[parse_digest(blob.annotations.get(UNCOMPRESSED, ""))] = blob
    return manifest.config, layers
