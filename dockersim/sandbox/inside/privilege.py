"""Who the command is, and what it may do."""

from __future__ import annotations

import os

from . import kernel

# The set that Docker grants by default (moby/moby, oci/caps/defaults.go); BuildKit's RUN has the same.
DEFAULT_CAPABILITIES = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8,
    "NET_BIND_SERVICE": 10, "NET_RAW": 13, "SYS_CHROOT": 18, "MKNOD": 27, "AUDIT_WRITE": 29, "SETFCAP": 31,
}  # fmt: skip
DEFAULT_MASK = sum(1 << number for number in DEFAULT_CAPABILITIES.values())


def bound_capabilities(allowed: int = DEFAULT_MASK) -> None:
    """Give up for good, also across set-uid programs, every capability that is not in ``allowed``."""
    number = 0
    while True:
        if not allowed >> number & 1:
            try:
                kernel.prctl(kernel.PR_CAPBSET_DROP, number)
            except PermissionError:  # no CAP_SETPCAP: then execve must give nothing that was given up
                kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
                return
            except OSError:  # EINVAL: the last one that this kernel knows was the one before
                return
        number += 1


def become(uid: int, gid: int, groups: tuple[int, ...], *, numbers_are_real: bool, allowed: int = DEFAULT_MASK) -> None:
    """Take on the identity; root keeps what it has of the capabilities ``allowed``, everybody else keeps none.

    In an ordinary user's namespace there is only the one uid, which it was mapped to: nothing to switch to.
    """
    if numbers_are_real:
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    kernel.set_capabilities(allowed & kernel.permitted_capabilities() if uid == 0 else 0)
