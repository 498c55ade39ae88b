"""Find the processes of a chroot that outlived their supervisor, and end them.

A command in a chroot sees the host's processes, so it may kill the one that would have ended all it started. What is
left of it could still change the tree it is in, while that is put back for the next command.
"""

from __future__ import annotations

import os
import time


def end_strays(tree: str) -> None:
    """Kill every process whose root directory is ``tree``, or lies in it, until there is none."""
    within = os.path.realpath(tree)
    while found := [pid for pid in os.listdir("/proc") if pid.isdigit() and _is_within(pid, within)]:
        for pid in found:
            try:
                os.kill(int(pid), 9)
            except ProcessLookupError:  # it has ended by itself
                pass
        time.sleep(0.001)


def _is_within(pid: str, tree: str) -> bool:
    try:
        root = os.readlink(f"/proc/{pid}/root")
    except OSError:  # it has ended, or is somebody else's
        return False
    return f"{root}/".startswith(f"{tree}/")
