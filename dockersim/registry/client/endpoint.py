"""Which registry a name means, and how it is reached.

A short name means Docker Hub, and the practice registry plays Docker Hub until a setting says otherwise: another
registry can play it, or Docker Hub itself is asked, perhaps through a mirror. A name with a host means that host.

>>> from dockersim.oci import parse_reference
>>> endpoint_for(parse_reference("alice/app"), Settings(practice="127.0.0.1:5001")).url
'http://127.0.0.1:5001'
>>> endpoint_for(parse_reference("ghcr.io/alice/app"), Settings(practice="127.0.0.1:5001")).url
'https://ghcr.io'
>>> endpoint_for(parse_reference("alice/app"), Settings(stand_in="registry.example/class-7")).prefix
'class-7/'
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from dockersim.errors import RegistryError
from dockersim.oci import DOCKER_HUB, Reference
from dockersim.registry import names
from dockersim.registry.problems import Problem

HUB_HOST: Final = "registry-1.docker.io"
"""Where Docker Hub really answers; docker.io is only its name."""

HUB_KEY: Final = "https://index.docker.io/v1/"
"""Under this key docker keeps the login to Docker Hub."""

PRACTICE_KEY: Final = "dockersim.practice"
"""Our key for the practice registry: its port may change, and its password must never reach the real Hub."""


class Settings(Struct, frozen=True):
    """``practice`` is ``host:port`` of the practice registry, "" if there is none.

    ``stand_in`` names another registry that takes its part: ``host:port``, with a path if all repositories are to lie
    below it (a project of Harbor), with ``http://`` before it if it has no TLS. ``real_hub`` sends short names to
    Docker Hub itself. ``mirrors`` are asked before Docker Hub for what is pulled from there, written as ``stand_in``.
    """

    practice: str = ""
    real_hub: bool = False
    stand_in: str = ""
    mirrors: tuple[str, ...] = ()


class Endpoint(Struct, frozen=True):
    """How a registry is reached: ``registry`` as people write it, ``namespace`` which other registry it plays.

    ``prefix`` is put before the name of every repository.
    """

    registry: str
    url: str
    credential_key: str
    namespace: str = ""
    is_practice: bool = False
    prefix: str = ""
    is_mirror: bool = False

    @property
    def address(self) -> str:
        """Where it is: host, port, and what all repositories lie below."""
        return f"{self.url.partition('://')[2]}/{self.prefix}".rstrip("/")

    @property
    def title(self) -> str:
        """How the registry is named to a learner."""
        if self.is_practice:
            return f"the practice registry ({self.address})"
        if self.is_mirror:
            return f"the mirror {self.address}"
        return "Docker Hub" if self.registry == DOCKER_HUB else self.registry


def endpoint_for(reference: Reference, settings: Settings) -> Endpoint:
    """Find the registry that ``reference`` means."""
    return endpoint_of(reference.registry, settings)


def endpoint_of(registry: str, settings: Settings) -> Endpoint:
    """Find the registry that people write as ``registry``, ``docker.io`` for none. Raises RegistryError."""
    if registry == DOCKER_HUB and settings.stand_in and not settings.real_hub:
        url, prefix = read_address(settings.stand_in)
        return Endpoint(registry, url, key_of(url), is_practice=True, prefix=prefix)
    if registry == DOCKER_HUB and settings.practice and not settings.real_hub:
        return Endpoint(registry, f"http://{settings.practice}", PRACTICE_KEY, DOCKER_HUB, is_practice=True)
    if registry == DOCKER_HUB:
        return Endpoint(registry, f"https://{HUB_HOST}", HUB_KEY)
    if registry == settings.practice:
        return Endpoint(registry, f"http://{registry}", PRACTICE_KEY, is_practice=True)
    url, _ = read_address(registry)
    for written in filter(None, (settings.stand_in, *settings.mirrors)):
        known, _ = read_address(written)
        if key_of(known) == registry:  # that it has no TLS was said there
            url = known
    return Endpoint(registry, url, registry)


def mirrors_of(registry: str, settings: Settings) -> tuple[Endpoint, ...]:
    """List who is asked before ``registry`` itself; as with docker's ``registry-mirrors`` only Docker Hub has any."""
    if registry != DOCKER_HUB:
        return ()
    found = map(read_address, settings.mirrors)
    return tuple(Endpoint(registry, url, key_of(url), DOCKER_HUB, prefix=prefix, is_mirror=True)
                 for url, prefix in found)  # fmt: skip


def read_address(written: str) -> tuple[str, str]:
    """Read ``[http[s]://]host[:port][/path]``: the address, and the prefix of repositories. Raises RegistryError.

    Without a scheme it is docker's rule: TLS, but on this machine.

    >>> read_address("localhost:5000"), read_address("http://registry.lan/class")
    (('http://localhost:5000', ''), ('http://registry.lan', 'class/'))
    """
    scheme, mark, rest = written.rpartition("://")
    host, _, path = rest.partition("/")
    path = path.strip("/")
    if (mark and scheme not in ("http", "https")) or not _is_host(host) or not (path == "" or _is_path(path)):
        # What stands before an @ could be a password; it must not get into any message.
        shown = rest.rpartition("@")[2][:80]
        raise RegistryError(f"not the address of a registry: {shown!r}", hint="write it like host:5000")
    scheme = scheme or ("http" if is_loopback(host) else "https")
    return f"{scheme}://{host}", f"{path}/" if path else ""


def _is_host(text: str) -> bool:
    try:
        parts = urlsplit(f"//{text}")
        return bool(parts.hostname) and parts.port != 0 and not set(text) & set(" @?#\\") and text.isprintable()
    except ValueError:
        return False


def _is_path(text: str) -> bool:
    try:
        return bool(names.repository(text))
    except Problem:
        return False


def key_of(url: str) -> str:
    """Give the key of a login: docker's, host and port."""
    return url.partition("://")[2]


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Tell scheme, host and port, the usual port where there is none; no scheme and no host if it is no address.

    >>> origin_of("https://ghcr.io/v2/") == origin_of("https://GHCR.io:443")
    True
    """
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", "", None


def is_loopback(registry: str) -> bool:
    """Tell whether a registry is on this machine, where docker too does without TLS.

    >>> is_loopback("localhost:5000"), is_loopback("127.0.0.1"), is_loopback("[::1]:80"), is_loopback("ghcr.io")
    (True, True, True, False)
    """
    host = registry.rpartition(":")[0] if registry.rpartition(":")[2].isdigit() else registry
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
