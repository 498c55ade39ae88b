"""A Unix socket to the runner, over which it sends open descriptors out of its namespaces."""

from __future__ import annotations

import array
import os
import socket
from types import TracebackType

from dockersim.errors import SandboxError


class Channel:
    """Our end of the socket, and until ``hand_over`` the runner's; a context manager that closes both."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def __enter__(self) -> Channel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def theirs(self) -> int:
        """The end to be given to the runner."""
        return self._theirs.fileno()

    def hand_over(self) -> None:
        """Close our copy of the runner's end, so that its death can be seen."""
        self._theirs.close()

    def ask(self, request: str) -> None:
        """Send one request."""
        self._ours.send(request.encode("ascii"))

    def receive_descriptor(self) -> int:
        """Receive a descriptor. Raises OSError with the number that the other end gave instead of one."""
        self.hand_over()
        answer, ancillary, _, _ = self._ours.recvmsg(4, socket.CMSG_LEN(4))
        if len(answer) < 4:
            raise SandboxError("the process in the sandbox is gone")
        error = int.from_bytes(answer, "little")
        if error:
            raise OSError(error, os.strerror(error))
        received = array.array("i")
        received.frombytes(ancillary[0][2])
        return received[0]

    def close(self) -> None:
        """Close what is open. Repeatable."""
        self._ours.close()
        self._theirs.close()
