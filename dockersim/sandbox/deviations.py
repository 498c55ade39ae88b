"""How a RUN on each rung differs from a RUN in Docker, in one plain sentence each; shown with the step."""

from __future__ import annotations

from dockersim.sandbox.contract import RungName

_NO_CGROUP = "There are no limits of memory or processor time."
_RECORDED = (
    "Only one user exists: chown goes into the image, but no RUN sees it, as each sees all files as its own user's;"
    " programs that switch to another user only believe that they did.",
    "A device node that a RUN makes goes into the image; the RUN sees an empty file.",
)
_PRETENDED = (
    "Only one user exists, and this kernel does not let us record owners: chown, and programs that switch to another"
    " user, succeed without doing anything.",
    "Device nodes are not made; mknod succeeds without doing anything.",
)

NO_DEVICES = "Devices cannot be made here, so those in /dev are files: /dev/zero and /dev/urandom end."
"""What a chroot without CAP_MKNOD has besides."""


def of_one_user(*, recorded: bool) -> tuple[str, ...]:
    """Say how a RUN in an ordinary user's namespace differs; ``recorded``: there is a ledger of owners."""
    return (*(_RECORDED if recorded else _PRETENDED), _NO_CGROUP)


DEVIATIONS: dict[RungName, tuple[str, ...]] = {
    "namespaces": ("Device nodes that a RUN makes cannot be opened.", _NO_CGROUP),
    "userns": of_one_user(recorded=True),
    "chroot": (
        "Only the file system is isolated: processes, the network and the host name are the host's.",
        "Nothing can be mounted: /proc shows no processes and /sys is empty, so ps, gosu, /dev/stdout and <(...) fail.",
        "What --mount shows is a copy; what is written to a cache is copied back when the command has ended.",
        "Device nodes cannot be made, those of the image are empty files, and no other root directory can be entered.",
        "A command that moves what a mount would hold fast, as /etc/hosts, moves our file into the layer.",
        _NO_CGROUP,
    ),
    "proot": (
        "Only the file system is isolated: processes, the network and the host name are the host's.",
        "Owners and identities are pretended: chown succeeds without doing anything; setpriv cannot switch users.",
        "Device nodes are not made; mknod succeeds without doing anything.",
        "The command is not process 1, and the host's processes are seen in /proc.",
        "Every system call is looked at, so programs run several times slower.",
    ),
    "none": ("RUN cannot be executed.",),
}
