"""A client of registries that knows the protocol and nothing else: quick, and not our own, which might hide faults."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPResponse
from types import TracebackType
from urllib.parse import urlsplit

from msgspec import Struct

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
_PIECE = 1 << 18


def sha(data: bytes) -> str:
    """Name content."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Image(Struct, frozen=True):
    """An image as it is pushed: its blobs, the config first, and its manifest."""

    blobs: tuple[bytes, ...]
    manifest: bytes

    @classmethod
    def of(cls, *layers: bytes, name: str = "") -> Image:
        """Make an image of layers that need not be tars: no registry looks inside."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "created_by": name}).encode()
        described = [_descriptor(LAYER, layer) for layer in layers]
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": _descriptor(CONFIG, config)}
        return cls((config, *layers), json.dumps(document | {"layers": described}).encode())

    @property
    def digest(self) -> str:
        """Name the manifest."""
        return sha(self.manifest)


def _descriptor(media_type: str, data: bytes) -> dict[str, str | int]:
    return {"mediaType": media_type, "digest": sha(data), "size": len(data)}


class Refused(Exception):
    """Another answer than the one that was expected."""


class Client:
    """One connection to one repository."""

    def __init__(self, url: str, repository: str, timeout: float = 60.0) -> None:
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        self._prefix = f"/v2/{repository}"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def push(self, image: Image, tag: str) -> None:
        """Push what is not there yet, then the manifest. When this returns, all of it is acknowledged."""
        for blob in image.blobs:
            if self._ask("HEAD", f"/blobs/{sha(blob)}", also=404).status == 404:
                self.push_blob(blob)
        self.put_manifest(image, tag)

    def push_blob(self, blob: bytes) -> None:
        """Push in one piece if it is small, else in two; the last request acknowledges."""
        location = self._ask("POST", "/blobs/uploads/").headers["Location"].removeprefix(self._prefix)
        if location.startswith("http"):  # as Debian's registry says it
            location = location.partition(self._prefix)[2]
        half = len(blob) // 2 if len(blob) > 100_000 else 0
        if half:
            answer = self._ask("PATCH", location, blob[:half], {"Content-Range": f"0-{half - 1}"})
            location = answer.headers["Location"].partition(self._prefix)[2]
        self._ask("PUT", f"{location}{'&' if '?' in location else '?'}digest={sha(blob)}", blob[half:])

    def put_manifest(self, image: Image, tag: str) -> None:
        """Name an image whose blobs are there."""
        self._ask("PUT", f"/manifests/{tag}", image.manifest, {"Content-Type": MANIFEST})

    def delete(self, image: Image) -> None:
        """Delete an image and its tags."""
        self._ask("DELETE", f"/manifests/{image.digest}")

    def find(self, tag: str) -> str:
        """Return the digest that a tag, or a digest, stands for; "" if there is none."""
        answer = self._ask("HEAD", f"/manifests/{tag}", also=404, headers={"Accept": MANIFEST})
        return answer.headers["Docker-Content-Digest"] if answer.status == 200 else ""

    def pull(self, tag: str) -> str:
        """Pull all of an image, check every byte, and return the manifest's digest."""
        answer = self._connection_for("GET", f"/manifests/{tag}", headers={"Accept": MANIFEST})
        manifest = answer.read()
        self._expect(answer, manifest)
        digest = sha(manifest)
        if answer.headers["Docker-Content-Digest"] != digest:
            raise Refused(f"{tag}: the manifest has another digest than its header says")
        document = json.loads(manifest)
        for descriptor in (document["config"], *document["layers"]):
            self.pull_blob(descriptor["digest"], descriptor["size"])
        return digest

    def pull_blob(self, digest: str, size: int) -> None:
        """Pull a blob and check it."""
        answer = self._connection_for("GET", f"/blobs/{digest}")
        found, length = hashlib.sha256(), 0
        while piece := answer.read(_PIECE):
            found.update(piece)
            length += len(piece)
        self._expect(answer, b"")
        if (f"sha256:{found.hexdigest()}", length) != (digest, size):
            raise Refused(f"{digest}: got {length} bytes of another digest")

    def _ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, also: int = 0
    ) -> HTTPResponse:
        answer = self._connection_for(method, path, body, headers)
        self._expect(answer, answer.read(), also)
        return answer

    def _connection_for(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> HTTPResponse:
        self._connection.request(method, self._prefix + path, body, dict(headers or {}))
        return self._connection.getresponse()

    def _expect(self, answer: HTTPResponse, body: bytes, also: int = 0) -> None:
        if answer.status not in (200, 201, 202, also):
            raise Refused(f"{answer.status}: {body[:200]!r}")
