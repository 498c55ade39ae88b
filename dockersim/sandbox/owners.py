"""Whether this process can give files to others. Root can, but not every root is one.

The root of a container may have been started with fewer capabilities (``docker run --cap-drop ALL``), and the root of a
user namespace knows only the users that were mapped into it (``unshare -r``, a pod with ``hostUsers: false``). Such a
root is an ordinary user to us, whose disk cannot hold the owners of an image.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

NEEDED = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "SETFCAP": 31}
"""What it takes to make any file of any image, and to come back to it (capabilities(7))."""

_USERS = 65536
"""So many users every system has; the ranges of /etc/subuid are as long."""


def can_own() -> bool:
    """Tell whether files can be given to any user here; on Windows nobody can."""
    return hasattr(os, "geteuid") and _can_own(os.geteuid())


@cache
def _can_own(euid: int) -> bool:
    return euid == 0 and not lacking(NEEDED, process_status()) and knows_all_users()


def lacking(capabilities: Mapping[str, int], status: Mapping[str, str]) -> list[str]:
    """Name those of ``capabilities`` that a process with this ``process_status`` has not."""
    has = int(status.get("CapEff", "0"), 16)
    return [f"CAP_{name}" for name, number in capabilities.items() if not has >> number & 1]


def knows_all_users() -> bool:
    """Tell whether all users and groups exist in this user namespace."""
    return all(_known(users) >= _USERS for users in user_maps())


def user_maps() -> list[str]:
    """Tell which users and groups exist here (user_namespaces(7), uid_map); empty where everybody does."""
    found = []
    for name in ("uid_map", "gid_map"):
        with suppress(OSError):  # not Linux, or a kernel without user namespaces
            found.append(Path("/proc/self", name).read_text(encoding="ascii").strip())
    return found


def _known(users: str) -> int:
    """Count the numbers from 0 on that a map has."""
    known = 0
    for first, _, count in sorted(tuple(map(int, line.split())) for line in users.splitlines()):
        if first > known:
            break
        known = max(known, first + count)
    return known


def process_status() -> dict[str, str]:
    """Tell what this process may do, as the kernel says it (proc(5), status); empty where there is no such file."""
    wanted = ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":")[::2] for line in lines)
    return {name: value.strip() for name, value in pairs if name in wanted}
