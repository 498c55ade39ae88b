"""The filter in front of the kernel, as BPF instructions put together by hand.

Three tables. ``FORBIDDEN`` is what Docker's default profile (moby/profiles, seccomp/default.json) refuses to a process
without CAP_SYS_ADMIN and its kin, turned round into a list of what is refused. ``PRETENDED`` is for the namespaces of
an ordinary user, where only one uid exists: changing owners and identities "succeeds" and does nothing, so that apt,
dpkg, useradd and tar as root do their work (an idea of Charliecloud's ``--force=seccomp``). ``RECORDED`` is the part
of that which an image keeps, owners and devices: where the kernel lets a supervisor decide over a call
(seccomp_unotify(2)), these are asked of ``ledger``, which writes them down.
"""

from __future__ import annotations

import os
import struct

from . import kernel

EPERM, ENOSYS = 1, 38
_ALLOW, _ERRNO, _USER_NOTIF = 0x7FFF0000, 0x00050000, 0x7FC00000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little endian
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _MASK, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ANY_NAMESPACE = 0x7E020000  # the CLONE_NEW* bits of clone's flags
_TYPE_OF_FILE, _CHARACTER, _BLOCK = 0o170000, 0o020000, 0o060000
_X32 = 0x40000000

# The mount API, io_uring and the like came when the architectures had agreed on one numbering.
_EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442, 443)

_X86_64 = {
    "acct": 163, "add_key": 248, "bpf": 321, "clock_settime": 227, "create_module": 174, "delete_module": 176,
    "fanotify_init": 300, "finit_module": 313, "get_kernel_syms": 177, "get_mempolicy": 239, "init_module": 175,
    "ioperm": 173, "iopl": 172, "kexec_file_load": 320, "kexec_load": 246, "keyctl": 250, "lookup_dcookie": 212,
    "mbind": 237, "migrate_pages": 256, "mount": 165, "move_pages": 279, "nfsservctl": 180,
    "open_by_handle_at": 304, "perf_event_open": 298, "pivot_root": 155, "query_module": 178, "quotactl": 179,
    "reboot": 169, "request_key": 249, "set_mempolicy": 238, "setdomainname": 171, "sethostname": 170, "setns": 308,
    "settimeofday": 164, "swapoff": 168, "swapon": 167, "sysfs": 139, "syslog": 103, "umount2": 166, "unshare": 272,
    "uselib": 134, "userfaultfd": 323, "ustat": 136, "vhangup": 153, "_sysctl": 156,
}  # fmt: skip
_AARCH64 = {
    "acct": 89, "add_key": 217, "bpf": 280, "clock_settime": 112, "delete_module": 106, "fanotify_init": 262,
    "finit_module": 273, "get_mempolicy": 236, "init_module": 105, "kexec_file_load": 294, "kexec_load": 104,
    "keyctl": 219, "lookup_dcookie": 18, "mbind": 235, "migrate_pages": 238, "mount": 40, "move_pages": 239,
    "nfsservctl": 42, "open_by_handle_at": 265, "perf_event_open": 241, "pivot_root": 41, "quotactl": 60,
    "reboot": 142, "request_key": 218, "set_mempolicy": 237, "setdomainname": 162, "sethostname": 161, "setns": 268,
    "settimeofday": 170, "swapoff": 225, "swapon": 224, "syslog": 116, "umount2": 39, "unshare": 97,
    "userfaultfd": 282, "vhangup": 58,
}  # fmt: skip
FORBIDDEN = {"x86_64": _X86_64, "aarch64": _AARCH64}

RECORDED = {
    "x86_64": {92: "chown", 93: "fchown", 94: "lchown", 260: "fchownat", 133: "mknod", 259: "mknodat"},
    "aarch64": {55: "fchown", 54: "fchownat", 33: "mknodat"},
}
PRETENDED = {
    "x86_64": {
        "setuid": 105, "setgid": 106, "setreuid": 113, "setregid": 114, "setgroups": 116, "setresuid": 117,
        "setresgid": 119, "setfsuid": 122, "setfsgid": 123, "capset": 126,
    },
    "aarch64": {
        "setuid": 146, "setgid": 144, "setreuid": 145, "setregid": 143, "setgroups": 159, "setresuid": 147,
        "setresgid": 149, "setfsuid": 151, "setfsgid": 152, "capset": 91,
    },
}  # fmt: skip
_MODE_OF_NODE = {"mknod": 1, "mknodat": 2}  # which argument it is
SECCOMP = {"x86_64": 317, "aarch64": 277}
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _answer(error: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | error)


def _on_number(number: int, then: bytes) -> bytes:
    """Do ``then``, which must end in a return, for the system call ``number``."""
    return _instruction(_EQUAL, number, 0, len(then) // 8) + then


def _without_namespaces() -> bytes:
    look = _instruction(_LOAD, _FIRST_ARGUMENT) + _instruction(_ANY_BIT, _ANY_NAMESPACE, 0, 1)
    return look + _answer(EPERM) + _instruction(_RETURN, _ALLOW)


def _without_guard() -> bytes:
    look = _instruction(_LOAD, _FIRST_ARGUMENT) + _instruction(_EQUAL, _SET_DUMPABLE, 0, 1)
    return look + _answer(0) + _instruction(_RETURN, _ALLOW)


def _on_devices(argument: int, answer: bytes) -> bytes:
    """Give ``answer`` if a device is to be made; all else, pipes and the like, a user may make."""
    mode = _instruction(_LOAD, _FIRST_ARGUMENT + 8 * argument) + _instruction(_MASK, _TYPE_OF_FILE)
    device = _instruction(_EQUAL, _CHARACTER, 1, 0) + _instruction(_EQUAL, _BLOCK, 0, 1)
    return mode + device + answer + _instruction(_RETURN, _ALLOW)


def program(machine: str, *, pretend: bool, listen: bool = False) -> bytes:
    """Assemble the filter for ``machine``; empty where we have no table for it.

    ``pretend``: the owners and identities that an ordinary user cannot have are pretended. ``listen``: those that are
    ``RECORDED`` wait for a supervisor's answer.

    Deviation: programs of another architecture (i386 on x86_64, x32) get ENOSYS; Docker's profile lets them run.
    """
    if machine not in FORBIDDEN:
        return b""
    parts = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, _AUDIT[machine], 1, 0),
        _answer(ENOSYS),
        _instruction(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        parts += [_instruction(_AT_LEAST, _X32, 0, 1), _answer(ENOSYS)]
    parts += [_on_number(number, _answer(EPERM)) for number in (*FORBIDDEN[machine].values(), *_EVERYWHERE)]
    # clone3's flags lie in memory, where a filter can't look; ENOSYS makes libc use clone instead.
    parts += [_on_number(_CLONE3, _answer(ENOSYS)), _on_number(_CLONE[machine], _without_namespaces())]
    if pretend:
        parts += _pretence(machine, _instruction(_RETURN, _USER_NOTIF) if listen else _answer(0))
    return b"".join(parts) + _instruction(_RETURN, _ALLOW)


def _pretence(machine: str, recorded: bytes) -> list[bytes]:
    parts = [_on_number(number, _answer(0)) for number in PRETENDED[machine].values()]
    for number, name in RECORDED[machine].items():
        argument = _MODE_OF_NODE.get(name)
        parts.append(_on_number(number, recorded if argument is None else _on_devices(argument, recorded)))
    return parts


# System calls with a path in them that are younger than Debian's proot, which would let them see the host's files.
# Whoever uses one falls back to an older one, as on an older kernel: statx, renameat2, execveat, openat2 and so on.
_YOUNGER = {"x86_64": (316, 322, 332), "aarch64": (276, 281, 291)}
_YOUNGER_EVERYWHERE = (*_EVERYWHERE, 437, 439, 452, 463, 464, 465, 466, 467, 468, 469)
_PRCTL, _SET_DUMPABLE = {"x86_64": 157, "aarch64": 167}, 4


def program_for_proot(machine: str) -> bytes:
    """Assemble the filter that hides from programs under proot what proot does not translate.

    A program that guards its memory, as sudo and ssh-agent do (PR_SET_DUMPABLE), guards it from proot, too, which can
    then translate no path of it; so it only believes that it does.
    """
    if machine not in _YOUNGER:
        return b""
    numbers = (*_YOUNGER[machine], *_YOUNGER_EVERYWHERE)
    answers = b"".join(_on_number(number, _answer(ENOSYS)) for number in numbers)
    answers += _on_number(_PRCTL[machine], _without_guard())
    other = _instruction(_LOAD, _ARCHITECTURE) + _instruction(_EQUAL, _AUDIT[machine], 1, 0)
    allow = _instruction(_RETURN, _ALLOW)
    return other + allow + _instruction(_LOAD, _NUMBER) + answers + allow


def install(*, pretend: bool, listen: bool) -> int | None:
    """Put the filter of this machine in front of this process, and of all that it will become and start.

    Return the descriptor on which the kernel asks what to answer if ``listen`` and it can; else what would have been
    asked is pretended.
    """
    machine = os.uname().machine
    if listen and machine in SECCOMP:
        try:
            os.close(kernel.open_below(kernel.AT_FDCWD, b"/", os.O_PATH, 0))  # what ``caller`` cannot do without
            return kernel.install_filter_with_listener(SECCOMP[machine], program(machine, pretend=pretend, listen=True))
        except OSError:  # a kernel before 5.6, or a filter around us that has a supervisor of its own
            pass
    plain = program(machine, pretend=pretend)
    if plain:
        kernel.install_filter(plain)
    return None
