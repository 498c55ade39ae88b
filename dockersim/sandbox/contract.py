"""What a sandbox is asked, and what it answers: the contract that every rung of the ladder keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

RungName = Literal["namespaces", "userns", "chroot", "proot", "none"]
"""The rungs, best first: namespaces as root, namespaces as an ordinary user, chroot, proot, nothing."""

Stream = Literal["stdout", "stderr"]
OutputSink = Callable[[Stream, bytes], None]
"""Is called with each piece of output as it comes, from the thread that called ``run``."""


@dataclass(frozen=True, slots=True)
class OverlayRoot:
    """A root file system made of directories in overlayfs form, which the runner mounts in its own mount namespace.

    ``lower`` is lowest last (as in the mount option); ``upper`` takes the writes.
    """

    lower: tuple[Path, ...]
    upper: Path
    work: Path


@dataclass(frozen=True, slots=True)
class DirectoryRoot:
    """A root file system that is a plain directory and is changed in place."""

    path: Path


RootFilesystem = OverlayRoot | DirectoryRoot


@dataclass(frozen=True, slots=True)
class BindMount:
    """A file or directory of the host that is seen at ``target`` inside, for this run only."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class TmpfsMount:
    """An empty file system in memory at ``target``; ``size`` in bytes, 0 for the kernel's default."""

    target: str
    size: int = 0
    mode: int = 0o1777


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process to run in a root file system.

    ``argv[0]`` is looked up in ``env["PATH"]`` inside the root. ``env`` is the whole environment. ``cwd`` is made if
    it is missing. ``uid``/``gid``/``groups`` are numbers inside the root. ``network`` is "host" (the host's), or
    "none" (only lo), or "container" (lo, which also carries ``address``). ``hostname`` is the UTS name.
    ``hosts`` are further lines of /etc/hosts as (name, address). ``stdin`` is the bytes to feed, or None for nothing.
    ``terminal`` asks for a pty wired to the caller's own terminal.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    hostname: str = "dockersim"
    network: Literal["host", "none", "container"] = "host"
    address: str = ""
    hosts: tuple[tuple[str, str], ...] = ()
    mounts: tuple[BindMount | TmpfsMount, ...] = ()
    stdin: bytes | None = None
    terminal: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: ``code`` is 0 to 255 (128 + N when signal N killed it); ``seconds`` of wall time."""

    code: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung as the probe found it on this machine.

    ``works`` says whether it can be used; ``because`` why not, in plain words; ``remedy`` what would lift it.
    ``overlay`` says whether overlayfs can be mounted on it. ``deviations`` are the ways in which a RUN on this rung
    differs from Docker, one plain sentence each.
    """

    name: RungName
    works: bool
    because: str = ""
    remedy: str = ""
    overlay: bool = False
    deviations: tuple[str, ...] = ()


class Sandbox(Protocol):
    """Runs one process at a time in a root file system."""

    @property
    def rung(self) -> Rung:
        """The rung this sandbox stands on."""

    def run(self, root: RootFilesystem, process: ProcessSpec, output: OutputSink) -> Exit:
        """Run ``process`` in ``root`` to its end, and everything it left behind to death.

        Before: nobody else uses ``root``. After: ``root`` holds what the process wrote, without anything of the
        sandbox's own (no /dev node, resolv.conf or empty mount point, except the empty /dev, /proc and /sys that
        runc leaves too, when the root lacked them); no process and no mount is left, also after KeyboardInterrupt,
        which is passed on, and after kill -9 of the caller. Raises SandboxError if the process cannot be started
        at all; a program that is not found is no error but an Exit with runc's code and message.
        """

    def cancel(self) -> None:
        """Kill the process that ``run`` waits for, from any thread; that ``run`` then raises Cancelled."""
