"""Make connections inside the network namespace of a process that runs in a sandbox."""

from __future__ import annotations

import array
import os
import socket

from dockersim.errors import SandboxError
from dockersim.sandbox.contract import Inhabitant, Stdio
from dockersim.sandbox.launch import launch


class NamespaceDialer:
    """A small process in the namespace that connects for us and sends the sockets out (``inside/dial.py``).

    Not for two threads at once: an answer belongs to the request before it.
    """

    def __init__(self, inhabitant: Inhabitant) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        spec = {"mode": "dial", "pid": inhabitant.pid, "started": inhabitant.started}
        try:
            self._helper = launch(spec, Stdio(nothing, nothing, nothing), theirs.fileno())
            self._helper.hear_start()
        except SandboxError:
            self._channel.close()
            raise
        finally:
            theirs.close()
            os.close(nothing)

    def connect(self, address: str, port: int) -> socket.socket:
        """Connect to a TCP port as seen from inside."""
        self._channel.send(f"{address} {port}".encode("ascii"))
        answer, ancillary, _, _ = self._channel.recvmsg(4, socket.CMSG_LEN(4))
        if len(answer) < 4:
            raise ConnectionAbortedError("the namespace is gone")
        error = int.from_bytes(answer, "little")
        if error:
            raise OSError(error, f"connect to {address}:{port}: {os.strerror(error)}")
        received = array.array("i")
        received.frombytes(ancillary[0][2])
        return socket.socket(fileno=received[0])

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
