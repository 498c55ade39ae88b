"""The system calls that Python 3.11 has no name for, by ctypes. Numbers are the kernel's (``include/uapi``)."""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False  # not from typing: importing that takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_STRICTATIME = 4096, 16384, 1 << 18, 1 << 24
MNT_DETACH = 2

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH = -100, 0x100, 0x1000
RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 2, 4, 8, 16

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_SECCOMP = 1, 24, 22
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47
_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """Mount ``source`` at ``target``, see mount(2)."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), os.fsencode(data) or None
    )
    _check(result, f"mount {kind or source}")


def make_read_only(target: str) -> None:
    """Make the mount at ``target``, and all mounts below it, read-only (mount_setattr(2), Linux 5.12)."""
    attributes = (ctypes.c_uint64 * 4)(1, 0, 0, 0)  # MOUNT_ATTR_RDONLY
    result = _libc.syscall(442, AT_FDCWD, os.fsencode(target), 0x8000, attributes, 32)  # AT_RECURSIVE
    _check(result, "mount_setattr")


def unmount(target: str) -> None:
    """Take the mount at ``target`` out of the tree; what is in use lives on until it no longer is."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), "umount")


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Move this process into the namespace that ``descriptor`` stands for."""
    _check(_libc.setns(descriptor, kind), "setns")


def pivot_root_here() -> None:
    """Make the working directory, which is a mount, the root, and drop the old root.

    Both arguments the same: the old root comes to lie on top of the new one, and is then unmounted (pivot_root(2)).
    """
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    unmount(".")
    os.chdir("/")


def set_hostname(name: str) -> None:
    """Set the name of this machine in this UTS namespace."""
    raw = name.encode()
    _check(_libc.sethostname(raw, len(raw)), "sethostname")


def prctl(option: int, first: int = 0, second: int = 0) -> int:
    """Do an operation on this process, see prctl(2)."""
    words = [ctypes.c_ulong(value) for value in (first, second, 0, 0)]
    return _check(_libc.prctl(option, *words), "prctl")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install_filter(program: bytes) -> None:
    """Hand the kernel a seccomp filter, ``program`` being its BPF instructions of eight bytes each."""
    whole = _Program(len(program) // 8, program)
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(whole))


def install_filter_with_listener(number: int, program: bytes) -> int:
    """Hand the kernel a filter, and return the descriptor on which it tells of the calls that want an answer.

    ``number`` is seccomp(2)'s own on this machine. Raises OSError where the kernel is too old (before Linux 5.0), or
    where somebody who filters us has such a descriptor already.
    """
    whole = _Program(len(program) // 8, program)
    return _check(_libc.syscall(number, 1, 8, ctypes.byref(whole)), "seccomp")  # SET_MODE_FILTER, NEW_LISTENER


def control(descriptor: int, request: int, argument: bytearray | int) -> None:
    """Do ``request`` of a device or the like with ``argument``, see ioctl(2)."""
    if isinstance(argument, int):
        value: Any = ctypes.c_ulong(argument)
    else:
        value = (ctypes.c_char * len(argument)).from_buffer(argument)
    _check(_libc.ioctl(descriptor, ctypes.c_ulong(request), value), "ioctl")


def permitted_capabilities() -> int:
    """Give the mask of the capabilities that this process has."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    data = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(header, data), "capget")
    return int(data[1] | data[4] << 32)


def set_capabilities(allowed: int) -> None:
    """Make ``allowed``, a mask of capability numbers, what this process may and does use; it inherits none."""
    low, high = allowed & 0xFFFFFFFF, allowed >> 32
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)  # of this process
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    _check(_libc.capset(header, data), "capset")


def open_below(directory: int, path: bytes, flags: int, resolve: int) -> int:
    """Open ``path`` below ``directory``, no further than ``resolve`` allows (openat2(2), Linux 5.6)."""
    how = (ctypes.c_uint64 * 3)(flags | os.O_CLOEXEC, 0, resolve)
    return _check(_libc.syscall(437, directory, path, how, ctypes.sizeof(how)), "openat2")


def chown_to_the_same(descriptor: int) -> None:
    """Change the owner of what ``descriptor`` is open on (O_PATH will do) to who it is, with all that comes of it.

    Overlayfs copies the file up, its ctime moves, set-uid, set-gid and file capabilities go: as for any other owner.
    """
    _check(_libc.fchownat(descriptor, b"", -1, -1, AT_EMPTY_PATH), "fchownat")


def file_handle(directory: int, path: bytes = b"") -> bytes:
    """Name the file at ``path``, or that ``directory`` is open on, as no other on its disk is or will be named.

    An inode's number is used again when the file is gone; the handle has a generation besides. Empty on a disk that
    gives none (name_to_handle_at(2)). A link is not followed.
    """
    size = 128  # MAX_HANDLE_SZ
    handle = (ctypes.c_uint32 * (2 + size // 4))(size)
    mount = ctypes.c_int()
    flags = 0 if path else AT_EMPTY_PATH
    if _libc.name_to_handle_at(directory, path, handle, ctypes.byref(mount), flags) < 0:
        return b""
    return bytes(handle)[4 : 8 + handle[0]]
