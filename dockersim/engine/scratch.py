"""Where a demo or a lesson can have a root of its own for a while: not every machine's /tmp is good for that."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dockersim.content.disk import told_plainly
from dockersim.engine.store import default_root
from dockersim.errors import StoreError

_ROOM: Final = 512 << 20
"""Bytes; the demo's two roots take half of that."""


def scratch_directory(environment: Mapping[str, str]) -> Path:
    """Choose a directory in which roots can be made.

    It is the one for temporary files; where that is missing, small, or may hold no programs (noexec, as on hardened
    servers), one in the root that commands share, if that is better. Raises StoreError if neither can be written to.
    """
    temporary = _temporary()
    if temporary is not None and _is_fit(temporary):
        return temporary
    inside = default_root(environment).absolute() / "scratch"
    try:
        with told_plainly("make", inside):
            inside.mkdir(parents=True, exist_ok=True)
    except StoreError:
        if temporary is None:
            raise
        return temporary
    return inside if temporary is None or _is_fit(inside) else temporary


def _temporary() -> Path | None:
    import tempfile  # takes its time to import

    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # not the system's error: it has tried all that it knows
        return None


def _is_fit(directory: Path) -> bool:
    """Tell whether programs can be run from ``directory``, and there is room for a root."""
    if not hasattr(os, "statvfs"):  # Windows, where nothing is run
        return True
    status = os.statvfs(directory)
    executes = not status.f_flag & getattr(os, "ST_NOEXEC", 0)  # macOS has no such name, and runs nothing either
    return executes and status.f_bavail * status.f_frsize >= _ROOM
