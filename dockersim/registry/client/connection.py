"""The requests of the distribution protocol, one method each, for any registry."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Final, Self
from urllib.parse import urlencode

from dockersim.content import BlobWriter
from dockersim.digest import sha256
from dockersim.errors import ContentError, RegistryError
from dockersim.oci import Descriptor, media_types
from dockersim.registry.client.answer import Answer
from dockersim.registry.client.credentials import Credentials
from dockersim.registry.client.endpoint import Endpoint
from dockersim.registry.client.exchange import SLOWEST_CONNECT, Exchange
from dockersim.registry.client.patience import Patience, Pause
from dockersim.registry.client.refusals import PASSING, Interrupted, Unreachable, refused
from dockersim.registry.client.tokens import Granted
from dockersim.registry.client.uploads import upload
from dockersim.registry.client.warnings import Warnings
from dockersim.registry.wire import WireLog

_ACCEPT: Final = ", ".join(
    (media_types.INDEX, media_types.MANIFEST, media_types.DOCKER_INDEX, media_types.DOCKER_MANIFEST)
)

MOST_PAGES: Final = 1000
LONGEST_LISTING: Final = 64 * 1024 * 1024
"""Pages and bytes of one listing: 100,000 entries where a registry gives 100 at a time, and 500,000 of the longest tags
where it gives more. Without an end, a registry whose next page is always another one would be read for ever."""

_ALGORITHMS: Final = frozenset({"sha256", "sha384", "sha512"})
"""What an image can be named by (image-spec, descriptor.md, "Registered algorithms")."""


class RegistryClient:
    """A client of one registry. A context manager; threads may share it.

    ``pause`` waits between two attempts; ``warnings`` keeps what the registry warns of; ``connect`` is in seconds.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials | None,
        log: WireLog,
        *,
        pause: Pause = time.sleep,
        warnings: Warnings | None = None,
        connect: float = SLOWEST_CONNECT,
    ) -> None:
        self.endpoint = endpoint
        self._exchange = Exchange(endpoint, credentials, log, warnings, connect)
        self.pause = pause

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
        answer = self.request("HEAD", f"{self._at(repository)}/blobs/{digest}", self.scope(repository, push=push))
        if answer.status == 404:
            return False
        return self.expect(answer, f"{repository}@{digest}", 200).is_success

    def fetch_blob(self, repository: str, blob: Descriptor, into: BlobWriter) -> Iterator[int]:
        """Write a blob into ``into`` and commit it; yield the bytes that are there after every piece.

        A foreign layer is first looked for where its maker publishes it; whatever is wrong there, the registry is asked
        next. A connection that breaks is taken up again where it broke. Raises ContentError if the blob is not what its
        descriptor says, and stops as soon as there are more bytes than it says.
        """
        for url in blob.urls if blob.media_type in media_types.FOREIGN_LAYERS else ():
            try:
                yield from self._fetch_from(url, repository, blob, into)
                return
            except (RegistryError, ContentError):
                into.clear()
        yield from self._fetch_from(f"{self._at(repository)}/blobs/{blob.digest}", repository, blob, into)

    def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        """Ask to take a blob over from another repository; False if it must be sent, a no being no more than that."""
        query = urlencode({"mount": digest, "from": self.endpoint.prefix + source})
        scope = f"{self.scope(repository, push=True)} {self.scope(source)}"
        url = f"{self._at(repository)}/blobs/uploads/?{query}"
        try:
            answer = self.expect(self.request("POST", url, scope), repository, 201, 202)
        except Unreachable:
            raise
        except RegistryError:
            return False
        location = answer.header("location")
        if answer.status == 202 and location:
            # A session was opened instead; the upload that follows opens its own, whatever becomes of this one.
            with suppress(RegistryError):
                self.request("DELETE", location, scope, once=True)
        return answer.status == 201

    def upload_blob(self, repository: str, blob: Descriptor, source: BinaryIO) -> Iterator[int]:
        """Send a blob that is not there yet; yield the bytes that have arrived after every piece.

        Small blobs go in the closing PUT. A connection that breaks is taken up again where the registry says that it
        broke. Raises AccessDenied or RegistryError.
        """
        yield from upload(self, f"{self._at(repository)}/blobs", self.scope(repository, push=True), blob, source)

    # Manifests

    def resolve(self, repository: str, name: str) -> str:
        """Ask for the digest behind a tag; raise NotInRegistry."""
        url = f"{self._at(repository)}/manifests/{name}"
        answer = self.request("HEAD", url, self.scope(repository), accept=_ACCEPT)
        return self.expect(answer, _named(repository, name), 200).header("docker-content-digest")

    def fetch_manifest(self, repository: str, name: str) -> tuple[Descriptor, bytes]:
        """Fetch a manifest or an index by tag or digest; its bytes are checked. Raises NotInRegistry."""
        url = f"{self._at(repository)}/manifests/{name}"
        answer = self.request("GET", url, self.scope(repository), accept=_ACCEPT)
        self.expect(answer, _named(repository, name), 200)
        promised = name if ":" in name else answer.header("docker-content-digest")
        if promised and _digest_like(promised, answer.body) != promised:
            got = sha256(answer.body)
            raise ContentError(f"{_named(repository, name)} is not what {self.endpoint.title} says: got {got}")
        kind = answer.header("content-type").partition(";")[0].strip()
        return Descriptor(kind or media_types.MANIFEST, sha256(answer.body), len(answer.body)), answer.body

    def put_manifest(self, repository: str, name: str, data: bytes, media_type: str) -> str:
        """Store a manifest under a tag or its digest; return the digest. All it lists must be there."""
        url = f"{self._at(repository)}/manifests/{name}"
        headers = {"Content-Type": media_type}
        answer = self.request("PUT", url, self.scope(repository, push=True), content=data, headers=headers)
        self.expect(answer, _named(repository, name), 201)
        return answer.header("docker-content-digest") or sha256(data)

    def delete_manifest(self, repository: str, name: str) -> None:
        """Remove a tag or a manifest; raise NotInRegistry."""
        scope = f"repository:{self.endpoint.prefix}{repository}:delete,pull,push"
        answer = self.request("DELETE", f"{self._at(repository)}/manifests/{name}", scope)
        self.expect(answer, _named(repository, name), 202)

    # Listings

    def tags(self, repository: str) -> list[str]:
        """List all tags; raise NotInRegistry."""
        what = f"the tags of {repository}"
        return list(self._listing(f"{self._at(repository)}/tags/list", "tags", self.scope(repository), what))

    def catalog(self) -> list[str]:
        """List all repositories, where the registry lets one (Docker Hub does not)."""
        return list(self._listing("/v2/_catalog", "repositories", "registry:catalog:*", "the catalogue"))

    def _listing(self, url: str, key: str, scope: str, what: str) -> Iterator[str]:
        seen, size = set[str](), 0
        while url and url not in seen:  # pages may lead round in a circle
            seen.add(url)
            answer = self.expect(self.request("GET", url, scope), what, 200)
            size += len(answer.body)
            if len(seen) > MOST_PAGES or size > LONGEST_LISTING:
                raise RegistryError(
                    f"{self.endpoint.title} lists {what} without end: given up after {len(seen)} pages, {size} bytes"
                )
            entries = answer.document().get(key)
            yield from map(str, entries if isinstance(entries, list) else [])
            link = answer.header("link")
            url = link[link.find("<") + 1 : link.find(">")] if 'rel="next"' in link else ""

    def _fetch_from(self, url: str, repository: str, blob: Descriptor, into: BlobWriter) -> Iterator[int]:
        """Fetch all that is not in ``into`` yet, with patience, and commit it."""
        patience = Patience(self.pause)
        while into.size < blob.size or not blob.size:
            try:
                for size in self._fetch_rest(url, repository, blob, into):
                    patience.renew()
                    yield size
                break
            except RegistryError as error:
                patience.bear(error)
        into.commit(blob.digest, size=blob.size)

    def _fetch_rest(self, url: str, repository: str, blob: Descriptor, into: BlobWriter) -> Iterator[int]:
        first = into.size
        headers = {"Range": f"bytes={first}-"} if first else {}
        # The scope counts at the registry only: no other place gets a token, or is heard when it asks for one.
        with self._exchange.stream("GET", url, scope=self.scope(repository), headers=headers) as answer:
            self.expect(answer, f"blob {repository}@{blob.digest}", 200, *([206] if first else []))
            # Who knows no ranges begins again at the beginning: what is here already is passed over.
            known = first if answer.status == 200 else 0
            for piece in answer.pieces:
                new = piece[known:]
                known -= len(piece) - len(new)
                if into.size + len(new) > blob.size:
                    raise ContentError(f"blob {blob.digest} is longer than the {blob.size} bytes it should have")
                if new:  # so that whoever sends the same again and again does not seem to get on
                    into.write(new)
                    yield into.size
        if into.size < blob.size:
            raise Interrupted(f"{self.endpoint.title} stopped in the middle of a blob", self.endpoint.registry)

    # What all requests have in common

    def request(
        self,
        method: str,
        url: str,
        scope: str,
        *,
        accept: str = "",
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        once: bool = False,
    ) -> Answer:
        """Make a request, and unless it is for ``once`` repeat it when it may succeed later. Raises Unreachable."""
        sent = {**(headers or {}), **({"Accept": accept} if accept else {})}
        patience = Patience(self.pause)
        while True:
            try:
                answer = self._exchange.request(method, url, scope=scope, headers=sent, content=content)
                if answer.status not in PASSING:
                    return answer
                raise refused(self.endpoint, answer, method)
            except RegistryError as error:
                if once:
                    raise
                patience.bear(error)

    def expect(self, answer: Answer, what: str, *statuses: int) -> Answer:
        """Give the answer back if it is one of those that are due; else raise what it means."""
        if answer.status in statuses:
            return answer
        if answer.is_success:
            raise RegistryError(f"{self.endpoint.title} answers {answer.status} where {statuses[0]} is due")
        raise refused(self.endpoint, answer, what)

    def scope(self, repository: str, *, push: bool = False) -> str:
        """Write the right to a repository as token servers want it (distribution, ``docs/spec/auth/scope.md``)."""
        return f"repository:{self.endpoint.prefix}{repository}:{'pull,push' if push else 'pull'}"

    def _at(self, repository: str) -> str:
        return f"/v2/{self.endpoint.prefix}{repository}"


def _named(repository: str, name: str) -> str:
    return f"manifest for {repository.removeprefix('library/')}{'@' if ':' in name else ':'}{name}"


def _digest_like(promised: str, data: bytes) -> str:
    """Hash with the algorithm of a digest; "" for one that is unknown."""
    algorithm = promised.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}" if algorithm in _ALGORITHMS else ""
