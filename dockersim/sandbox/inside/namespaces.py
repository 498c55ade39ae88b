"""Become the command of a container in namespaces of its own, or in those of one that runs already."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os

from . import command, kernel, mounts, privilege, seccomp, supervise, wire
from .rootfs import CannotPrepare, Root, mount_directory, mount_overlay

TYPE_CHECKING = False  # not from typing: importing that takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

    from .notify import Socket


def start(spec: dict[str, Any]) -> None:
    """Run the command as the first process of new namespaces, to its end."""
    pretend = spec["user_namespace"]
    _import_for(spec)
    if pretend:
        _enter_user_namespace(spec["uid"], spec["gid"])
    kernel.unshare(kernel.CLONE_NEWPID)
    disk = spec["root"].get("upper") or spec["root"]["path"]
    if not spec["ledger"]:
        pid, setup = supervise.fork(lambda report: _become_first(spec, report, None))
        supervise.watch(pid, setup, disk)
        return
    from . import ledger, notify

    ours, theirs = notify.pair()
    pid, setup = supervise.fork(lambda report: _become_first(spec, report, theirs))
    theirs.close()
    supervise.watch(pid, setup, disk, hear=lambda: ledger.hear(ours, spec, disk))


def _import_for(spec: dict[str, Any]) -> None:
    """Import what only some runs need, while the host's files are still there to import from."""
    if spec["network"] != "host":
        from . import network  # noqa: F401
    if spec["terminal"]:
        from . import terminal  # noqa: F401


def _enter_user_namespace(uid: int, gid: int) -> None:
    """Become ``uid`` in a user namespace where the learner's own uid goes by that number, the only one there."""
    outside = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outside[0]} 1"),
        ("gid_map", f"{gid} {outside[1]} 1"),
    ):
        try:
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
        except OSError as error:
            raise CannotPrepare(f"/proc/self/{name} cannot be written: {error.strerror}") from error


def _become_first(spec: dict[str, Any], report: int, ledger: Socket | None) -> None:
    os.umask(0)
    namespaces = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC
    kernel.unshare(namespaces | (0 if spec["network"] == "host" else kernel.CLONE_NEWNET))
    kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    root = _mount_root(spec["root"], user_namespace=spec["user_namespace"])
    try:
        mounts.mount_all(root, spec, real_root=not spec["user_namespace"])
    finally:
        wire.send(report, ("stubs", [(stub.path, stub.is_directory, stub.keep) for stub in root.stubs]))
    os.fchdir(root.descriptor)
    kernel.pivot_root_here()
    os.close(root.descriptor)
    mounts.hide_the_kernel()
    kernel.set_hostname(spec["hostname"])
    if spec["network"] != "host":
        from . import network

        network.bring_up_loopback(spec["address"])
    _become_command(spec, ledger)


def _mount_root(root: dict[str, Any], *, user_namespace: bool) -> Root:
    """Mount the root file system.

    There is no user namespace around root's RUN: in one, mknod would fail and file capabilities would be stored with an
    owner, which Docker's layers do not have. What is dangerous about that is taken away by mounts and capabilities.

    Deviation: the root file system is mounted nodev, so that a device node made by a RUN can't be opened; in Docker
    the device cgroup decides, and lets the harmless ones be.
    """
    if "path" in root:
        return Root(mount_directory(root["path"]))
    options = "userxattr" if user_namespace else "index=off,metacopy=off,redirect_dir=off"
    return Root(mount_overlay(root["lower"], root["upper"], root["work"], options))


def _become_command(spec: dict[str, Any], ledger: Socket | None) -> None:
    """Drop to what a container may do, and become the command. The last steps; their order matters.

    ``ledger`` is where the supervisor waits for the descriptor on which calls are heard, if it is to hear any.
    """
    settle(spec["cwd"])
    os.umask(0o022)
    command.begin_session(terminal=spec["terminal"])
    privilege.bound_capabilities()
    # Before the identity, as it takes CAP_SYS_ADMIN to do without no_new_privs.
    listener = seccomp.install(pretend=spec["user_namespace"], listen=ledger is not None)
    if ledger is not None and listener is not None:
        from .notify import hand_over

        hand_over(ledger, listener, os.stat("/").st_dev.to_bytes(8, "little"))
    numbers_are_real = not spec["user_namespace"]
    privilege.become(spec["uid"], spec["gid"], spec["groups"], numbers_are_real=numbers_are_real)
    # Last: a change of identity clears it. Our supervisor gone, nobody could tidy up after the command.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, _signal.SIGKILL)
    command.become(spec["argv"], spec["env"])


def settle(directory: str) -> None:
    """Go to the working directory, which is made if it is missing, as runc does."""
    try:
        os.makedirs(directory, 0o755, exist_ok=True)
        os.chdir(directory)
    except OSError as error:
        raise CannotPrepare(f"the working directory {directory} cannot be used: {error.strerror}") from error


def enter(spec: dict[str, Any]) -> None:
    """Run the command beside a process that runs already, in that one's namespaces."""
    _import_for(spec)
    spaces = open_namespaces(spec)
    for name in ("user", "pid"):
        if name in spaces:
            kernel.setns(*spaces.pop(name))
    pid, setup = supervise.fork(lambda report: _become_further(spec, spaces))
    supervise.watch(pid, setup, "/")


def open_namespaces(spec: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Open the namespaces of process ``spec["pid"]`` that are not ours: name -> (descriptor, kind).

    ``spec["started"]`` is its start time: a pid alone may by now belong to somebody else.
    """
    kinds = {"user": kernel.CLONE_NEWUSER, "pid": kernel.CLONE_NEWPID, "uts": kernel.CLONE_NEWUTS,
             "ipc": kernel.CLONE_NEWIPC, "net": kernel.CLONE_NEWNET, "mnt": kernel.CLONE_NEWNS}  # fmt: skip
    found = {}
    try:
        for name, kind in kinds.items():
            descriptor = os.open(f"/proc/{spec['pid']}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            if os.fstat(descriptor).st_ino != os.stat(f"/proc/self/ns/{name}").st_ino:
                found[name] = (descriptor, kind)
        if wire.start_time(spec["pid"]) == spec["started"]:
            return found
    except FileNotFoundError:
        pass
    raise CannotPrepare("the process has ended")


def _become_further(spec: dict[str, Any], spaces: dict[str, tuple[int, int]]) -> None:
    for descriptor, kind in spaces.values():
        kernel.setns(descriptor, kind)
    os.chdir("/")
    _become_command(spec, None)
