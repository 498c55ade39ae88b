"""Answer system calls in the kernel's place (seccomp_unotify(2)): take the next one that waits, and say how it ended.

The filter is put in place inside, by the process that becomes the command; the descriptor on which its calls are heard
is needed outside, by the supervisor. It is sent there over a socket.
"""

from __future__ import annotations

import _socket  # the module ``socket`` is this and 15 ms of imports
import errno
import struct

from . import kernel

_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x80082102
_SET_FLAGS, _SYNC_WAKE_UP = 0x40082104, 1
_SPARE = bytes(256)  # a younger kernel may say more than struct seccomp_notif's 80 bytes; it wants to find zeros


Socket = _socket.socket


class Call:
    """A system call that waits for its answer. ``pid`` is the thread's that makes it, ``arguments`` are unsigned."""

    __slots__ = ("arguments", "identifier", "number", "pid")

    def __init__(self, message: bytearray) -> None:
        self.identifier, self.pid, _, self.number, _, _, *self.arguments = struct.unpack_from("=QIIiIQ6Q", message)


def pair() -> tuple[Socket, Socket]:
    """Make the socket over which the descriptor goes: the supervisor's end, and the command's."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)


def hand_over(end: Socket, listener: int, note: bytes) -> None:
    """Send ``listener``, and ``note`` with it. Needs no import: the host's files may be out of reach."""
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", listener))]
    end.sendmsg([note], rights)


def take_over(end: Socket) -> tuple[int, bytes]:
    """Receive what was handed over: the descriptor, -1 if there was none to be had, and the note."""
    note, rights, _, _ = end.recvmsg(64, _socket.CMSG_SPACE(4))
    if not rights:
        return -1, note
    listener: int = struct.unpack("i", rights[0][2][:4])[0]
    _hurry(listener)
    return listener, note


def _hurry(listener: int) -> None:
    """Let caller and supervisor take turns on one processor, which halves the time of a call on a busy machine."""
    try:
        kernel.control(listener, _SET_FLAGS, _SYNC_WAKE_UP)
    except OSError:  # before Linux 6.6
        pass


def receive(listener: int) -> Call | None:
    """Take the next call that waits; None if who made it was killed meanwhile."""
    message = bytearray(_SPARE)
    try:
        kernel.control(listener, _RECEIVE, message)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    return Call(message)


def still_waits(listener: int, call: Call) -> bool:
    """Tell whether it is still the caller who goes by ``call.pid``, and who was looked at by it until now."""
    try:
        kernel.control(listener, _IS_VALID, bytearray(struct.pack("=Q", call.identifier)))
    except OSError:
        return False
    return True


def answer(listener: int, call: Call, error: int) -> None:
    """Let ``call`` return: 0 for success, else an error number. No matter if the caller is gone."""
    message = bytearray(_SPARE)
    struct.pack_into("=QqiI", message, 0, call.identifier, 0, -error, 0)
    try:
        kernel.control(listener, _SEND, message)
    except OSError as failure:
        if failure.errno != errno.ENOENT:
            raise
