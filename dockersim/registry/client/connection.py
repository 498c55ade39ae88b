"""The requests of the distribution protocol, one method each, for any registry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import BinaryIO, Final, Self
from urllib.parse import urlencode

from dockersim.content import BlobWriter
from dockersim.digest import sha256
from dockersim.errors import ContentError, RegistryError
from dockersim.oci import Descriptor, media_types
from dockersim.registry.client.answer import Answer
from dockersim.registry.client.credentials import Credentials
from dockersim.registry.client.endpoint import Endpoint
from dockersim.registry.client.exchange import Exchange, Granted
from dockersim.registry.client.refusals import Unreachable, refused
from dockersim.registry.wire import WireLog

CHUNK: Final = 8 * 1024 * 1024
"""Bytes in one PATCH: above the 5 MiB that S3-backed registries want, small enough for progress and to send again."""

ATTEMPTS: Final = 4
BACK_OFF: Final = 0.5
"""Seconds before the second attempt; doubled before each further one."""

_ACCEPT = ", ".join((media_types.INDEX, media_types.MANIFEST, media_types.DOCKER_INDEX, media_types.DOCKER_MANIFEST))


class RegistryClient:
    """A client of one registry. A context manager; not for several threads at once."""

    def __init__(self, endpoint: Endpoint, credentials: Credentials | None, log: WireLog) -> None:
        self.endpoint = endpoint
        self._exchange = Exchange(endpoint, credentials, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def login(self) -> Granted:
        """Prove the credentials; raise AccessDenied if they are wrong. ``registered``: the name is new here."""
        return self._exchange.login()

    # Blobs

    def has_blob(self, repository: str, digest: str, *, push: bool = False) -> bool:
        """Ask whether a blob is there. ``push``: something will be sent next, so ask with that right."""
        answer = self._request("HEAD", f"/v2/{repository}/blobs/{digest}", _scope(repository, push=push))
        if answer.status == 404:
            return False
        return self._expect(answer, f"{repository}@{digest}", 200).is_success

    def fetch_blob(self, repository: str, blob: Descriptor, into: BlobWriter) -> Iterator[int]:
        """Write a blob into ``into`` and commit it; yield the bytes that are there after every piece.

        A connection that breaks is taken up again where it broke. Raises ContentError if the blob is not what its
        descriptor says, and stops as soon as there are more bytes than it says.
        """
        for wait in _waits():
            try:
                yield from self._fetch_rest(repository, blob, into)
                break
            except Unreachable:
                if wait is None:
                    raise
                time.sleep(wait)
        into.commit(blob.digest, size=blob.size)

    def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        """Ask to take a blob over from another repository; False if it must be sent."""
        query = urlencode({"mount": digest, "from": source})
        scope = f"{_scope(repository, push=True)} {_scope(source)}"
        answer = self._request("POST", f"/v2/{repository}/blobs/uploads/?{query}", scope)
        self._expect(answer, repository, 201, 202)
        if answer.status == 202:
            # A session was opened instead; the upload that follows opens its own.
            self._request("DELETE", answer.header("location"), _scope(repository, push=True))
        return answer.status == 201

    def upload_blob(self, repository: str, blob: Descriptor, source: BinaryIO) -> Iterator[int]:
        """Send a blob that is not there yet; yield the bytes that have arrived after every piece.

        Small blobs go in the closing PUT. A connection that breaks is taken up again: the registry is asked how
        much has arrived. Raises AccessDenied or RegistryError.
        """
        scope = _scope(repository, push=True)
        answer = self._request("POST", f"/v2/{repository}/blobs/uploads/", scope)
        location = self._location(self._expect(answer, repository, 202))
        sent = 0
        while blob.size - sent > CHUNK:
            location, sent = self._send_chunk(location, scope, source, sent)
            yield sent
        source.seek(sent)
        self._finish(location, scope, blob, source.read(blob.size - sent))
        yield blob.size

    # Manifests

    def resolve(self, repository: str, name: str) -> str:
        """Ask for the digest behind a tag; raise NotInRegistry."""
        answer = self._request("HEAD", f"/v2/{repository}/manifests/{name}", _scope(repository), accept=_ACCEPT)
        return self._expect(answer, _named(repository, name), 200).header("docker-content-digest")

    def fetch_manifest(self, repository: str, name: str) -> tuple[Descriptor, bytes]:
        """Fetch a manifest or an index by tag or digest; its bytes are checked. Raises NotInRegistry."""
        answer = self._request("GET", f"/v2/{repository}/manifests/{name}", _scope(repository), accept=_ACCEPT)
        self._expect(answer, _named(repository, name), 200)
        digest = sha256(answer.body)
        promised = name if ":" in name else answer.header("docker-content-digest") or digest
        if promised.startswith("sha256:") and promised != digest:
            raise ContentError(f"{_named(repository, name)} is not what {self.endpoint.title} says: got {digest}")
        kind = answer.header("content-type").partition(";")[0].strip()
        return Descriptor(kind or media_types.MANIFEST, digest, len(answer.body)), answer.body

    def put_manifest(self, repository: str, name: str, data: bytes, media_type: str) -> str:
        """Store a manifest under a tag or its digest; return the digest. All it lists must be there."""
        url = f"/v2/{repository}/manifests/{name}"
        headers = {"Content-Type": media_type}
        answer = self._request("PUT", url, _scope(repository, push=True), content=data, headers=headers)
        self._expect(answer, _named(repository, name), 201)
        return answer.header("docker-content-digest") or sha256(data)

    def delete_manifest(self, repository: str, name: str) -> None:
        """Remove a tag or a manifest; raise NotInRegistry."""
        scope = f"repository:{repository}:delete,pull,push"
        answer = self._request("DELETE", f"/v2/{repository}/manifests/{name}", scope)
        self._expect(answer, _named(repository, name), 202)

    # Listings

    def tags(self, repository: str) -> list[str]:
        """List all tags; raise NotInRegistry."""
        return list(self._listing(f"/v2/{repository}/tags/list", "tags", _scope(repository), repository))

    def catalog(self) -> list[str]:
        """List all repositories, where the registry lets one (Docker Hub does not)."""
        return list(self._listing("/v2/_catalog", "repositories", "registry:catalog:*", "the catalogue"))

    def _listing(self, url: str, key: str, scope: str, what: str) -> Iterator[str]:
        while url:
            answer = self._expect(self._request("GET", url, scope), what, 200)
            entries = answer.document().get(key)
            yield from map(str, entries if isinstance(entries, list) else [])
            link = answer.header("link")
            following = link[link.find("<") + 1 : link.find(">")] if 'rel="next"' in link else ""
            url = following if following != url else ""

    def _fetch_rest(self, repository: str, blob: Descriptor, into: BlobWriter) -> Iterator[int]:
        first = into.size
        headers = {"Range": f"bytes={first}-"} if first else {}
        url = f"/v2/{repository}/blobs/{blob.digest}"
        if first and first == blob.size:
            return
        with self._exchange.stream("GET", url, scope=_scope(repository), headers=headers) as answer:
            self._expect(answer, f"blob {repository}@{blob.digest}", 206 if first else 200)
            for piece in answer.pieces:
                if into.size + len(piece) > blob.size:
                    raise ContentError(f"blob {blob.digest} is longer than the {blob.size} bytes it should have")
                into.write(piece)
                yield into.size
        if into.size < blob.size:
            raise Unreachable(f"{self.endpoint.title} stopped in the middle of a blob", self.endpoint.registry)

    def _send_chunk(self, location: str, scope: str, source: BinaryIO, sent: int) -> tuple[str, int]:
        """Send the next piece; return where to go on and how much has arrived."""
        for wait in _waits():
            source.seek(sent)
            data = source.read(CHUNK)
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{sent}-{sent + len(data) - 1}",
            }
            try:
                answer = self._request("PATCH", location, scope, content=data, headers=headers)
                return self._location(self._expect(answer, "upload", 202)), sent + len(data)
            except Unreachable:
                if wait is None:
                    raise
                time.sleep(wait)
                location, sent = self._ask_status(location, scope)
        raise AssertionError("the last attempt returns or raises")

    def _ask_status(self, location: str, scope: str) -> tuple[str, int]:
        answer = self._expect(self._request("GET", location, scope), "upload", 204)
        last = answer.header("range").rpartition("-")[2]
        # "0-0" is said of an empty session as well as of one byte; one byte more is cheaper than a guess.
        sent = int(last) + 1 if last.isdigit() and last != "0" else 0
        return answer.header("location") or location, sent

    def _finish(self, location: str, scope: str, blob: Descriptor, rest: bytes) -> None:
        joint = "&" if "?" in location else "?"
        url = f"{location}{joint}{urlencode({'digest': blob.digest})}"
        headers = {"Content-Type": "application/octet-stream"}
        answer = self._request("PUT", url, scope, content=rest, headers=headers)
        self._expect(answer, f"blob {blob.digest}", 201)

    def _request(
        self,
        method: str,
        url: str,
        scope: str,
        *,
        accept: str = "",
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        sent = {**(headers or {}), **({"Accept": accept} if accept else {})}
        return self._exchange.request(method, url, scope=scope, headers=sent, content=content)

    def _expect(self, answer: Answer, what: str, *statuses: int) -> Answer:
        if answer.status in statuses:
            return answer
        if answer.is_success:
            raise RegistryError(f"{self.endpoint.title} answers {answer.status} where {statuses[0]} is due")
        raise refused(self.endpoint, answer, what)

    def _location(self, answer: Answer) -> str:
        location = answer.header("location")
        if not location:
            raise RegistryError(f"{self.endpoint.title} does not say where to send the blob")
        return location


def _scope(repository: str, *, push: bool = False) -> str:
    return f"repository:{repository}:{'pull,push' if push else 'pull'}"


def _named(repository: str, name: str) -> str:
    return f"manifest for {repository}{'@' if ':' in name else ':'}{name}"


def _waits() -> Iterator[float | None]:
    """Give the pause before each further attempt, None when there is none left."""
    yield from (BACK_OFF * 2**attempt for attempt in range(ATTEMPTS - 1))
    yield None
