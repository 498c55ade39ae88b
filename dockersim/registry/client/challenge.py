"""Reading WWW-Authenticate (RFC 9110, section 11.6.1): how a registry wants us to say who we are.

>>> parse_challenge('Bearer realm="https://auth.docker.io/token",service="registry.docker.io"')
Challenge(scheme='bearer', realm='https://auth.docker.io/token', service='registry.docker.io', scope='')
>>> parse_challenge('Basic realm="x", Bearer realm="https://x/token"').scheme  # of several, the better one
'bearer'
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

_WORD = re.compile(r'([a-zA-Z_-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?')
"""A parameter, or without ``=`` the scheme that begins the next challenge."""

_KNOWN = ("bearer", "basic")
"""What we can do, the better one first."""


class Challenge(Struct, frozen=True):
    """One way to say who one is; ``scheme`` in lower case, what is not given is ""."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenge(header: str) -> Challenge:
    """Read a header, and of its challenges choose the one that serves us best; one without a scheme if none does."""
    offered = {challenge.scheme: challenge for challenge in reversed(list(_challenges(header)))}
    return next((offered[scheme] for scheme in _KNOWN if scheme in offered), Challenge(""))


def _challenges(header: str) -> Iterator[Challenge]:
    scheme, given = "", dict[str, str]()
    for word in _WORD.finditer(header):
        name, quoted, bare = word.groups()
        if quoted is not None or bare is not None:
            given[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
            continue
        if scheme:
            yield _challenge(scheme, given)
        scheme, given = name.lower(), {}
    if scheme:
        yield _challenge(scheme, given)


def _challenge(scheme: str, given: dict[str, str]) -> Challenge:
    return Challenge(scheme, given.get("realm", ""), given.get("service", ""), given.get("scope", ""))
