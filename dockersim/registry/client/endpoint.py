"""Which registry a name means, and how it is reached.

A short name means Docker Hub, and the practice registry plays Docker Hub until a setting says otherwise. A name
with a host means that host.

>>> from dockersim.oci import parse_reference
>>> endpoint_for(parse_reference("alice/app"), Settings(practice="127.0.0.1:5001")).url
'http://127.0.0.1:5001'
>>> endpoint_for(parse_reference("ghcr.io/alice/app"), Settings(practice="127.0.0.1:5001")).url
'https://ghcr.io'
"""

from __future__ import annotations

import ipaddress
from typing import Final

from msgspec import Struct

from dockersim.oci import DOCKER_HUB, Reference

HUB_HOST: Final = "registry-1.docker.io"
"""Where Docker Hub really answers; docker.io is only its name."""

HUB_KEY: Final = "https://index.docker.io/v1/"
"""Under this key docker keeps the login to Docker Hub."""

PRACTICE_KEY: Final = "dockersim.practice"
"""Our key for the practice registry: its port may change, and its password must never reach the real Hub."""


class Settings(Struct, frozen=True):
    """``practice`` is ``host:port`` of the practice registry, "" if there is none.

    ``real_hub`` sends short names to Docker Hub itself. ``plain_http`` names further registries without TLS.
    """

    practice: str = ""
    real_hub: bool = False
    plain_http: frozenset[str] = frozenset()


class Endpoint(Struct, frozen=True):
    """How a registry is reached: ``registry`` as people write it, ``namespace`` which other registry it plays."""

    registry: str
    url: str
    credential_key: str
    namespace: str = ""
    is_practice: bool = False

    @property
    def title(self) -> str:
        """How the registry is named to a learner."""
        if self.is_practice:
            return f"the practice registry ({self.url.partition('://')[2]})"
        return "Docker Hub" if self.registry == DOCKER_HUB else self.registry


def endpoint_for(reference: Reference, settings: Settings) -> Endpoint:
    """Find the registry that ``reference`` means."""
    return endpoint_of(reference.registry, settings)


def endpoint_of(registry: str, settings: Settings) -> Endpoint:
    """Find the registry that people write as ``registry``, ``docker.io`` for none."""
    if registry == DOCKER_HUB and settings.practice and not settings.real_hub:
        return Endpoint(registry, f"http://{settings.practice}", PRACTICE_KEY, DOCKER_HUB, is_practice=True)
    if registry == DOCKER_HUB:
        return Endpoint(registry, f"https://{HUB_HOST}", HUB_KEY)
    if registry == settings.practice:
        return Endpoint(registry, f"http://{registry}", PRACTICE_KEY, is_practice=True)
    scheme = "http" if registry in settings.plain_http or is_loopback(registry) else "https"
    return Endpoint(registry, f"{scheme}://{registry}", registry)


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
