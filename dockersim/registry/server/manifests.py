"""What a manifest must be to be let in.

A registry reads little of a manifest: its kind, and which blobs and manifests it names, since all of them must be
there first. Fields it does not know are kept, as the bytes are what the digest names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from dockersim.oci import media_types
from dockersim.registry.names import digest as check_digest
from dockersim.registry.problems import Code, Problem

LONGEST_MANIFEST: Final = 4 * 1024 * 1024
"""Bytes, as distribution has it; registries "SHOULD expect to be able to support ... at least 4 megabytes" (spec)."""

DEEPEST_MANIFEST: Final = 100
"""Objects and lists in each other; those of real manifests are four deep. Go's decoder takes 10,000, but Python's ends
where the stack does: what a push got through could not be read where more of the stack was in use."""


_NAMES: Final = {name.casefold(): name for name in (
    "schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations", "digest",
    "size", "urls", "data", "platform",
)}  # fmt: skip


class Entry(Struct, frozen=True):
    """What the registry keeps in mind of a manifest.

    ``blobs`` must be there first. What is ``elsewhere`` need not be here, but stays if somebody has pushed it.
    ``subject`` is "" where there is none; ``is_outdated`` says that some layers have to be fetched from elsewhere.
    """

    digest: str
    media_type: str
    blobs: tuple[str, ...]
    elsewhere: tuple[str, ...]
    manifests: tuple[str, ...]
    subject: str
    is_outdated: bool

    @classmethod
    def read(cls, data: bytes, media_type: str, digest: str = "") -> Entry:
        """Check the bytes of a manifest against the media type and digest they came with.

        Raises MANIFEST_INVALID and DIGEST_INVALID.
        """
        document = _parse(data)
        kind = _kind(document, media_type)
        return cls(
            digest=_named(data, digest),
            media_type=kind,
            blobs=_blobs(document, foreign=False) if kind in media_types.MANIFESTS else _children(document, blobs=True),
            elsewhere=_blobs(document, foreign=True) if kind in media_types.MANIFESTS else (),
            manifests=_children(document, blobs=False) if kind in media_types.INDEXES else (),
            subject=_digest(document["subject"]) if document.get("subject") is not None else "",
            is_outdated=kind in media_types.MANIFESTS and any(map(_is_foreign, _list(document, "layers"))),
        )


def referred(data: bytes, media_type: str, digest: str) -> dict[str, object]:
    """Describe a manifest as the referrers API lists it.

    MUST (spec, "Listing Referrers"): artifactType is that of the manifest, or else the config's media type; the
    manifest's annotations are copied.
    """
    document = _parse(data)
    config = document.get("config")
    artifact = document.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else "")
    optional = {"artifactType": artifact, "annotations": document.get("annotations")}
    required: dict[str, object] = {"mediaType": media_type, "digest": digest, "size": len(data)}
    return required | {name: value for name, value in optional.items() if value}


def _parse(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data.decode(), parse_constant=_refuse_constant, object_pairs_hook=_once)  # not UTF-16
    except (ValueError, RecursionError) as error:
        raise Problem(Code.MANIFEST_INVALID, "manifest is not valid JSON") from error
    if _is_deep(document):
        raise Problem(Code.MANIFEST_INVALID, f"manifest is nested more than {DEEPEST_MANIFEST} levels deep")
    if not isinstance(document, dict) or document.get("schemaVersion") != 2:
        raise Problem(Code.MANIFEST_INVALID, "manifest must be an object with schemaVersion 2")
    annotations = document.get("annotations") or {}
    texts = [document.get("mediaType"), document.get("artifactType")]
    if not isinstance(annotations, dict) or not all(isinstance(text, str) for text in annotations.values()):
        raise Problem(Code.MANIFEST_INVALID, "annotations are not texts by name")
    if not all(text is None or isinstance(text, str) for text in texts):
        raise Problem(Code.MANIFEST_INVALID, "mediaType and artifactType must be texts")
    _check_names(document)
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that is there twice: Python takes the last value, Go may mix the two."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _check_names(document: dict[str, Any]) -> None:
    """Refuse names that differ by case from those we know: Go, and so docker, takes them for the same, and we do not.

    Blobs that only others read were neither asked for nor kept, and one digest would be two images (CVE-2021-41190).
    """
    descriptors = (document.get("config"), document.get("subject"), *_list(document, "layers"),
                   *_list(document, "manifests"))  # fmt: skip
    for one in (document, *descriptors):
        for name in one if isinstance(one, dict) else ():
            meant = _NAMES.get(name.casefold(), name)
            if name != meant:
                raise Problem(Code.MANIFEST_INVALID, f"{name[:80]!r} is {meant} to some who read it")


def _is_deep(document: object) -> bool:
    """Go down level by level: what is deep is not looked through by calls in calls."""
    level = [document]
    for _ in range(DEEPEST_MANIFEST):
        level = [part for one in level for part in _parts(one) if isinstance(part, dict | list)]
    return bool(level)


def _parts(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _refuse_constant(name: str) -> None:
    """Python would read NaN and Infinity, which are not JSON."""
    raise ValueError(name)


def _kind(document: dict[str, Any], content_type: str) -> str:
    inside = document.get("mediaType")
    outside = content_type.partition(";")[0].strip()
    kind = outside or inside
    if kind not in media_types.MANIFESTS | media_types.INDEXES:
        raise Problem(Code.MANIFEST_INVALID, f"not a manifest's media type: {str(kind)[:80]!r}")
    # MUST (spec, "Pushing Manifests"): the Content-Type header matches mediaType, if that is set.
    if inside is not None and inside != kind:
        raise Problem(Code.MANIFEST_INVALID, "Content-Type and mediaType differ")
    # A document with both, or one under the name of the other, means different images to different readers:
    # CVE-2021-41190. To garbage collection, too: what is said to be an index names no layers.
    is_image, is_index = "layers" in document or "config" in document, "manifests" in document
    if is_image and is_index:
        raise Problem(Code.MANIFEST_INVALID, "manifest has both layers and manifests")
    if (is_image and kind in media_types.INDEXES) or (is_index and kind in media_types.MANIFESTS):
        raise Problem(Code.MANIFEST_INVALID, f"not what its media type says: {kind}")
    return str(kind)


def _named(data: bytes, digest: str) -> str:
    algorithm = digest.partition(":")[0] or "sha256"
    found = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
    if digest and digest != found:
        raise Problem(Code.DIGEST_INVALID, "provided digest did not match uploaded content")
    return found


def _blobs(document: dict[str, Any], *, foreign: bool) -> tuple[str, ...]:
    """List the config and the layers: those that are fetched from elsewhere (``urls``), or the others."""
    descriptors = [document.get("config"), *_list(document, "layers")]
    return tuple(_digest(one) for one in descriptors if _is_foreign(one) == foreign)


def _children(document: dict[str, Any], *, blobs: bool) -> tuple[str, ...]:
    """List the manifests of an index, or the blobs: BuildKit's cache is an index of layers (``cache/remotecache``)."""
    return tuple(_digest(one) for one in _list(document, "manifests") if _is_blob(one) == blobs)


def _is_blob(descriptor: object) -> bool:
    kind = descriptor.get("mediaType") if isinstance(descriptor, dict) else None
    return isinstance(kind, str) and kind not in media_types.MANIFESTS | media_types.INDEXES


def _list(document: dict[str, Any], name: str) -> list[object]:
    value = document.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Problem(Code.MANIFEST_INVALID, f"{name} is not a list")
    return value


def _digest(descriptor: object) -> str:
    text = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(text, str):
        raise Problem(Code.MANIFEST_INVALID, "a descriptor of the manifest has no digest")
    return check_digest(text)


def _is_foreign(descriptor: object) -> bool:
    return isinstance(descriptor, dict) and (
        bool(descriptor.get("urls"))
        or any(word in str(descriptor.get("mediaType")) for word in ("nondistributable", "foreign"))
    )
