"""A root file system to run things in, laid out from Debian's static busybox, and what came of it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from dockersim.sandbox import (
    BindMount,
    DirectoryRoot,
    OverlayRoot,
    ProcessSpec,
    RootFilesystem,
    Sandbox,
    Stdio,
    TmpfsMount,
)

PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


# Not all of busybox's: a base is laid out for every test.
APPLETS = (  # noqa: SIM905  # a list of fifty quoted words reads worse
    "cat chgrp chmod chown chroot cp cut dmesg echo env false grep head hostname httpd id insmod kill ln ls mkdir "
    "mknod mount mv nc nsenter ping ps pwd read rm sed setsid sh sleep sort stat su swapoff tar test touch tr true tty "
    "umount wc"
).split()


def busybox() -> str:
    found = shutil.which("busybox")
    assert found, "the tests of the sandbox need busybox (apt-get install busybox-static)"
    return found


def lay_out(place: Path) -> Path:
    """Make the same base as the recorded builds have: no /dev, /proc or /sys."""
    for name in ("bin", "tmp", "etc"):
        (place / name).mkdir(parents=True)
    shutil.copy(busybox(), place / "bin" / "busybox")
    for name in APPLETS:
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
    before: dict[str, object]
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
        return {path for path, content in read_tree(self.top).items() if self.before.get(path) != content}

    @property
    def top(self) -> Path:
        """The directory that takes the writes."""
        return self.root.upper if isinstance(self.root, OverlayRoot) else self.root.path

    def run(self, *argv: str, **changes: object) -> Outcome:
        process = replace(ProcessSpec(argv, PATH, hostname="buildkitsandbox"), **changes)
        self.pieces.clear()
        ended = self.sandbox.run(self.root, process, lambda stream, piece: self.pieces.append((stream, piece)))
        return Outcome(ended.code, self._text("stdout"), self._text("stderr"))

    def sh(self, script: str, **changes: object) -> Outcome:
        return self.run("/bin/sh", "-c", script, **changes)

    @contextmanager
    def started(self, *argv: str) -> Iterator[int]:
        """Have a process running, to be looked at from the host by its pid."""
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            running = self.sandbox.start(self.root, ProcessSpec(argv, PATH), Stdio(nothing, nothing, nothing))
        finally:
            os.close(nothing)
        try:
            self._await_program(running.inhabitant.pid, os.path.basename(argv[0]))
            yield running.inhabitant.pid
        finally:
            running.kill(9)
            running.wait(10)

    def _await_program(self, pid: int, name: str) -> None:
        """Wait until a process is what it should be: under proot it is told of when its way to that has begun."""
        deadline = time.monotonic() + 5
        while Path(f"/proc/{pid}/comm").read_text() != f"{name}\n" and time.monotonic() < deadline:
            time.sleep(0.01)

    def _text(self, stream: str) -> str:
        return b"".join(piece for name, piece in self.pieces if name == stream).decode()


def read_tree(top: Path) -> dict[str, object]:
    """What stands at each path below ``top``: a link's target, a file's size and content, or that it is a directory."""
    found: dict[str, object] = {}
    for at, directories, files in os.walk(top):
        for name in directories + files:
            path = Path(at, name)
            key = str(path.relative_to(top))
            if path.is_symlink():
                found[key] = path.readlink()
            elif path.is_file() and name != "busybox":
                found[key] = path.read_bytes()
            else:
                found[key] = path.is_dir()
    return found


def make_box(sandbox: Sandbox, place: Path, *, overlay: bool) -> Box:
    base = lay_out(place / "base")
    before = read_tree(base)
    if not overlay:
        return Box(sandbox, base, DirectoryRoot(base), before)
    for name in ("upper", "work"):
        (place / name).mkdir()
    return Box(sandbox, base, OverlayRoot((base,), place / "upper", place / "work"), before)


__all__ = ["PATH", "BindMount", "Box", "Outcome", "TmpfsMount", "lay_out", "make_box"]
