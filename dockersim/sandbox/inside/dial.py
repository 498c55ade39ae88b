"""Make connections inside a network namespace, and pass them out.

A connected socket stays in the namespace that it was made in, whoever holds it. So one small process goes in, connects
when it is told to, and sends each socket out over a Unix socket: that is all that publishing a port takes.
"""

from __future__ import annotations

import array
import os
import socket

from . import kernel, wire
from .namespaces import open_namespaces
from .supervise import REPORT, SOCKET

TYPE_CHECKING = False  # not from typing: importing that takes longer than all else here
if TYPE_CHECKING:
    from typing import Any


def serve(spec: dict[str, Any]) -> None:
    """Go where process ``spec["pid"]`` is, say so, and serve until the other end is closed."""
    spaces = open_namespaces(spec)
    for name in ("user", "net"):
        if name in spaces:
            kernel.setns(*spaces[name])
    for descriptor, _ in spaces.values():
        os.close(descriptor)
    wire.send(REPORT, ("started", os.getpid(), 0))
    with socket.socket(fileno=SOCKET) as channel:
        while request := channel.recv(256):
            _answer(channel, request.decode("ascii"))


def _answer(channel: socket.socket, request: str) -> None:
    """Connect to ``request``, an address and a port; answer with the error number, and the socket if that is 0."""
    address, _, port = request.rpartition(" ")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.settimeout(10)
        error = made.connect_ex((address, int(port)))
        made.settimeout(None)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [made.fileno()]))]
        channel.sendmsg([error.to_bytes(4, "little")], [] if error else rights)
