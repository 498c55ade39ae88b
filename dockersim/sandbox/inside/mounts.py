"""What a container sees besides its image: /dev, /proc, /sys, the sandbox's own files, and the mounts asked for.

The list is runc's (``libcontainer/specconv/example.go``) and Docker's (moby/moby, ``oci/defaults.go``).
"""

from __future__ import annotations

import os
import stat

from . import kernel
from .rootfs import CannotPrepare, Root, restrict

TYPE_CHECKING = False  # not from typing: importing that takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

_PLAIN = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
LINKS = {
    "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx", "core": "/proc/kcore",
}  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware",
)  # fmt: skip


def mount_all(root: Root, spec: dict[str, Any], *, real_root: bool) -> None:
    """Mount everything into ``root``, which is not yet the root of this process."""
    dev, proc, sys = (own_directory(root, name, spec["mounts"]) for name in ("dev", "proc", "sys"))
    # A file system in memory that nobody will see, hidden where /proc comes: what is bound from it stays.
    kernel.mount("scratch", _at(proc), "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, "mode=700")
    scratch = os.open("proc", os.O_PATH | os.O_CLOEXEC, dir_fd=root.descriptor)
    _fill_dev(root, dev, scratch if real_root else None)
    for number, (path, content, only_if_parent) in enumerate(spec["files"]):
        _own_file(root, scratch, str(number), path, content, only_if_parent=only_if_parent)
    kernel.unmount(_at(scratch))
    os.close(scratch)
    _mount_proc(proc)
    _mount_sys(root, sys)
    for mount in spec["mounts"]:
        _mount_asked(root, mount)


def _at(descriptor: int, name: str = "") -> str:
    """Name what ``descriptor`` is open on, in the way that mount(2) wants it: as a path."""
    return f"/proc/self/fd/{descriptor}/{name}" if name else f"/proc/self/fd/{descriptor}"


def own_directory(root: Root, name: str, mounts: list[dict[str, Any]]) -> int:
    """Open /dev, /proc or /sys of the image, making it as runc does; a link there is refused, as by runc.

    What is made stays in the layer, unless one of ``mounts`` lies in it: what mounts needed, BuildKit takes away again.
    """
    try:
        kind = os.stat(name, dir_fd=root.descriptor, follow_symlinks=False).st_mode
    except FileNotFoundError:
        kind = stat.S_IFDIR
    if not stat.S_ISDIR(kind):
        raise CannotPrepare(f"/{name} of the image is not a directory")
    needed = any(f"{mount['target'].lstrip('/')}/".startswith(f"{name}/") for mount in mounts)
    return root.find(name, make="directory", keep=not needed)


def _fill_dev(root: Root, target: int, scratch: int | None) -> None:
    """Mount a small /dev in memory, with the devices that every program may expect.

    As root the nodes are made on ``scratch`` and bound, so that a device that the command makes does not work (nodev)
    although these do. In a user namespace there are only the host's to bind; read-only, which a device can be written
    to through, but no ``chmod`` gets past: its owner may be who runs us.
    """
    options = "mode=755,size=65536k"
    kernel.mount("tmpfs", _at(target), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_STRICTATIME, options)
    dev = os.open("dev", os.O_PATH | os.O_CLOEXEC, dir_fd=root.descriptor)
    for name, (major, minor) in NODES.items():
        source = f"/dev/{name}"
        if scratch is not None:
            os.mknod(name, 0o666 | stat.S_IFCHR, os.makedev(major, minor), dir_fd=scratch)
            source = _at(scratch, name)
        elif not os.path.exists(source):
            continue
        os.close(os.open(name, os.O_CREAT, 0o666, dir_fd=dev))
        kernel.mount(source, _at(dev, name), "", kernel.MS_BIND)
        if scratch is None:
            restrict(_at(dev, name), kernel.MS_RDONLY)
    for name, goal in LINKS.items():
        if name != "core" or os.path.exists(goal):
            os.symlink(goal, name, dir_fd=dev)
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(name, 0o755, dir_fd=dev)
    _mount_terminals(_at(dev, "pts"))
    kernel.mount("shm", _at(dev, "shm"), "tmpfs", _PLAIN, "mode=1777,size=65536k")
    try:
        kernel.mount("mqueue", _at(dev, "mqueue"), "mqueue", _PLAIN)
    except OSError:  # a kernel without POSIX message queues: nobody will miss them
        os.rmdir("mqueue", dir_fd=dev)
    os.close(dev)


def _mount_terminals(target: str) -> None:
    flags, options = kernel.MS_NOSUID | kernel.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"
    try:
        kernel.mount("devpts", target, "devpts", flags, options + ",gid=5")  # group tty, on every distribution
    except OSError:  # a namespace with one uid has no group 5
        kernel.mount("devpts", target, "devpts", flags, options)


def _own_file(root: Root, scratch: int, name: str, path: str, content: bytes, *, only_if_parent: bool) -> None:
    """Show ``content`` at ``path`` for this run: what the command writes there goes to memory, not to the layer."""
    if only_if_parent:
        try:
            os.close(root.find(path.rpartition("/")[0]))
        except OSError:
            return
    file = os.open(name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=scratch)
    os.write(file, content)
    os.close(file)
    target = root.find(path, make="file")
    kernel.mount(_at(scratch, name), _at(target), "", kernel.MS_BIND)
    os.close(target)


def _mount_proc(target: int) -> None:
    try:
        kernel.mount("proc", _at(target), "proc", _PLAIN)
    except OSError as error:
        raise CannotPrepare("this machine does not let us mount /proc (a container in a container?)") from error


def _mount_sys(root: Root, target: int) -> None:
    """Mount /sys read-only; where the network belongs to another user namespace, show the host's instead."""
    try:
        kernel.mount("sysfs", _at(target), "sysfs", _PLAIN | kernel.MS_RDONLY)
    except OSError:
        kernel.mount("/sys", _at(target), "", kernel.MS_BIND | kernel.MS_REC)
        seen = os.open("sys", os.O_PATH | os.O_CLOEXEC, dir_fd=root.descriptor)
        kernel.make_read_only(_at(seen))
        os.close(seen)


def _mount_asked(root: Root, mount: dict[str, Any]) -> None:
    """Mount one BindMount or TmpfsMount of the specification."""
    if "source" not in mount:
        _mount_tmpfs(root, mount)
        return
    source = mount["source"]
    target = root.find(mount["target"], make=kind_of_source(source))
    kernel.mount(source, _at(target), "", kernel.MS_BIND | kernel.MS_REC)
    os.close(target)
    seen = root.find(mount["target"])  # the same path again now leads onto the mount
    restrict(_at(seen), kernel.MS_NODEV | (kernel.MS_RDONLY if mount["read_only"] else 0))
    os.close(seen)


def _mount_tmpfs(root: Root, mount: dict[str, Any]) -> None:
    """Mount a file system in memory; where a directory is there already, it takes the mode of that, as with runc."""
    made = len(root.stubs)
    target = root.find(mount["target"], make="directory")
    mode = mount["mode"] if len(root.stubs) > made else os.stat(target).st_mode & 0o7777
    size = f",size={mount['size']}" if mount["size"] else ""
    kernel.mount("tmpfs", _at(target), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"mode={mode:o}{size}")
    os.close(target)


def kind_of_source(path: str) -> str:
    """Tell what a mount point for ``path`` of the host must be, as ``Root.find`` wants to hear it."""
    if not os.path.exists(path):
        raise CannotPrepare(f"{path}, which is to be mounted, does not exist")
    return "directory" if os.path.isdir(path) else "file"


def hide_the_kernel() -> None:
    """Mask what tells or does too much in /proc and /sys, after this process has moved into the root."""
    for path in _READ_ONLY:
        if os.path.exists(path):
            kernel.mount(path, path, "", kernel.MS_BIND | kernel.MS_REC)
            restrict(path, kernel.MS_RDONLY)
    for path in _MASKED:
        if os.path.isdir(path):
            kernel.mount("tmpfs", path, "tmpfs", kernel.MS_RDONLY | _PLAIN, "size=0")
        elif os.path.exists(path):
            kernel.mount("/dev/null", path, "", kernel.MS_BIND)
