"""Where an attack takes place: a root for dockersim, and around it things that nothing may touch."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Listing = dict[str, tuple[object, ...]]

FORBIDDEN = "/hostile-was-here"
"""What absolute names in the corpus lead to; it must never come to be."""


class Arena:
    """A folder with ``home`` (dockersim's root), ``outside`` (which must not change) and ``work`` (the attack)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home, self.outside, self.work = folder / "home", folder / "outside", folder / "work"
        self.temporary, self.current = folder / "tmp", folder / "current"
        for path in (self.outside, self.work, self.temporary, self.current):
            path.mkdir(parents=True)
        _fill(self.outside)
        self._before = self.listing()

    def watch(self) -> None:
        """Take what stands here now for what must stay, after the attack was laid into ``work``."""
        self._before = self.listing()

    def changes(self) -> list[str]:
        """List what has changed outside of ``home`` since ``watch``; what was forgotten in ``tmp``, too."""
        after = self.listing()
        changed = [
            path for path in sorted(self._before.keys() | after.keys()) if self._before.get(path) != after.get(path)
        ]
        return changed + ([FORBIDDEN] if os.path.lexists(FORBIDDEN) else [])

    def listing(self) -> Listing:
        """Read everything but ``home``: kind, mode, owner, names, times, attributes, content."""
        found: Listing = {}
        for at, folders, files in os.walk(self.folder):
            if at == str(self.folder) and "home" in folders:
                folders.remove("home")
            for path in (at, *(os.path.join(at, name) for name in files), *(
                os.path.join(at, name) for name in folders if os.path.islink(os.path.join(at, name)))):  # fmt: skip
                # The arena's own folder has `home` made in it, and temporary files come and go.
                if path != str(self.folder):
                    found[path] = _facts(path, with_times=path != str(self.temporary))
        return found


def _facts(path: str, *, with_times: bool) -> tuple[object, ...]:
    status = os.lstat(path)
    content = b""
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    link = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
    attributes = tuple(sorted((name, os.getxattr(path, name, follow_symlinks=False))
                              for name in os.listxattr(path, follow_symlinks=False)))  # fmt: skip
    times = (status.st_mtime_ns, status.st_ctime_ns) if with_times else ()
    return (
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_ino,
        status.st_nlink,
        *times,
        link,
        content,
        attributes,
    )


def _fill(outside: Path) -> None:
    """Make what an attack would like to change."""
    (outside / "precious").write_text("precious\n")
    (outside / "folder").mkdir()
    (outside / "folder" / "file").write_text("file\n")
    (outside / "link").symlink_to("precious")
    (outside / "tool").write_text("#!/bin/sh\n")
    (outside / "tool").chmod(0o755)


@contextmanager
def arena(folder: Path) -> Iterator[Arena]:
    """Make an arena in ``folder``; while it lasts, temporary files and the working directory lie in it."""
    made = Arena(folder)
    before, before_temporary, place = Path.cwd(), tempfile.tempdir, os.environ.get("TMPDIR")
    os.chdir(made.current)
    tempfile.tempdir = os.environ["TMPDIR"] = str(made.temporary)
    try:
        yield made
    finally:
        os.chdir(before)
        tempfile.tempdir = before_temporary
        os.environ.pop("TMPDIR")
        if place is not None:
            os.environ["TMPDIR"] = place
