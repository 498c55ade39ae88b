"""One request and its answer: tokens, redirects and the wire log around it.

Credentials stay with the host they are for: a redirect to a blob store carries none, and nothing that came over TLS is
followed to a place without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin, urlsplit

from msgspec.structs import replace

from dockersim.errors import AccessDenied, RegistryError
from dockersim.registry.client.answer import Answer
from dockersim.registry.client.credentials import Credentials
from dockersim.registry.client.discretion import keep_secrets_out_of_logs
from dockersim.registry.client.endpoint import Endpoint, is_loopback, origin_of
from dockersim.registry.client.refusals import message_of, no_address, unreachable
from dockersim.registry.client.tokens import WRONG, Granted, Tokens
from dockersim.registry.client.warnings import Warnings
from dockersim.registry.wire import WireEvent, WireLog

if TYPE_CHECKING:
    import ssl

    import httpx

MOST_REDIRECTS: Final = 5

SLOWEST_CONNECT: Final = 10.0
"""Seconds that a registry may take to accept a connection."""

LONGEST_DOCUMENT: Final = 4 * 1024 * 1024
"""Bytes of an answer that is read whole: the largest manifest that a registry takes (distribution-spec, "Pushing
Manifests"), and the limit of containers/image for whatever is no blob."""

_PIECE: Final = 64 * 1024
"""Bytes that are handed to the socket at once: it copies what is left of a piece after every send."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD: Final = frozenset({307, 308})


class Exchange:
    """Talks to one registry. ``close`` it. Threads may share it."""

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials | None,
        log: WireLog,
        warnings: Warnings | None = None,
        connect: float = SLOWEST_CONNECT,
    ) -> None:
        self.endpoint = endpoint
        self._connect = connect
        self._warnings = warnings or Warnings()
        self.log = log
        self._tokens = Tokens(endpoint, credentials, self._once)
        self._http: httpx.Client | None = None
        self._lock = threading.Lock()
        self._begun: set[str] = set()
        self._beginning = threading.Lock()

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def request(
        self,
        method: str,
        url: str,
        *,
        scope: str = "",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Make a request and read its answer, which must be small; raise Unreachable if none comes."""
        with (
            self._alone(method, scope),
            self.stream(method, url, scope=scope, headers=headers, content=content) as answer,
        ):
            return _read(answer)

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        scope: str = "",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Iterator[Answer]:
        """Make a request; the body of a GET that succeeds is left to the caller to read piece by piece."""
        url = self._with_namespace(self._safe(self.endpoint.url, url))
        for attempt in (1, 2):
            sent = self._tokens.header(scope)
            with self._follow(method, url, {**(headers or {})}, sent, content) as answer:
                # Only the registry itself may name a token server: another host would name its own, and be sent the
                # password (CVE-2020-15157).
                asks = answer.status == 401 and self._is_own(answer.url)
                if not asks or attempt == 2 or not self._tokens.answer(answer, scope, sent):
                    yield answer
                    return

    def login(self) -> Granted:
        """Prove the credentials; raise AccessDenied if they are wrong."""
        ping = f"{self.endpoint.url}/v2/"
        first = self._once("GET", ping, {}, None)
        if first.status == 404:
            raise RegistryError(f"{self.endpoint.title} is no registry: it does not know /v2/")
        granted = self._tokens.meet(first)
        answer = self._once("GET", ping, self._tokens.header(""), None)
        if answer.status == 401:
            raise AccessDenied(f"{self.endpoint.title}: {message_of(answer) or WRONG}")
        return granted

    @contextmanager
    def _alone(self, method: str, scope: str) -> Iterator[None]:
        """Let the first POST of a scope, which opens an upload, go before all others.

        Where everybody may look, it is the first to be refused; the others then have the token that it fetched.
        """
        if method == "POST" and scope not in self._begun:
            with self._beginning:
                if scope not in self._begun:
                    try:
                        yield
                    finally:
                        self._begun.add(scope)
                    return
        yield

    @contextmanager
    def _follow(
        self, method: str, url: str, headers: Mapping[str, str], authorization: Mapping[str, str], content: bytes | None
    ) -> Iterator[Answer]:
        """Follow redirects; credentials stay with the host they are for."""
        for _ in range(MOST_REDIRECTS + 1):
            sent = {**headers, **(authorization if self._is_own(url) else {})}
            with self._send(method, url, sent, content) as answer:
                where = answer.header("location")
                follows = answer.status in (_REDIRECTS if method in ("GET", "HEAD") else _KEEP_METHOD)
                if not follows or not where:
                    yield answer
                    return
            url = self._safe(url, where)
        raise RegistryError(f"{self.endpoint.title} redirects in circles")

    @contextmanager
    def _send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Iterator[Answer]:
        """Make one request, exactly, and log it when its answer is done with."""
        import httpx

        began, at = time.perf_counter(), time.time()
        count = [0]
        status = 0
        sent = dict(headers) if content is None else {**headers, "Content-Length": str(len(content))}
        body = None if content is None else _cut(content)
        try:
            with self._client().stream(method, url, headers=sent, content=body) as response:
                status = response.status_code
                pieces = _counted(response.iter_raw(), count)
                answer = Answer(status, dict(response.headers), pieces=pieces, url=url)
                if self._is_own(url):
                    self._warnings.take(self.endpoint.title, answer.header("warning"))
                # What is read here is small: an error's body, or nothing.
                small = method != "GET" or not answer.is_success
                yield replace(answer, body=b"".join(_at_most(pieces))) if small else answer
        except httpx.HTTPError as error:
            raise unreachable(self.endpoint, error, answered=bool(status)) from error
        except (httpx.InvalidURL, UnicodeError) as error:  # the latter for a host that no name server can be asked for
            raise no_address(self.endpoint, url) from error
        finally:
            where = urlsplit(url)
            self.log.record(
                WireEvent.of(
                    method,
                    where.path,
                    query=where.query,
                    status=status,
                    bytes_in=count[0],
                    bytes_out=len(content or b""),
                    seconds=time.perf_counter() - began,
                    at=at,
                    host=where.netloc.rpartition("@")[2],
                )
            )

    def _once(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        with self._send(method, url, headers, content) as answer:
            return _read(answer)

    def _safe(self, base: str, where: str) -> str:
        """Find out where a Location leads, relative or not; raise RegistryError if TLS ends on the way."""
        target = _joined(self.endpoint, base, where)
        if origin_of(target)[0] != "https" and base.startswith("https:"):
            raise RegistryError(f"{self.endpoint.title} redirects to a place without TLS; refused")
        return target

    def _is_own(self, url: str) -> bool:
        return origin_of(url) == origin_of(self.endpoint.url)

    def _with_namespace(self, url: str) -> str:
        if not self.endpoint.namespace or not self._is_own(url):
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'ns': self.endpoint.namespace})}"

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                keep_secrets_out_of_logs()
                self._http = _made(self.endpoint, self._connect)
            return self._http


def _joined(endpoint: Endpoint, base: str, where: str) -> str:
    """Read an address that the registry sent, relative or not; raise RegistryError if it is none."""
    try:
        target = urljoin(base, where)
    except ValueError:
        target = ""
    scheme, host, _ = origin_of(target)
    if scheme not in ("http", "https") or not host:
        raise no_address(endpoint, where)
    return target


def _made(endpoint: Endpoint, connect: float) -> httpx.Client:
    import httpx

    is_near = is_loopback(urlsplit(endpoint.url).netloc)
    try:
        return httpx.Client(
            timeout=httpx.Timeout(60, connect=connect),
            headers={"User-Agent": "dockersim", "Accept-Encoding": "identity"},
            # SSL_CERT_FILE counts everywhere; the proxy is for the world outside.
            verify=_trusted(needed=not is_near or endpoint.url.startswith("https:")),
            trust_env=not is_near,
            event_hooks={"response": [partial(_check_location, endpoint)]},
        )
    except (OSError, ImportError, ValueError, httpx.InvalidURL) as error:
        # The library's complaint about an address may quote a piece of its password.
        reason = "the address of a proxy is none" if isinstance(error, httpx.InvalidURL) else error
        raise RegistryError(
            f"cannot make connections as the environment says: {reason}",
            hint="look at SSL_CERT_FILE, SSL_CERT_DIR, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY",
        ) from error


def _check_location(endpoint: Endpoint, response: httpx.Response) -> None:
    """Read where a redirect leads before httpx does: it gives up the whole answer over an address it cannot read."""
    import httpx

    if not response.has_redirect_location:
        return
    where = response.headers["location"]
    try:
        _ = httpx.URL(_joined(endpoint, str(response.url), where)).host
    except (httpx.InvalidURL, UnicodeError) as error:  # the latter for a host that no name server can be asked for
        raise no_address(endpoint, where) from error


def _trusted(*, needed: bool) -> ssl.SSLContext:
    """Load the certificates of those who are trusted; of nobody, if there are none and none are ``needed``."""
    import ssl

    import httpx

    try:
        return httpx.create_ssl_context()
    except OSError:
        if needed:
            raise
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _read(answer: Answer) -> Answer:
    return replace(answer, body=answer.body + b"".join(_at_most(answer.pieces)))


def _cut(content: bytes) -> Iterator[bytes]:
    return (content[first : first + _PIECE] for first in range(0, len(content), _PIECE))


def _counted(pieces: Iterator[bytes], count: list[int]) -> Iterator[bytes]:
    for piece in pieces:
        count[0] += len(piece)
        yield piece


def _at_most(pieces: Iterator[bytes]) -> Iterator[bytes]:
    left = LONGEST_DOCUMENT
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise RegistryError("a registry's answer is longer than any document of the protocol")
        yield piece
