"""Give the command a terminal of its own, made in its own /dev/pts, and send the other end to the starter."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
import termios

from .rootfs import CannotPrepare
from .supervise import SOCKET

_TIOCGPTN, _TIOCSPTLCK = 0x80045430, 0x40045431


def take_terminal() -> None:
    """Make a terminal, control it, and have it as stdin, stdout and stderr. This process must lead its session."""
    try:
        master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise CannotPrepare(f"there is no terminal to be had here: /dev/ptmx: {error.strerror}") from error
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    number = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, b"\0\0\0\0"))[0]
    slave = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    with socket.socket(fileno=SOCKET) as channel:
        channel.sendmsg([bytes(4)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]))])
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)
    os.close(slave)
    os.close(master)
