"""The data sets of the suite: images, indexes and artifacts of every shape that a registry has to take.

Their content is made up, but always the same: the generator of each is seeded with its name.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import tarfile
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from dockersim.oci import media_types
from tests.registry.conformance.exchange import digest_of

Descriptor = dict[str, Any]

EXAMPLE = "application/vnd.example.oci.conformance.v1"
OTHER_EXAMPLE = "application/vnd.example.oci.conformance.v2"
OCTETS = "application/octet-stream"
FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
AMD64 = {"architecture": "amd64", "os": "linux"}
ARM64 = {"architecture": "arm64", "os": "linux"}
HELLO = {"org.opencontainers.conformance": "hello conformance test"}


class DataSet:
    """Blobs by digest, manifests in the order in which they can be pushed, tags, and who refers to whom.

    ``inline`` repeats small content in the descriptors' ``data``; ``custom`` adds a field that no spec knows.
    """

    def __init__(self, name: str, *, algorithm: str = "sha256", inline: bool = False, custom: bool = False) -> None:
        self.name = name
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.tags: dict[str, str] = {}
        self.referrers: dict[str, list[Descriptor]] = defaultdict(list)
        self._algorithm, self._inline, self._custom = algorithm, inline, custom
        self._random = random.Random(name)

    def octets(self, size: int) -> bytes:
        """Make up some bytes."""
        return self._random.randbytes(size)

    def blob(self, data: bytes, media_type: str = OCTETS) -> Descriptor:
        """Add a blob."""
        descriptor = self._describe(data, media_type)
        self.blobs[descriptor["digest"]] = data
        return descriptor

    def layer(self, *, compressed: bool = True) -> tuple[Descriptor, str]:
        """Add a layer of one file; its descriptor and its diff id."""
        text, buffer = self.octets(8).hex().encode(), io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            member = tarfile.TarInfo("./conformance.txt")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        plain = buffer.getvalue()
        if compressed:
            return self.blob(gzip.compress(plain, mtime=0), media_types.LAYER_GZIP), digest_of(plain)
        return self.blob(plain, media_types.LAYER), digest_of(plain)

    def config(self, diff_ids: list[str], platform: dict[str, str] = AMD64) -> Descriptor:
        """Add the config of an image."""
        document = {**platform, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        return self.blob(self._written(document), media_types.CONFIG)

    def image(
        self,
        *,
        layers: int = 2,
        compressed: bool = True,
        platform: dict[str, str] = AMD64,
        tag: str = "",
        **fields: Any,
    ) -> Descriptor:
        """Add an image with its layers and its config."""
        made = [self.layer(compressed=compressed) for _ in range(layers)]
        config = self.config([diff_id for _, diff_id in made], platform)
        return self.image_of(config, [layer for layer, _ in made], tag=tag, **fields)

    def image_of(self, config: Descriptor, layers: list[Descriptor], *, tag: str = "", **fields: Any) -> Descriptor:
        """Add the manifest of an image whose parts are there."""
        return self._manifest(media_types.MANIFEST, tag, config=config, layers=layers, **fields)

    def artifact(self, kind: str = EXAMPLE, *, data: bytes = b"", media_type: str = "", **more: Any) -> Descriptor:
        """Add an artifact: an image manifest with an empty config and one blob."""
        layer = self.blob(data or self.octets(2048), media_type or kind)
        return self.image_of(self.blob(b"{}", media_types.EMPTY), [layer], artifactType=kind, **more)

    def index(self, children: list[Descriptor], *, tag: str = "", **fields: Any) -> Descriptor:
        """Add an index of manifests that are there."""
        return self._manifest(media_types.INDEX, tag, manifests=children, **fields)

    def two_platforms(self) -> list[Descriptor]:
        """Add an image for each of two platforms, and describe them as an index does."""
        return [{**self.image(platform=platform), "platform": platform} for platform in (AMD64, ARM64)]

    def _manifest(self, media_type: str, tag: str, **fields: Any) -> Descriptor:
        document = {"schemaVersion": 2, "mediaType": media_type, **fields}
        data = self._written(document)
        descriptor = self._describe(data, media_type)
        self.manifests[descriptor["digest"]] = data
        if tag:
            self.tags[tag] = descriptor["digest"]
        if "subject" in document:
            self.referrers[document["subject"]["digest"]].append(_as_referrer(descriptor, document))
        return descriptor

    def _describe(self, data: bytes, media_type: str) -> Descriptor:
        digest = digest_of(data, self._algorithm)
        descriptor: Descriptor = {"mediaType": media_type, "digest": digest, "size": len(data)}
        if self._inline:
            descriptor["data"] = base64.b64encode(data).decode()
        return descriptor

    def _written(self, document: dict[str, Any]) -> bytes:
        custom = {f"org.example.{self.octets(4).hex()}": self.octets(4).hex()} if self._custom else {}
        return json.dumps({**document, **custom}).encode()


def _as_referrer(descriptor: Descriptor, document: dict[str, Any]) -> Descriptor:
    """Describe a manifest as the referrers API must list it; without an artifactType where neither field gives one."""
    kind = document.get("artifactType") or document.get("config", {}).get("mediaType")
    return {**descriptor, **({"artifactType": kind} if kind else {}), "annotations": document.get("annotations", {})}


# The data sets that take more than a line


def _with_subject(of: DataSet) -> None:
    subject = of.image(tag="image")
    of.image(subject=subject)
    of.artifact(EXAMPLE, subject=subject, annotations=HELLO, tag="tagged-artifact1")
    of.artifact(OTHER_EXAMPLE, media_type=OCTETS, subject=subject, annotations=HELLO, tag="tagged-artifact2")


def _index_with_subject(of: DataSet) -> None:
    subject = of.index(of.two_platforms(), tag="index")
    children = [of.artifact(subject=subject, annotations=HELLO) for _ in range(2)]
    of.index(children, tag="tagged-artifact", subject=subject, annotations=HELLO, artifactType=EXAMPLE)


def _missing_subject(of: DataSet) -> None:
    subject = {"mediaType": media_types.MANIFEST, "digest": digest_of(b"missing content"), "size": 123}
    of.artifact(tag="tagged-artifact", subject=subject, annotations=HELLO)


def _non_distributable(of: DataSet) -> None:
    layer, diff_id = of.layer()
    digests = [digest_of(of.octets(256)) for _ in range(2)]
    elsewhere = [
        {"mediaType": media_type, "digest": digest, "size": 12_345, "urls": [f"https://store.example.com/{digest}"]}
        for media_type, digest in zip((f"{FOREIGN_LAYER}+gzip", FOREIGN_LAYER), digests, strict=True)
    ]
    of.image_of(of.config([*digests, diff_id]), [*elsewhere, layer], tag="non-distributable-image")


def _bad_digest(of: DataSet) -> None:
    digest = of.image()["digest"]
    of.manifests[digest] += b"  "
    of.broken.add(digest)


_LARGE = {f"large-annotation-{number}": "A" * 10_000 for number in range(390)}

SETS: dict[str, Callable[[DataSet], object]] = {
    "image": lambda of: of.image(tag="image"),
    "image-uncompressed": lambda of: of.image(tag="image-uncompressed", compressed=False),
    "large-manifest": lambda of: of.image(tag="large-manifest", annotations=_LARGE),
    "index": lambda of: of.index(of.two_platforms(), tag="index"),
    "nested-index": lambda of: of.index([of.index(of.two_platforms()) for _ in range(2)], tag="index-of-index"),
    "empty-index": lambda of: of.index([], tag="index"),
    "artifact": lambda of: of.artifact(tag="artifact"),
    "artifact-index": lambda of: of.index([of.artifact(), of.artifact()], tag="artifact-index", artifactType=EXAMPLE),
    "artifact-without-layers": lambda of: of.artifact(
        tag="artifact-without-layers", data=b"{}", media_type=media_types.EMPTY
    ),
    "artifacts-with-subject": _with_subject,
    "index-with-subject": _index_with_subject,
    "missing-subject": _missing_subject,
    "data-field": lambda of: of.image(tag="data-field"),
    "non-distributable-layers": _non_distributable,
    "custom-fields": lambda of: of.index(of.two_platforms(), tag="custom-fields"),
    "no-layers": lambda of: of.image(layers=0, tag="no-layers"),
    "sha512": lambda of: of.index(of.two_platforms()),
    "bad-digest-image": _bad_digest,
}
"""What fills each set, in the order in which they are tried."""


def data_set(name: str) -> DataSet:
    """Make one of the sets."""
    made = DataSet(
        name,
        algorithm="sha512" if name == "sha512" else "sha256",
        inline=name == "data-field",
        custom=name == "custom-fields",
    )
    SETS[name](made)
    return made
