"""How the runner and its starter speak: messages on pipes, each four bytes of length and a marshalled value.

``marshal`` needs no import and both ends are the same Python, one the child of the other; ``json`` would cost more
time than all the mounts of a RUN.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False  # not from typing: importing that takes longer than all else here
if TYPE_CHECKING:
    from typing import Any


def send(descriptor: int, message: Any) -> None:
    """Write one message of plain values."""
    body = marshal.dumps(message)
    data = memoryview(len(body).to_bytes(4, "little") + body)
    while data:
        data = data[os.write(descriptor, data) :]


def receive(descriptor: int) -> Any:
    """Read one message; None at the end of the pipe, also when it ends in the middle of a message."""
    head = _read(descriptor, 4)
    body = _read(descriptor, int.from_bytes(head, "little")) if len(head) == 4 else b""
    return marshal.loads(body) if body and len(body) == int.from_bytes(head, "little") else None


def _read(descriptor: int, size: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < size:
        piece = os.read(descriptor, size - len(pieces))
        if not piece:
            break
        pieces += piece
    return bytes(pieces)


def start_time(pid: int) -> int:
    """Tell when ``pid`` was started, in clock ticks since boot (proc(5), field 22 of stat); 0 if it has ended.

    Both ends name a process by its pid and this, as a pid alone may by now belong to somebody else.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except OSError:
        return 0
