"""Machines that learners are on, imitated here: what each lets a process do.

    python -m tests.profiles PROFILE [--offline] COMMAND...     # as root

becomes COMMAND with no more rights than on such a machine. A profile is a user, a set of capabilities, whether a
set-uid program may give rights back, and the system calls that a filter in front of the kernel refuses:

    root            the whole machine
    container       root in a plain `docker run`, in Colab: Docker's default capabilities and its seccomp profile
    pod             uid 1000 on JupyterHub or Binder where the kernel permits user namespaces: no capabilities
    strict-pod      the same with RuntimeDefault's seccomp profile, or on Ubuntu 24.04: no user namespaces
    locked-pod      the same again, and ptrace is refused: proot cannot work either

``--offline`` takes the network away: a network namespace with nothing but lo.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from dataclasses import dataclass

UID = 1000
"""The ordinary user of the pods (jovyan's number in Jupyter's images)."""

_LIBC = ctypes.CDLL(None, use_errno=True)
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _DROP_BOUND, _CLEAR_AMBIENT = 38, 22, 24, (47, 4)
_NEWUSER, _NEWNET = 0x10000000, 0x40000000
_ANY_NAMESPACE = 0x7E020000
_ALLOW, _EPERM = 0x7FFF0000, 0x00050000 | 1
_ENOSYS = 0x00050000 | 38

# moby/profiles, capabilities of a container by default: capabilities(7) has the numbers.
_DOCKER_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
_LAST_CAPABILITY = 40

_NUMBERS = {
    "x86_64": {"ptrace": 101, "process_vm_readv": 310, "unshare": 272, "setns": 308, "mount": 165, "umount2": 166,
               "pivot_root": 155, "clone": 56},
    "aarch64": {"ptrace": 117, "process_vm_readv": 270, "unshare": 97, "setns": 268, "mount": 40, "umount2": 39,
                "pivot_root": 41, "clone": 220},
}  # fmt: skip
_MOUNT_API = (428, 429, 430, 431, 432, 433, 442)  # open_tree to mount_setattr, numbered alike everywhere
_CLONE3 = 435


@dataclass(frozen=True)
class Profile:
    """What a process may do. ``capabilities`` None keeps what root has."""

    uid: int
    capabilities: tuple[int, ...] | None
    no_new_privileges: bool
    namespaces: bool
    ptrace: bool


PROFILES = {
    "root": Profile(0, None, no_new_privileges=False, namespaces=True, ptrace=True),
    "container": Profile(0, _DOCKER_CAPABILITIES, no_new_privileges=False, namespaces=False, ptrace=True),
    "pod": Profile(UID, (), no_new_privileges=True, namespaces=True, ptrace=True),
    "strict-pod": Profile(UID, (), no_new_privileges=True, namespaces=False, ptrace=True),
    "locked-pod": Profile(UID, (), no_new_privileges=True, namespaces=False, ptrace=False),
}


def command(profile: str, *words: str, offline: bool = False) -> list[str]:
    """Give the command line that runs ``words`` as on such a machine; only root can."""
    return [sys.executable, __file__, profile, *(["--offline"] if offline else []), *words]


def become(profile: Profile, *, offline: bool = False) -> None:
    """Give up, in this process, all that ``profile`` does not have."""
    if offline:
        _leave_the_network()
    if profile.capabilities is not None:
        for number in range(_LAST_CAPABILITY + 1):
            if number not in profile.capabilities:
                _LIBC.prctl(_DROP_BOUND, number, 0, 0, 0)  # one that this kernel does not know is not there to drop
    if profile.no_new_privileges:
        _call(_LIBC.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    refused = _refusals(profile)
    if refused:  # as root, who needs no no_new_privs for it
        _install(refused)
    if profile.uid:
        os.setgroups([])
        os.setgid(profile.uid)
        os.setuid(profile.uid)
        _LIBC.prctl(*_CLEAR_AMBIENT, 0, 0, 0)


def _leave_the_network() -> None:
    """Enter a network namespace of our own and bring lo up in it."""
    _call(_LIBC.unshare(_NEWNET))
    import fcntl
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING


def _refusals(profile: Profile) -> bytes:
    numbers = _NUMBERS[os.uname().machine]
    names = () if profile.namespaces else ("unshare", "setns", "mount", "umount2", "pivot_root")
    refused = [numbers[name] for name in names]
    refused += [] if profile.namespaces else _MOUNT_API
    refused += [] if profile.ptrace else [numbers["ptrace"], numbers["process_vm_readv"]]
    if not refused:
        return b""
    program = _instruction(0x20, 0)  # the number of the system call
    for number in refused:
        program += _instruction(0x15, number, 0, 1) + _instruction(0x06, _EPERM)
    if not profile.namespaces:  # clone3 has its flags in memory, so Docker answers that there is no such call
        program += _instruction(0x15, _CLONE3, 0, 1) + _instruction(0x06, _ENOSYS)
        program += _instruction(0x15, numbers["clone"], 0, 4) + _instruction(0x20, 16)
        program += _instruction(0x45, _ANY_NAMESPACE, 0, 1) + _instruction(0x06, _EPERM) + _instruction(0x06, _ALLOW)
    return program + _instruction(0x06, _ALLOW)


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """Write one instruction of the classic BPF (linux/filter.h)."""
    return struct.pack("=HBBI", code, yes, no, value)


def _install(program: bytes) -> None:
    buffer = ctypes.create_string_buffer(program)
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    if os.uname().machine not in _NUMBERS:
        raise SystemExit("no table of system calls for this machine")
    _call(_LIBC.prctl(_SET_SECCOMP, 2, described, 0, 0))


def _call(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main(words: list[str]) -> None:
    """Become a profile, and then the command."""
    name, *rest = words
    offline = rest[:1] == ["--offline"]
    become(PROFILES[name], offline=offline)
    arguments = rest[offline:]
    os.execvp(arguments[0], arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
