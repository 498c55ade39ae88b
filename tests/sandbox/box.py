"""A root file system to run things in, laid out from Debian's static busybox, and what came of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from dockersim.sandbox import (
    BindMount,
    DirectoryRoot,
    OverlayRoot,
    ProcessSpec,
    RootFilesystem,
    Sandbox,
    TmpfsMount,
)

PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@cache
def applets() -> tuple[str, ...]:
    listed = subprocess.run([busybox(), "--list"], capture_output=True, text=True, check=True)
    return tuple(name for name in listed.stdout.split() if name != "busybox")


def busybox() -> str:
    found = shutil.which("busybox")
    assert found, "the tests of the sandbox need busybox (apt-get install busybox-static)"
    return found


def lay_out(place: Path) -> Path:
    """Make the same base as the recorded builds have: no /dev, /proc or /sys."""
    for name in ("bin", "tmp", "etc"):
        (place / name).mkdir(parents=True)
    shutil.copy(busybox(), place / "bin" / "busybox")
    for name in applets():
        (place / "bin" / name).symlink_to("busybox")
    (place / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return place


@dataclass
class Outcome:
    code: int
    out: str
    err: str


@dataclass
class Box:
    """One root file system on one rung. ``base`` is the image, ``root`` what to run in."""

    sandbox: Sandbox
    base: Path
    root: RootFilesystem
    pieces: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.sandbox.rung.name

    @property
    def isolated(self) -> bool:
        """It has process 1, a name and a network of its own."""
        return self.name in ("namespaces", "userns")

    @property
    def overlay(self) -> bool:
        return isinstance(self.root, OverlayRoot)

    def written(self) -> set[str]:
        """The paths that are new or changed, without the directories that a copy-up touched."""
        top = self.root.upper if isinstance(self.root, OverlayRoot) else self.root.path
        found = {os.path.relpath(os.path.join(at, name), top) for at, ds, fs in os.walk(top) for name in ds + fs}
        return {path for path in found if not (self.base_had / path).exists() or not self.overlay_copy(path)}

    @property
    def base_had(self) -> Path:
        return self.base.with_name("pristine")

    def overlay_copy(self, path: str) -> bool:
        """It is in the base just the same."""
        top = self.root.upper if isinstance(self.root, OverlayRoot) else self.root.path
        mine, base = top / path, self.base_had / path
        if mine.is_symlink() or mine.is_dir():
            return mine.is_symlink() == base.is_symlink() and mine.is_dir() == base.is_dir()
        return mine.is_file() and mine.read_bytes() == base.read_bytes()

    def run(self, *argv: str, **changes: object) -> Outcome:
        process = replace(ProcessSpec(argv, PATH, hostname="buildkitsandbox"), **changes)  # type: ignore[arg-type]
        self.pieces.clear()
        ended = self.sandbox.run(self.root, process, lambda stream, piece: self.pieces.append((stream, piece)))
        return Outcome(ended.code, self._text("stdout"), self._text("stderr"))

    def sh(self, script: str, **changes: object) -> Outcome:
        return self.run("/bin/sh", "-c", script, **changes)

    def _text(self, stream: str) -> str:
        return b"".join(piece for name, piece in self.pieces if name == stream).decode()


def make_box(sandbox: Sandbox, place: Path, *, overlay: bool) -> Box:
    base = lay_out(place / "base")
    shutil.copytree(base, place / "pristine", symlinks=True)
    if not overlay:
        return Box(sandbox, base, DirectoryRoot(base))
    for name in ("upper", "work"):
        (place / name).mkdir()
    return Box(sandbox, base, OverlayRoot((base,), place / "upper", place / "work"))


__all__ = ["PATH", "BindMount", "Box", "Outcome", "TmpfsMount", "lay_out", "make_box"]
