"""Become the command of a container in its own root directory only: for root in a container that may mount nothing.

A plain `docker run` and Colab give root CAP_SYS_CHROOT and no CAP_SYS_ADMIN. Owners are real, and processes and the
network are those around. /dev and the sandbox's files are put into the directory for the time of the command
(``covers``). A root directory holds nobody who may change it again, or open the disk below it: so CAP_SYS_CHROOT and
CAP_MKNOD are given up for good, and no descriptor leads out.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import stat
import sys

from . import command, kernel, mounts, namespaces, privilege, seccomp, supervise
from .covers import Covers
from .rootfs import CannotPrepare, Root

TYPE_CHECKING = False  # not from typing: importing that takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

_DENIED = ("SYS_CHROOT", "MKNOD")
_MASK = privilege.DEFAULT_MASK & ~sum(1 << privilege.DEFAULT_CAPABILITIES[name] for name in _DENIED)
_SYS_ADMIN = 21  # without which a filter in front of the kernel costs every set-uid program
_STAND_INS = {"null": 0, "zero": 1 << 20, "random": 1 << 16, "urandom": 1 << 16}
_COPIED = ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version")


def start(spec: dict[str, Any]) -> None:
    """Run the command with its directory as its root, to its end, and see that nothing of it is left."""
    if "path" not in spec["root"]:
        raise CannotPrepare("a chroot cannot mount an overlay")
    if spec["terminal"]:
        from . import terminal  # noqa: F401  # while the host's files are there to import from
    os.umask(0)
    supervise.adopt_orphans()
    directory = spec["root"]["path"]
    root = Root(os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    covers = Covers(root, directory, spec["root"]["aside"])
    try:
        if not spec["beside"]:
            _cover_all(covers, spec)
        pid, setup = supervise.fork(lambda report: _become_command(spec, root))
    except (OSError, CannotPrepare):
        covers.lift()
        raise
    supervise.watch(pid, setup, directory, strays=True, tidy=covers.lift)


def _cover_all(covers: Covers, spec: dict[str, Any]) -> None:
    """Put in place what a container sees besides its image."""
    covers.begin()
    dev, proc, _ = (covers.system_directory(name, spec["mounts"]) for name in ("dev", "proc", "sys"))
    _fill_dev(dev)
    _fill_proc(proc)
    for path, content, only_if_parent in spec["files"]:
        covers.file(path, content, only_if_parent=only_if_parent)
    for mount in spec["mounts"]:
        if "source" in mount:
            covers.copy(mount["source"], mount["target"], read_only=mount["read_only"])
        else:
            covers.memory(mount["target"], mount["mode"])


def _fill_dev(dev: int) -> None:
    """Make the devices that every program may expect; where none can be made or opened, files that are like them.

    Deviation: in a container without CAP_MKNOD the devices of a chroot are files: /dev/zero and /dev/urandom end.
    """
    if not _make_nodes(dev):
        for name, size in _STAND_INS.items():
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=dev)
            os.write(file, os.urandom(size)) if "random" in name else os.truncate(file, size)
            os.close(file)
    for name, goal in mounts.LINKS.items():
        os.symlink(goal, name, dir_fd=dev)
    os.mkdir("shm", 0o1777, dir_fd=dev)
    os.mkdir("pts", 0o755, dir_fd=dev)


def _make_nodes(dev: int) -> bool:
    """Make the nodes and open one; if this is refused none is left, and the answer is no."""
    made = []
    try:
        for name, (major, minor) in mounts.NODES.items():
            os.mknod(name, 0o666 | stat.S_IFCHR, os.makedev(major, minor), dir_fd=dev)
            made.append(name)
        os.close(os.open("null", os.O_RDWR | os.O_CLOEXEC, dir_fd=dev))
    except PermissionError:
        for name in made:
            os.unlink(name, dir_fd=dev)
        return False
    return True


def _fill_proc(proc: int) -> None:
    """Show what can be copied of /proc: what the machine is like, but no process."""
    for name in _COPIED:
        try:
            with open(f"/proc/{name}", "rb") as file:
                content = file.read()
        except OSError:  # there is no /proc here, or it is masked
            continue
        copy = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444, dir_fd=proc)
        os.write(copy, content)
        os.close(copy)


def _become_command(spec: dict[str, Any], root: Root) -> None:
    """Change the root, drop to what may be done there, and become the command. The order matters."""
    command.begin_session(terminal=spec["terminal"])
    os.fchdir(root.descriptor)
    sys.path.clear()  # from here on these paths lead into the image
    os.chroot(".")
    os.chdir("/")
    namespaces.settle(spec["cwd"])
    os.umask(0o022)
    can_filter = kernel.permitted_capabilities() >> _SYS_ADMIN & 1
    privilege.bound_capabilities(_MASK)
    if can_filter:
        seccomp.install(pretend=False, listen=False)
    privilege.become(spec["uid"], spec["gid"], spec["groups"], numbers_are_real=True, allowed=_MASK)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, _signal.SIGKILL)  # last: a change of identity clears it
    command.become(spec["argv"], spec["env"])
