"""The words of EXPOSE: ``80``, ``53/udp``, ``8000-8010``; and what people carry over from ``docker run -p``.

BuildKit: frontend/dockerfile/dockerfile2llb/convert_expose.go. An address and a host port are checked, then ignored.

>>> parse_ports("8000-8002/UDP")
['8000/udp', '8001/udp', '8002/udp']
>>> parse_ports("127.0.0.1:8080:80")
['80/tcp']
"""

from __future__ import annotations

from typing import Final

from dockersim.dockerfile.gotext import quote
from dockersim.errors import DockerfileError

_PROTOCOLS: Final = ("tcp", "udp", "sctp")
_HIGHEST: Final = 65535


def parse_ports(spec: str) -> list[str]:
    """List the ports, as ``number/protocol``, that one expanded word means; DockerfileError has no place yet."""
    *address, host, container = ["", "", *spec.split(":")][-max(3, spec.count(":") + 1) :]
    container, _, protocol = container.partition("/")
    if not container:
        raise DockerfileError(f"invalid port: {quote(spec)}: no port specified")
    if protocol and protocol.lower() not in _PROTOCOLS:
        raise DockerfileError(f"invalid port: {quote(spec)}: invalid proto: {protocol}")
    _check_address(":".join(address))
    ports = _range(container, f"invalid containerPort: {container}")
    if host:
        hosts = _range(host, f"invalid hostPort: {host}")
        if len(ports) > 1 and len(ports) != len(hosts):
            problem = "invalid ranges specified for container and host Ports"
            raise DockerfileError(f"{problem}: {container} and {host}")
    return [f"{port}/{protocol.lower() or 'tcp'}" for port in ports]


def _check_address(text: str) -> None:
    if not text:
        return
    import ipaddress  # hardly any Dockerfile needs it, and it takes milliseconds to load

    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(bare.replace("%", "no zones"))
    except ValueError:
        hint = "EXPOSE takes ports only; publish to an address with docker run -p"
        raise DockerfileError(f"invalid IP address: {bare}", hint=hint) from None


def _range(text: str, problem: str) -> range:
    first, dash, last = text.partition("-")
    low = _port(first, problem)
    high = _port(last, problem) if dash else low
    if high < low:
        raise DockerfileError(problem)
    return range(low, high + 1)


def _port(text: str, problem: str) -> int:
    digits = text.removeprefix("+")
    if not digits or digits.strip("0123456789") or len(digits.lstrip("0")) > 5 or int(digits) > _HIGHEST:
        raise DockerfileError(problem)
    return int(digits)
