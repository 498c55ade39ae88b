"""What a registry's no means, in one line.

RegistryError
├── Unreachable       nobody answers there, or not in a way we trust
│   └── Interrupted   the answer broke off, or the registry is out of breath: the same may be asked again
├── NotInRegistry     no such repository, tag, digest
├── TooManyRequests   Docker Hub's limit for pulls
└── AccessDenied      (dockersim.errors) because of who asks
"""

from __future__ import annotations

import json
import time

from dockersim.errors import AccessDenied, RegistryError
from dockersim.printable import printable
from dockersim.registry.client.answer import Answer
from dockersim.registry.client.discretion import bare_address
from dockersim.registry.client.endpoint import PRACTICE_KEY, Endpoint
from dockersim.registry.client.ratelimit import read_limit

_OUT_OF_BREATH = frozenset({408, 502, 503, 504})
"""What passes: a timeout of the registry, or whoever stands before it does not get through to it."""

PASSING = _OUT_OF_BREATH | {429}
"""The answers after which the same request may succeed."""


class Unreachable(RegistryError):
    """Nobody answers at ``registry``."""

    def __init__(self, message: str, registry: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.registry = registry


class Interrupted(Unreachable):
    """What was asked may be asked again: it was under way, and nothing is wrong with it."""


class NotInRegistry(RegistryError):
    """What was asked for is not there."""


class TooManyRequests(RegistryError):
    """The registry limits how often one may ask; ``retry_after`` in seconds, 0 if it does not say."""

    def __init__(self, message: str, retry_after: int = 0, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


def unreachable(endpoint: Endpoint, error: Exception, *, answered: bool) -> Unreachable:
    """Say why no answer came, or not all of it (``answered``)."""
    import ssl  # costs 10 ms, and only who has no answer needs it

    import httpx

    broke = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, *([httpx.ReadTimeout] if answered else []))
    if endpoint.credential_key == PRACTICE_KEY:
        hint = "start it with dockersim registry serve"
    elif endpoint.registry != endpoint.registry.lower():  # docker's rule: no user has capitals, so it is a host
        hint = f"names of users are in lower case: {endpoint.registry.lower()}"
    else:
        hint = "check the name and your connection"
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "verify_message", "") or cause.reason or str(cause)
            return Unreachable(
                f"no trusted connection to {endpoint.title}: {reason}",
                endpoint.registry,
                hint="behind a company proxy, point SSL_CERT_FILE to its certificates",
            )
    for cause in chain:
        if isinstance(cause, ConnectionRefusedError):
            return Unreachable(f"cannot reach {endpoint.title}: connection refused", endpoint.registry, hint=hint)
    reason = str(chain[-1]) or "no answer in time"
    if isinstance(error, broke):
        return Interrupted(f"{endpoint.title} broke off: {reason}", endpoint.registry, hint="try again")
    return Unreachable(f"cannot reach {endpoint.title}: {reason}", endpoint.registry, hint=hint)


def no_address(endpoint: Endpoint, sent: str) -> RegistryError:
    """Say that the registry sent an address, in a Location say, that nobody can go to.

    It is shown but where it cannot be taken apart: then nobody can tell what of it is secret.
    """
    shown = printable(bare_address(sent))[:200]
    what = f": {shown!r}" if shown else ""
    return RegistryError(f"{endpoint.title} sent an address that is none{what}", hint="that is the registry's fault")


def refused(endpoint: Endpoint, answer: Answer, what: str) -> RegistryError:
    """Say what a status of 4xx or 5xx means; ``what`` names the repository, tag or blob. The body is read."""
    said = message_of(answer)
    match answer.status:
        case 401:
            return AccessDenied(
                f"{what}: {said or 'unauthorized: authentication required'}", hint="log in with dockersim login"
            )
        case 403:
            hint = "log in as the owner of that name, or tag the image with your own"
            return AccessDenied(said or "denied: requested access to the resource is denied", hint=hint)
        case 404:
            return NotInRegistry(f"{what} not found: {said or 'manifest unknown'}")
        case 429:
            return _too_many(endpoint, answer)
        case status if status in _OUT_OF_BREATH:
            said = said or "no reason given"
            return Interrupted(f"{endpoint.title} is out of breath ({status}): {said}", endpoint.registry)
        case status if status >= 500:
            return RegistryError(f"{endpoint.title} has trouble of its own ({status}): {said or 'no reason given'}")
        case status:
            return RegistryError(f"{endpoint.title} refuses {what} ({status}): {said or 'no reason given'}")


def message_of(answer: Answer) -> str:
    """Take ``code: message`` out of an error body of the spec, "" if it is none."""
    try:
        error = json.loads(answer.body[:65536])["errors"][0]
        code, message = _clean(error["code"]).lower().replace("_", " "), _clean(error.get("message") or "")
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    return message if message.startswith(code) else f"{code}: {message}"


def _clean(said: object) -> str:
    """Take what can be shown in one line of a terminal."""
    return "".join(letter for letter in str(said) if letter.isprintable())[:200]


def _too_many(endpoint: Endpoint, answer: Answer) -> TooManyRequests:
    now = time.time()
    limit = read_limit(answer.headers, now)
    allowed = f": {limit.words()}" if limit.words() else ""
    return TooManyRequests(
        f"{endpoint.title} has had too many requests from here{allowed}",
        limit.wait,
        hint=f"{limit.when(now)}; a login raises the limit",
    )


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
