"""The rules about manifests: pushed and pulled by tag and by digest, deleted, and asked for wrongly."""

from __future__ import annotations

import json

import httpx

from dockersim.oci import media_types
from tests.registry.conformance.exchange import Repository, Unsupported, has_header, location, must, names_digest

ACCEPT = [("Accept", media_types.INDEX), ("Accept", media_types.MANIFEST)]
MALFORMED = "sha256:baddigeststring"


def put(repository: Repository, name: str, digest: str, data: bytes, *, wrong: bool = False) -> None:
    """Push under a tag or digest; ``wrong`` says that the bytes are not those of the digest, and must be refused."""
    document = json.loads(data)
    headers = {"Content-Type": document["mediaType"]}
    answer = repository.send("PUT", f"manifests/{name}", 400 if wrong else 201, headers=headers, body=data)
    if wrong:
        return
    names_digest(answer, digest)
    if "subject" in document:
        has_header(answer, "OCI-Subject", document["subject"]["digest"])
    _is_it(repository.send("GET", location(answer), 200, headers=ACCEPT), data)


def head(repository: Repository, name: str, digest: str, data: bytes) -> None:
    """HEAD tells type and size, and sends nothing."""
    answer = repository.send("HEAD", f"manifests/{name}", 200, headers=ACCEPT)
    must(answer.content == b"", "HEAD sends a body")
    has_header(answer, "Content-Type", json.loads(data)["mediaType"])
    has_header(answer, "Content-Length", str(len(data)))
    names_digest(answer, digest)


def get(repository: Repository, name: str, digest: str, data: bytes) -> None:
    """GET sends the bytes that were pushed."""
    answer = repository.send("GET", f"manifests/{name}", 200, headers=ACCEPT)
    _is_it(answer, data)
    names_digest(answer, digest)


def delete(repository: Repository, name: str) -> None:
    """After a DELETE of a tag or a digest it is gone at once; a registry may refuse to delete."""
    answer = repository.send("DELETE", f"manifests/{name}", 202, 404, 400, 405)
    if answer.status_code in (400, 405):
        raise Unsupported(f"a DELETE is answered by {answer.status_code}")
    repository.send("HEAD", f"manifests/{name}", 404, headers=ACCEPT)


def get_missing(repository: Repository, name: str) -> None:
    """A manifest that was not pushed is not found."""
    repository.send("GET", f"manifests/{name}", 404, headers=ACCEPT)


def put_malformed(repository: Repository, data: bytes) -> None:
    """What is no digest cannot be pushed to."""
    put(repository, MALFORMED, MALFORMED, data, wrong=True)


def get_malformed(repository: Repository) -> None:
    """What is no digest cannot be pulled."""
    repository.send("GET", f"manifests/{MALFORMED}", 404, 400, headers=ACCEPT)


def _is_it(answer: httpx.Response, data: bytes) -> None:
    must(answer.content == data, "other bytes than were pushed")
    has_header(answer, "Content-Type", json.loads(data)["mediaType"])
    has_header(answer, "Content-Length", str(len(data)))
