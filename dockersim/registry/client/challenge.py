"""Reading WWW-Authenticate (RFC 9110, section 11.6.1): how a registry wants us to say who we are.

>>> parse_challenge('Bearer realm="https://auth.docker.io/token",service="registry.docker.io"')
Challenge(scheme='bearer', realm='https://auth.docker.io/token', service='registry.docker.io', scope='')
"""

from __future__ import annotations

import re

from msgspec import Struct

_PARAMETER = re.compile(r'([a-zA-Z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Challenge(Struct, frozen=True):
    """One way to say who one is; ``scheme`` in lower case, what is not given is ""."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenge(header: str) -> Challenge:
    """Read the first challenge of a header."""
    scheme, _, rest = header.strip().partition(" ")
    given = {name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in _PARAMETER.findall(rest)}
    return Challenge(scheme.lower(), given.get("realm", ""), given.get("service", ""), given.get("scope", ""))
