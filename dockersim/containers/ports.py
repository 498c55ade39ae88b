"""Published ports: which port of the learner's machine leads to which port of the container (docker's ``-p``).

EXPOSE only documents; nothing is reachable from outside unless it is published. The real thing is
docker/go-connections ``nat`` for the words, and docker-proxy for the forwarding.

>>> Publish.parse("8080:5000")
Publish(host_ip='127.0.0.1', host_port=8080, container_port=5000)
>>> str(Publish.parse("0.0.0.0:80:5000/tcp"))
'0.0.0.0:80->5000/tcp'
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from dockersim.errors import ContainerError

HOST_IP: Final = "127.0.0.1"
# Deviation: a port is published on 127.0.0.1 unless another address is given, where docker takes 0.0.0.0: a learner's
# laptop should not serve a whole class room by accident.

_MOST: Final = 100
"""Ports of one range: each takes a thread that listens."""

_HINT: Final = "write it as -p HOST_PORT:CONTAINER_PORT, for example -p 8080:5000"


class Publish(Struct, frozen=True):
    """One published TCP port; ``host_port`` 0 asks for any free one."""

    host_ip: str
    host_port: int
    container_port: int

    @classmethod
    def parse(cls, text: str) -> Publish:
        """Read ``[[IP:][HOST_PORT]:]CONTAINER_PORT[/tcp]``; raise ContainerError in docker's words."""
        # Deviation: only TCP ports can be published, each to a port of its own; docker also takes udp and sctp, and a
        # range of the host's ports of which a container's port may have any.
        ports, _, protocol = text.partition("/")
        if protocol.lower() not in ("", "tcp"):
            raise ContainerError(f"cannot publish {text}: invalid proto: {protocol}", hint="only tcp can be published")
        rest, _, container = ports.rpartition(":")
        ip, _, host = rest.rpartition(":")
        return cls(
            ip.strip("[]") or HOST_IP,
            _number(host, f"invalid hostPort: {host}") if host else 0,
            _number(container, f"invalid containerPort: {container}"),
        )

    @property
    def address(self) -> str:
        """The host's side, as a browser takes it."""
        ip = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{ip}:{self.host_port}"

    @property
    def private(self) -> str:
        """The container's side, as configs write it: ``5000/tcp``."""
        return f"{self.container_port}/tcp"

    def __str__(self) -> str:
        return f"{self.address}->{self.private}"


def read_published(text: str) -> tuple[Publish, ...]:
    """Read what ``-p`` is given: one port, or as many of the host's as of the container's (``8000-8002:80-82``).

    >>> [str(one) for one in read_published("8000-8001:80-81")]
    ['127.0.0.1:8000->80/tcp', '127.0.0.1:8001->81/tcp']
    """
    ports, slash, protocol = text.partition("/")
    rest, _, container = ports.rpartition(":")
    if "-" not in container:
        return (Publish.parse(text),)
    ip, _, host = rest.rpartition(":")
    inside = _range(container, f"invalid containerPort: {container}")
    outside = _range(host, f"invalid hostPort: {host}") if host else [""] * len(inside)
    if len(inside) != len(outside):
        message = f"invalid ranges specified for container and host Ports: {container} and {host}"
        raise ContainerError(message, hint=_HINT)
    pairs = zip(outside, inside, strict=True)
    return tuple(Publish.parse(f"{ip}:{there}:{here}{slash}{protocol}") for there, here in pairs)


def expand_exposed(exposed: tuple[str, ...]) -> tuple[int, ...]:
    """List the TCP ports that EXPOSE names (``5000/tcp``), for ``docker run -P``.

    >>> expand_exposed(("5000/tcp", "53/udp"))
    (5000,)
    """
    return tuple(
        int(port) for port, _, kind in (one.partition("/") for one in exposed) if kind != "udp" and port.isdigit()
    )


def _range(text: str, message: str) -> list[str]:
    first, dash, last = text.partition("-")
    low, high = _number(first, message), _number(last if dash else first, message)
    if not low <= high < low + _MOST:
        raise ContainerError(message, hint=f"a range goes up, and has at most {_MOST} ports")
    return [str(number) for number in range(low, high + 1)]


def _number(text: str, message: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ContainerError(message, hint=_HINT)
    return int(text)
