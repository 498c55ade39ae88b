"""A network namespace of one's own: lo, and on it the address by which a container is known.

There is no bridge and no veth pair here, which would need root: a container's address lives on its own lo. A server
that listens on 0.0.0.0 answers at it and one that listens on 127.0.0.1 does not, which is what a learner has to see.
"""

from __future__ import annotations

import fcntl
import socket
import struct

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_IFF_UP = 1


def bring_up_loopback(address: str = "") -> None:
    """Bring lo up, and give it ``address`` (``172.17.0.2/16``) as well as 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _raise_flag(control, b"lo")
        if address:
            host, _, length = address.partition("/")
            mask = (0xFFFFFFFF << (32 - int(length or 32))) & 0xFFFFFFFF
            _set_address(control, _SIOCSIFADDR, b"lo:0", socket.inet_aton(host))
            _set_address(control, _SIOCSIFNETMASK, b"lo:0", struct.pack("!I", mask))


def _raise_flag(control: socket.socket, name: bytes) -> None:
    request = struct.pack("16sh22x", name, 0)
    flags = struct.unpack("16sh22x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
    fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", name, flags | _IFF_UP))


def _set_address(control: socket.socket, request: int, name: bytes, packed: bytes) -> None:
    fcntl.ioctl(control, request, struct.pack("16sHH4s16x", name, socket.AF_INET, 0, packed))
