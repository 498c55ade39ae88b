"""The ports of EXPOSE: ``8080``, ``8000-8002/tcp``, ``53/UDP`` to ``53/udp``.

BuildKit: frontend/dockerfile/dockerfile2llb/convert_expose.go. A host's address or port before the container's is
read and dropped: EXPOSE says what the program listens on, and publishes nothing.

>>> exposed_ports("8000-8001/TCP", At("Dockerfile", 1))
['8000/tcp', '8001/tcp']
"""

from __future__ import annotations

from dockersim.errors import DockerfileError
from dockersim.source import At

_PROTOCOLS = ("tcp", "udp", "sctp")
_LAST = 65535


def exposed_ports(word: str, at: At) -> list[str]:
    """Write out one word of EXPOSE as ``port/protocol``; DockerfileError for what is no port."""
    container, _, protocol = word.rpartition(":")[2].partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise DockerfileError(f'invalid port: "{word}": invalid proto: {protocol}', at=at)
    if not container:
        raise DockerfileError(f'invalid port: "{word}": no port specified', at=at)
    first, dash, last = container.partition("-")
    try:
        start, end = _number(first), _number(last) if dash else _number(first)
    except ValueError:
        raise DockerfileError(f"invalid containerPort: {container}", at=at) from None
    if end < start:
        raise DockerfileError(f"invalid containerPort: {container}", at=at)
    return [f"{port}/{protocol}" for port in range(start, end + 1)]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:6]) > _LAST:
        raise ValueError(text)
    return int(text)
