"""Say in plain words why a rung does not work, and what would lift it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dockersim.sandbox.contract import RungName
from dockersim.sandbox.owners import NEEDED as _OWNING
from dockersim.sandbox.owners import lacking, process_status

NOT_LINUX = "this is not Linux"
NO_PROC = "there is no /proc here, by which processes are looked at"
NOT_ROOT = "you are not root"
FEW_USERS = "files cannot be given to others: this root is one of a user namespace that knows only a few users"
NO_OWNERS = "files cannot be given to others"
NO_PROOT = "the program proot is not installed"
NO_PLACE = "nothing can be written where dockersim keeps its files"
NO_EXECUTION = "programs may not be executed where dockersim keeps its files (noexec)"

_ELSEWHERE = {
    "win32": "build in WSL2",
    "darwin": "build in a Linux virtual machine",
    "linux": "run 'dockersim info' to see why",
}
# (a setting of the kernel, the value that refuses, which rung, why, what to do)
_SETTINGS: tuple[tuple[str, str, RungName, str, str], ...] = (
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "userns",
        "AppArmor refuses user namespaces to ordinary users (Ubuntu 23.10 and later do)",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "userns",
        "this system refuses user namespaces to ordinary users",
        "sudo sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "user/max_user_namespaces",
        "0",
        "userns",
        "this system allows no user namespaces at all",
        "sudo sysctl -w user.max_user_namespaces=10000",
    ),
    (
        "kernel/yama/ptrace_scope",
        "3",
        "proot",
        "this system allows nobody to trace a process (kernel.yama.ptrace_scope is 3)",
        "set kernel.yama.ptrace_scope below 3 in /etc/sysctl.d and restart the machine",
    ),
)
_SWITCHING = {"SETUID": 7, "SETGID": 6}  # capabilities(7)
_NEEDED: dict[RungName, dict[str, int]] = {
    "namespaces": {"SYS_ADMIN": 21, "NET_ADMIN": 12} | _OWNING | _SWITCHING,
    "chroot": {"SYS_CHROOT": 18} | _OWNING | _SWITCHING,
}
_KNOWN = {
    NOT_LINUX: "",
    NO_PROC: "mount -t proc proc /proc, as root; or start the container around this as usual, with a /proc",
    NOT_ROOT: "run it as root; or use the best rung that works",
    FEW_USERS: "map a whole range of users into it, as podman does with /etc/subuid; or use the best rung that works",
    NO_PLACE: "set DOCKERSIM_HOME to a directory that you may write to",
    NO_EXECUTION: "set DOCKERSIM_HOME to a directory on another file system",
    NO_PROOT: "install it: apt install proot, dnf install proot, or conda install -c conda-forge proot",
}
_REMEDIES: dict[RungName, str] = {
    "namespaces": "start the container around this with --privileged",
    "userns": "allow user namespaces, on your own machine; in a pod or container use another rung",
    "chroot": "start the container around this with its usual capabilities",
    "proot": "allow ptrace: a seccomp profile that has it, kernel.yama.ptrace_scope below 3",
}
_FILTERED = "the container around this lets nobody {what} (a seccomp profile, as docker's default)"
_BEGINNING = "the command cannot be started: "


def instead(platform: str) -> str:
    """Say what to do where no rung can run anything; ``platform`` is Python's name of the system."""
    return f"{_ELSEWHERE.get(platform, 'build on Linux')}, open the lessons on Binder, or replay a recorded build"


def explain(name: RungName, complaint: str, status: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Turn what a trial run said into (because, remedy). ``status`` is what ``process_status`` tells."""
    if complaint in _KNOWN:
        return complaint, _KNOWN[complaint]
    for setting, forbids, rung, because, remedy in _SETTINGS:
        if rung == name and _setting(setting) == forbids:
            return because, remedy
    return _of_process(name, complaint, process_status() if status is None else status)


def _of_process(name: RungName, complaint: str, status: Mapping[str, str]) -> tuple[str, str]:
    """Look for the reason in what this process may do."""
    missing = lacking(_NEEDED.get(name, {}), status)
    if missing:
        return f"root lacks {', '.join(missing)} here, as in a container", _REMEDIES[name]
    first = complaint.removeprefix(_BEGINNING).partition("\n")[0]
    if "/proc" in first and "mount" in first:
        return first, "start the container around this with --security-opt systempaths=unconfined"
    refused = "not permitted" in complaint and status.get("Seccomp") == "2"
    if refused and name == "proot" and "ptrace" in complaint:
        return _FILTERED.format(what="trace a process"), _REMEDIES[name]
    if refused and ("unshare" in complaint or "pivot_root" in complaint):
        remedy = "start it with --security-opt seccomp=unconfined, or in Kubernetes with seccompProfile Unconfined"
        return _FILTERED.format(what="make namespaces"), remedy
    return first, _REMEDIES.get(name, "")


def settings() -> list[str]:
    """Give the settings of the kernel that decide about a rung, as they are now."""
    return [_setting(name) for name, *_ in _SETTINGS]


def _setting(name: str) -> str:
    try:
        return (Path("/proc/sys") / name).read_text(encoding="ascii").strip()
    except OSError:  # this kernel has no such setting
        return ""
