"""Make connections inside the network namespace of a process that runs in a sandbox."""

from __future__ import annotations

import os
import socket
import threading

from dockersim.errors import SandboxError
from dockersim.sandbox.channel import Channel
from dockersim.sandbox.contract import Inhabitant, Stdio
from dockersim.sandbox.launch import launch


class NamespaceDialer:
    """A small process in the namespace that connects for us and sends the sockets out (``inside/dial.py``)."""

    def __init__(self, inhabitant: Inhabitant) -> None:
        self._channel = Channel()
        self._turn = threading.Lock()  # an answer belongs to the request before it
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        spec = {"mode": "dial", "pid": inhabitant.pid, "started": inhabitant.started}
        try:
            self._helper = launch(spec, Stdio(nothing, nothing, nothing), self._channel.theirs)
            self._helper.hear_start()
            self._channel.hand_over()
        except SandboxError:
            self._channel.close()
            raise
        finally:
            os.close(nothing)

    def connect(self, address: str, port: int) -> socket.socket:
        """Connect to a TCP port as seen from inside."""
        with self._turn:
            self._channel.ask(f"{address} {port}")
            return socket.socket(fileno=self._channel.receive_descriptor())

    def close(self) -> None:
        """Let go of the namespace."""
        self._channel.close()
        self._helper.close()


class HostDialer:
    """For a rung that has no network of its own: what listens inside, listens on the host."""

    def connect(self, address: str, port: int) -> socket.socket:
        """Connect to a TCP port of the host; a container's address is the host's loopback there."""
        return socket.create_connection(("127.0.0.1", port), timeout=10)

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
