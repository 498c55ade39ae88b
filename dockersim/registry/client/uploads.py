"""Sending one blob: a session is opened, takes pieces, and is closed with the digest (distribution-spec, "Push").

What broke off goes on where it broke: the registry is asked how much it has. Not every registry can tell (Docker's
distribution 2.8 has lost its place then), so the last resort is a new session.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import urlencode

from msgspec import Struct

from dockersim.errors import RegistryError
from dockersim.oci import Descriptor
from dockersim.registry.client.answer import Answer
from dockersim.registry.client.patience import Patience
from dockersim.registry.client.refusals import Interrupted, NotInRegistry, TooManyRequests

if TYPE_CHECKING:
    from dockersim.registry.client.connection import RegistryClient

CHUNK: Final = 16 * 1024 * 1024
"""Bytes in one PATCH: above the 5 MiB that S3-backed registries want, small enough for progress and to send again."""


class _Session(Struct, frozen=True):
    """Where to send to, and how many bytes are there; no place means that the registry has the blob."""

    location: str
    sent: int = 0


def upload(client: RegistryClient, blobs: str, scope: str, blob: Descriptor, source: BinaryIO) -> Iterator[int]:
    """Send ``blob`` to the repository whose blobs are at ``blobs``; yield the bytes that have arrived."""
    uploading = _Uploading(client, blobs, scope, blob, source)
    session = uploading.open()
    patience = Patience(client.pause)
    furthest, broke_off = 0, False
    while session.location:
        try:
            session = uploading.send(session)
            if session.sent > furthest:  # to send again what a new session has lost is not to get on
                furthest = session.sent
                patience.renew()
        except (Interrupted, TooManyRequests) as error:
            patience.bear(error)
            session, broke_off = uploading.recover(session), True
        except NotInRegistry:
            if not broke_off:
                raise
            # Distribution 2.8 may tell how much a session has, and then know it no more.
            session, broke_off = uploading.open(), False
        yield session.sent


class _Uploading:
    """The upload of one blob."""

    def __init__(self, client: RegistryClient, blobs: str, scope: str, blob: Descriptor, source: BinaryIO) -> None:
        self._client = client
        self._blobs = blobs
        self._repository = blobs.removeprefix("/v2/").removesuffix("/blobs")
        self._scope = scope
        self._blob = blob
        self._source = source

    def open(self) -> _Session:
        """Open a session."""
        answer = self._client.request("POST", f"{self._blobs}/uploads/", self._scope)
        return _Session(self._location(self._client.expect(answer, self._repository, 202)))

    def send(self, session: _Session) -> _Session:
        """Send the next piece, the last one with the digest."""
        self._source.seek(session.sent)
        data = self._source.read(min(CHUNK, self._blob.size - session.sent))
        if session.sent + len(data) < self._blob.size:
            return self._patch(session, data)
        return self._finish(session, data)

    def recover(self, session: _Session) -> _Session:
        """Find out how much has arrived, after something went wrong."""
        answer = self._client.request("GET", session.location, self._scope)
        if answer.status == 204:
            last = answer.header("range").rpartition("-")[2]
            # "0-0" is said of an empty session as well as of one byte; one byte more is cheaper than a guess.
            is_number = last.isascii() and last.isdigit() and len(last) < 16
            sent = int(last) + 1 if is_number and last != "0" else 0
            return _Session(answer.header("location") or session.location, min(sent, self._blob.size))
        if self._client.request("HEAD", f"{self._blobs}/{self._blob.digest}", self._scope).is_success:
            return self._done()  # it was the answer that got lost
        return self.open()

    def _patch(self, session: _Session, data: bytes) -> _Session:
        end = session.sent + len(data)
        headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{session.sent}-{end - 1}"}
        answer = self._request("PATCH", session.location, data, headers)
        return _Session(self._location(self._client.expect(answer, f"blob {self._blob.digest}", 202)), end)

    def _finish(self, session: _Session, data: bytes) -> _Session:
        joint = "&" if "?" in session.location else "?"
        url = f"{session.location}{joint}{urlencode({'digest': self._blob.digest})}"
        answer = self._request("PUT", url, data, {"Content-Type": "application/octet-stream"})
        self._client.expect(answer, f"blob {self._blob.digest}", 201)
        return self._done()

    def _request(self, method: str, url: str, data: bytes, headers: dict[str, str]) -> Answer:
        return self._client.request(method, url, self._scope, content=data, headers=headers, once=True)

    def _done(self) -> _Session:
        return _Session("", self._blob.size)

    def _location(self, answer: Answer) -> str:
        location = answer.header("location")
        if not location:
            raise RegistryError(f"{self._client.endpoint.title} does not say where to send the blob")
        return location
