"""Say in plain words why a rung does not work, and what would lift it."""

from __future__ import annotations

from pathlib import Path

from dockersim.sandbox.contract import RungName

# (a setting of the kernel, the value that forbids user namespaces, why, what to do)
_SETTINGS = (
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor refuses user namespaces to ordinary users (Ubuntu 23.10 and later do)",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "this system refuses user namespaces to ordinary users",
        "sudo sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "user/max_user_namespaces",
        "0",
        "this system allows no user namespaces at all",
        "sudo sysctl -w user.max_user_namespaces=10000",
    ),
)
NOT_LINUX = "this is not Linux"

_ELSEWHERE = {
    "win32": "build in WSL2",
    "darwin": "build in a Linux virtual machine",
    "linux": "install proot",
}
_REMEDIES: dict[RungName, str] = {
    "namespaces": "start the container with --privileged, or use the next rung",
    "userns": "on your own machine allow user namespaces; in a pod or container use the next rung",
    "proot": "allow ptrace (kernel.yama.ptrace_scope below 3, seccomp profile with ptrace)",
}


def instead(platform: str) -> str:
    """Say what to do where no rung can run anything; ``platform`` is Python's name of the system."""
    return f"{_ELSEWHERE.get(platform, 'build on Linux')}, open the lessons on Binder, or replay a recorded build"


def explain(name: RungName, complaint: str) -> tuple[str, str]:
    """Turn what a trial run said into (because, remedy)."""
    if complaint == NOT_LINUX:
        return complaint, ""
    if complaint == "you are not root":
        return complaint, "run as root; but the next rung does nearly as well"
    if complaint == "the program proot is not installed":
        return complaint, "install proot (apt-get install proot, dnf install proot, conda install proot)"
    if name == "userns":
        for setting, forbids, because, remedy in _SETTINGS:
            if _setting(setting) == forbids:
                return because, remedy
    return complaint, _REMEDIES.get(name, "")


def _setting(name: str) -> str:
    try:
        return (Path("/proc/sys") / name).read_text(encoding="ascii").strip()
    except OSError:  # this kernel has no such setting
        return ""
