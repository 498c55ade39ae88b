"""Keeping other people's web pages out.

A registry on loopback is within reach of every page the learner opens. A page cannot read our answers (we send no
CORS header), but it could make the browser send a POST, or reach us under its own name (DNS rebinding). Clients of
registries send no Origin, and name us by address or by a name without dots.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.requests import Request

_OWN_NAMES = frozenset({"host.docker.internal", "host.containers.internal"})


def is_foreign(request: Request, *, known: bool = False) -> bool:
    """Tell whether a request was made by a page of another site.

    ``known`` says that whoever asks has shown to be ours, and may call this machine by any name.
    """
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    if origin is not None and not _is_of(origin, host) and request.method not in ("GET", "HEAD"):
        return True
    return is_local(request) and not known and not names_us(host)


def _is_of(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc == host
    except ValueError:  # no address: ``http://[``
        return False


def is_local(request: Request) -> bool:
    """Tell whether a request comes from this machine."""
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def names_us(host: str) -> bool:
    """Tell whether a Host header can mean this machine and not a stranger's domain that points here.

    >>> names_us("127.0.0.1:5000"), names_us("localhost"), names_us("registry:5000"), names_us("evil.example")
    (True, True, True, False)
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if "." not in name or name.endswith(".localhost") or name in _OWN_NAMES or name == socket.gethostname().lower():
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
