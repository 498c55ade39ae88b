"""Forward published ports: listen on the host, connect inside the container, and carry bytes both ways.

The real thing is docker-proxy (moby, ``cmd/docker-proxy``). We connect to the container's address, never to its
127.0.0.1: a server that listens there is as unreachable as in docker.
"""

from __future__ import annotations

import errno
import select
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from dockersim.containers.ports import HOST_IP, Publish
from dockersim.errors import ContainerError, SandboxError
from dockersim.sandbox.contract import Dialer

_PIECE: Final = 65536
_WAITING: Final = 128  # connections that wait to be accepted


class PortTaken(ContainerError):
    """A port of the host is not to be had."""


class Forwarder:
    """The listening ends of one container. ``direct`` ports are the host's own, and only looked at."""

    def __init__(self) -> None:
        self._listeners: dict[int, tuple[socket.socket, Publish]] = {}

    def bind(self, publish: Sequence[Publish], *, direct: bool) -> tuple[Publish, ...]:
        """Take every port; return them with the numbers that were chosen. Raises PortTaken."""
        bound = tuple(self._bind(one, direct=direct) for one in publish)
        for one in publish if direct else ():
            if one.host_port != one.container_port:
                _check_free(one.container_port)  # now that we have all of ours
        return bound

    def _bind(self, one: Publish, *, direct: bool) -> Publish:
        listener = _listen(one)
        if direct and one.host_port == one.container_port:
            listener.close()  # the container will listen there itself, as it shares the host's network
            return one
        bound = replace(one, host_port=listener.getsockname()[1])
        self._listeners[listener.fileno()] = listener, bound
        return bound

    def serve(self, dial: Callable[[], Dialer], address: str) -> None:
        """Forward from now on, in threads that end with this program."""
        if self._listeners:
            threading.Thread(target=self._accept, args=(_Once(dial), address), daemon=True).start()

    def _accept(self, dialer: _Once, address: str) -> None:
        poll = select.poll()
        for descriptor in self._listeners:
            poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                listener, publish = self._listeners[descriptor]
                try:
                    client, _ = listener.accept()
                except OSError:  # it gave up while it waited, or we have too many; the others go on
                    continue
                goal = (dialer, address, publish.container_port)
                threading.Thread(target=_carry, args=(client, *goal), daemon=True).start()


class _Once:
    """A dialer that is made when it is first needed: a container may never be called."""

    def __init__(self, dial: Callable[[], Dialer]) -> None:
        self._dial = dial
        self._lock = threading.Lock()
        self._dialer: Dialer | None = None

    def connect(self, address: str, port: int) -> socket.socket:
        with self._lock:
            if self._dialer is None:
                self._dialer = self._dial()
        return self._dialer.connect(address, port)


def _listen(one: Publish) -> socket.socket:
    family = socket.AF_INET6 if ":" in one.host_ip else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((one.host_ip, one.host_port))
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        raise PortTaken(_why(one, error)) from error
    return listener


def _check_free(port: int) -> None:
    """See that a container on the host's network can have ``port``: else its page would be a stranger's."""
    try:
        _listen(Publish(HOST_IP, port, port)).close()
    except PortTaken as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE:
            shared = (
                f"port {port} of the container is taken: its network is this machine's, where somebody listens there"
            )
            raise PortTaken(f"{shared}; stop that, or let the command listen on another port") from error


def _why(one: Publish, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Bind for {one.address} failed: port is already allocated"
    words = (error.strerror or str(error)).lower()
    return f"failed to bind host port {one.address}/tcp: {words}"


def _carry(client: socket.socket, dialer: _Once, address: str, port: int) -> None:
    """Carry one connection to its end; if nobody answers inside, the caller is hung up on."""
    with client:
        try:
            inside = dialer.connect(address, port)
        except (OSError, SandboxError):
            return
        with inside:
            for end in (client, inside):  # what comes in small pieces goes on in small pieces, as it came
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_copy, args=(inside, client), daemon=True)
            back.start()
            _copy(client, inside)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy until the source has no more, and tell the target so."""
    try:
        while piece := source.recv(_PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # one of them is gone: then so is the connection
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
