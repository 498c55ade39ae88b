"""One request and its answer: tokens, redirects and the wire log around it.

A registry answers the first request with 401 and the address of its token server; the token is fetched there, with
the learner's password if there is one, and sent with every further request (distribution, ``docs/spec/auth``). The
password goes to the token server only, the token to the registry only: a redirect to a blob store carries neither.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from dockersim.errors import AccessDenied, RegistryError
from dockersim.registry.client.answer import Answer
from dockersim.registry.client.challenge import Challenge, parse_challenge
from dockersim.registry.client.credentials import Credentials
from dockersim.registry.client.endpoint import Endpoint, is_loopback
from dockersim.registry.client.refusals import message_of, unreachable
from dockersim.registry.wire import WireEvent, WireLog

if TYPE_CHECKING:
    import httpx

MOST_REDIRECTS: Final = 5
SHORTEST_LIFE: Final = 60
"""Seconds that a token is good if the server does not say (distribution's token spec)."""

_MARGIN: Final = 20
"""A token this close to its end is fetched anew: a request with a streamed body cannot be repeated."""

LONGEST_DOCUMENT: Final = 8 * 1024 * 1024
"""Bytes of an answer that is read whole; twice the largest manifest that registries take."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class _Token(Struct, frozen=True):
    header: str
    until: float


class Granted(Struct, frozen=True):
    """What a token server said; ``registered`` is the practice registry's word for a new name."""

    registered: bool


class Exchange:
    """Talks to one registry. ``close`` it; not for several threads at once."""

    def __init__(self, endpoint: Endpoint, credentials: Credentials | None, log: WireLog) -> None:
        self.endpoint = endpoint
        self.credentials = credentials
        self.log = log
        self._tokens: dict[str, _Token] = {}
        self._http: httpx.Client | None = None

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
        with self.stream(method, url, scope=scope, headers=headers, content=content) as answer:
            return replace(answer, body=answer.body + b"".join(_at_most(answer.pieces)))

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
        url = self._with_namespace(urljoin(self.endpoint.url, url))
        for attempt in (1, 2):
            with self._follow(method, url, scope, headers or {}, content) as answer:
                if answer.status != 401 or attempt == 2 or not self._answer_challenge(answer, scope):
                    yield answer
                    return

    def login(self) -> Granted:
        """Prove the credentials; raise AccessDenied if they are wrong."""
        first = self._once("GET", f"{self.endpoint.url}/v2/", {})
        if first.status == 404:
            raise RegistryError(f"{self.endpoint.title} is no registry: it does not know /v2/")
        challenge = parse_challenge(first.header("www-authenticate"))
        granted = Granted(registered=False)
        if challenge.scheme == "bearer":
            granted = self._fetch_token(challenge, "")
        elif challenge.scheme == "basic" and self.credentials is not None:
            self._tokens[""] = _Token(self.credentials.basic(), float("inf"))
        answer = self._once("GET", f"{self.endpoint.url}/v2/", self._authorization(""))
        if answer.status == 401:
            raise AccessDenied(f"{self.endpoint.title}: {message_of(answer) or _WRONG}")
        return granted

    @contextmanager
    def _follow(
        self, method: str, url: str, scope: str, headers: Mapping[str, str], content: bytes | None
    ) -> Iterator[Answer]:
        """Follow redirects; credentials stay with the host they are for."""
        for _ in range(MOST_REDIRECTS + 1):
            own = self._is_own(url)
            sent = {**headers, **(self._authorization(scope) if own else {})}
            with self._send(method, url, sent, content) as answer:
                where = answer.header("location")
                if answer.status not in _REDIRECTS or method not in ("GET", "HEAD") or not where:
                    yield answer
                    return
            target = urljoin(url, where)
            if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
                raise RegistryError(f"{self.endpoint.title} redirects to a place without TLS; refused")
            url = target
        raise RegistryError(f"{self.endpoint.title} redirects in circles")

    @contextmanager
    def _send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Iterator[Answer]:
        """Make one request, exactly, and log it when its answer is done with."""
        import httpx

        began, at = time.perf_counter(), time.time()
        count = [0]
        status = 0
        try:
            with self._client().stream(method, url, headers=dict(headers), content=content) as response:
                status = response.status_code
                pieces = _counted(response.iter_raw(), count)
                answer = Answer(status, dict(response.headers), pieces=pieces)
                # What is read here is small: an error's body, or nothing.
                small = method != "GET" or not answer.is_success
                yield replace(answer, body=b"".join(_at_most(pieces))) if small else answer
        except httpx.HTTPError as error:
            raise unreachable(self.endpoint, error) from error
        except httpx.InvalidURL as error:
            raise RegistryError(f"{self.endpoint.title} sent an address that is none") from error
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

    def _once(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        with self._send(method, url, headers, None) as answer:
            return replace(answer, body=answer.body + b"".join(_at_most(answer.pieces)))

    def _answer_challenge(self, answer: Answer, scope: str) -> bool:
        """Get what a 401 asks for; False if there is nothing to try."""
        challenge = parse_challenge(answer.header("www-authenticate"))
        if challenge.scheme == "bearer":
            self._fetch_token(challenge, scope)
            return True
        if challenge.scheme == "basic" and self.credentials is not None:
            self._tokens[scope] = _Token(self.credentials.basic(), float("inf"))
            return True
        return False

    def _fetch_token(self, challenge: Challenge, scope: str) -> Granted:
        self._check_realm(challenge.realm)
        query = {"service": challenge.service, "client_id": "dockersim"}
        parameters = [(name, value) for name, value in query.items() if value]
        parameters += [("scope", one) for one in (scope or challenge.scope).split()]
        headers: dict[str, str] = {}
        if self.credentials is not None:
            parameters.append(("account", self.credentials.username))
            headers["Authorization"] = self.credentials.basic()
        joint = "&" if "?" in challenge.realm else "?"
        answer = self._once("GET", f"{challenge.realm}{joint}{urlencode(parameters)}", headers)
        if answer.status in (401, 403):
            raise AccessDenied(f"{self.endpoint.title}: {message_of(answer) or _WRONG}", hint="log in again")
        return self._keep_token(answer, scope)

    def _keep_token(self, answer: Answer, scope: str) -> Granted:
        document = answer.document() if answer.is_success else {}
        text = document.get("token") or document.get("access_token")
        if not isinstance(text, str) or not text:
            raise RegistryError(f"{self.endpoint.title} gave no token ({answer.status})")
        said = document.get("expires_in")
        life = max(said if isinstance(said, int) else 0, SHORTEST_LIFE)
        self._tokens[scope] = _Token(f"Bearer {text}", time.monotonic() + life)
        return Granted(registered=document.get("registered") is True)

    def _check_realm(self, realm: str) -> None:
        """Let a password go over TLS only, or to this very machine."""
        parts = urlsplit(realm)
        is_plain = parts.scheme == "http" and self.endpoint.url.startswith("http://")
        if parts.scheme == "https" or (is_plain and (is_loopback(parts.netloc) or self._is_own(realm))):
            return
        raise RegistryError(f"{self.endpoint.title} names a token server that is not safe: {realm[:80]!r}")

    def _authorization(self, scope: str) -> dict[str, str]:
        token = self._tokens.get(scope)
        if token is None or token.until - _MARGIN < time.monotonic():
            return {}
        return {"Authorization": token.header}

    def _is_own(self, url: str) -> bool:
        return urlsplit(url)[:2] == urlsplit(self.endpoint.url)[:2]

    def _with_namespace(self, url: str) -> str:
        if not self.endpoint.namespace or not self._is_own(url):
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'ns': self.endpoint.namespace})}"

    def _client(self) -> httpx.Client:
        if self._http is None:
            import httpx

            self._http = httpx.Client(
                timeout=httpx.Timeout(60, connect=10),
                headers={"User-Agent": "dockersim", "Accept-Encoding": "identity"},
                # The proxy is for the world outside.
                trust_env=not is_loopback(urlsplit(self.endpoint.url).netloc),
            )
        return self._http


_WRONG = "unauthorized: incorrect username or password"


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
