"""The workflow "Push"."""

from __future__ import annotations

import httpx

from dockersim.oci import media_types
from tests.registry.conformance import blobs, manifests
from tests.registry.conformance.data import OCTETS
from tests.registry.conformance.exchange import Repository, digest_of, has_header, location
from tests.registry.conformance.released.ground import NO_TAG, NOWHERE, Content, Ground

UPLOAD = {"Content-Type": OCTETS}
CHUNKS = [b"the first chunk's text", b"the text of a second"]
RANGES = ["0-21", "22-41"]


def push(ground: Ground) -> None:
    """Push blobs in every way, mount one, push manifests."""
    at, (config, manifest), streamed = ground.repository, ground.images[1], ground.of.octets(42)
    blob = Content(digest_of(streamed), streamed)
    _push_whole(ground, blob, config)
    _push_in_chunks(ground)
    _mount(ground, blob)
    check = ground.below("Push", "Manifest Upload")
    described = {"mediaType": media_types.CONFIG, "digest": config.digest, "size": len(config.data)}
    empty = ground.content(ground.of.image_of(described, []))
    check("GET nonexistent manifest should return 404", manifests.get_missing, at, NO_TAG)
    check("PUT should accept a manifest upload", ground.tag, manifest)
    check("Registry should accept a manifest upload with no layers", manifests.put, at, "emptylayer", *empty)
    title = "GET request to manifest URL (digest) should yield 200 response"
    check(title, manifests.get, at, manifest.digest, *manifest)
    teardown = ground.below("Push", "Teardown")
    teardown("Delete manifest created in tests", ground.delete, manifest.digest, empty.digest)
    teardown("Delete config blob created in tests", blobs.delete, at, config.digest)
    teardown("Delete layer blob created in setup", blobs.delete, at, ground.layer.digest)


def _push_whole(ground: Ground, blob: Content, config: Content) -> None:
    at, layer, session = ground.repository, ground.layer, _Session(ground.repository)
    check = ground.below("Push", "Blob Upload Streamed")
    check("PATCH request with blob in body should yield 202 response", session.stream, blob.data)
    check("PUT request to session URL with digest should yield 201 response", session.close, blob.digest)
    check = ground.below("Push", "Blob Upload Monolithic")
    check("GET nonexistent blob should result in 404 response", blobs.get_missing, at, NOWHERE)
    check("POST request with digest and blob should yield a 201 or 202", session.post, *config)
    title = "GET request to blob URL from prior request should yield 200 or 404 based on response code"
    check(title, session.is_there_if_told, config.digest)
    check("POST request should yield a session ID", session.open)
    check("PUT upload of a blob should yield a 201 Response", session.close, *config)
    check("GET request to existing blob should yield 200 response", blobs.get, at, *config)
    check("PUT upload of a layer blob should yield a 201 Response", blobs.post_put, at, *layer)
    check("GET request to existing layer should yield 200 response", blobs.get, at, *layer)


def _push_in_chunks(ground: Ground) -> None:
    session, check = _Session(ground.repository), ground.below("Push", "Blob Upload Chunked")
    check("Out-of-order blob upload should return 416", session.wrong_chunk)
    check("PATCH request with first chunk should return 202", session.first_chunk)
    check("Retry previous blob chunk should return 416", session.first_chunk_again)
    check("Get on stale blob upload should return 204 with a range and location", session.status)
    check("PATCH request with second chunk should return 202", session.second_chunk)
    check("PUT request with digest should return 201", session.close, digest_of(b"".join(CHUNKS)))


def _mount(ground: Ground, blob: Content) -> None:
    there, check = ground.other, ground.below("Push", "Cross-Repository Blob Mount")
    title = "Cross-mounting of a blob without the from argument should yield session id"
    check(title, there.send, "POST", blobs.UPLOADS, 202, mount=NOWHERE)
    title, source = "POST request to mount another repository's blob should return 201 or 202", ground.repository.name
    check(title, there.send, "POST", blobs.UPLOADS, 201, 202, mount=blob.digest, **{"from": source})
    check("GET request to test digest within cross-mount namespace should return 200", blobs.get, there, *blob)


class _Session:
    """An upload: the Location where it goes on, and the one that it had before the last chunk."""

    def __init__(self, at: Repository) -> None:
        self.at = at
        self.where = self.earlier = ""
        self.is_stored = False

    def open(self) -> None:
        self.where = location(self.at.send("POST", blobs.UPLOADS, 202))

    def post(self, digest: str, data: bytes) -> None:
        answer = self.at.send("POST", blobs.UPLOADS, 201, 202, headers=UPLOAD, body=data, digest=digest)
        location(answer)
        self.is_stored = answer.status_code == 201

    def is_there_if_told(self, digest: str) -> None:
        self.at.send("GET", f"blobs/{digest}", 200 if self.is_stored else 404)

    def stream(self, data: bytes) -> None:
        self.open()
        self.where = location(self.at.send("PATCH", self.where, 202, headers=UPLOAD, body=data))

    def close(self, digest: str, data: bytes = b"") -> None:
        location(self.at.send("PUT", self.where, 201, headers=UPLOAD, body=data, digest=digest))

    def _send(self, where: str, number: int, status: int) -> httpx.Response:
        headers = {**UPLOAD, "Content-Range": RANGES[number]}
        return self.at.send("PATCH", where, status, headers=headers, body=CHUNKS[number])

    def wrong_chunk(self) -> None:
        self.open()
        self._send(self.where, 1, 416)

    def first_chunk(self) -> None:
        self.open()
        self.earlier = self.where
        answer = self._send(self.where, 0, 202)
        has_header(answer, "Range", RANGES[0])
        self.where = location(answer)

    def first_chunk_again(self) -> None:
        self._send(self.earlier, 0, 416)

    def status(self) -> None:
        answer = self.at.send("GET", self.earlier, 204)
        has_header(answer, "Range", RANGES[0])
        self.where = location(answer)

    def second_chunk(self) -> None:
        self.where = location(self._send(self.where, 1, 202))
