"""What a sandbox is asked, and what it answers: the contract that every rung of the ladder keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct, field

from dockersim.errors import SandboxError

if TYPE_CHECKING:
    from socket import socket

RungName = Literal["namespaces", "userns", "chroot", "proot", "none"]
"""The rungs, best first: namespaces as root, namespaces as an ordinary user, chroot, proot, nothing."""

Stream = Literal["stdout", "stderr"]
OutputSink = Callable[[Stream, bytes], None]
"""Is called with each piece of output as it comes, from the thread that called ``run``."""


class OverlayRoot(Struct, frozen=True):
    """A root file system made of directories in overlayfs form, which the runner mounts in its own mount namespace.

    ``lower`` is lowest last (as in the mount option); ``upper`` takes the writes.
    """

    lower: tuple[Path, ...]
    upper: Path
    work: Path


class DirectoryRoot(Struct, frozen=True):
    """A root file system that is a plain directory and is changed in place."""

    path: Path

    @property
    def aside(self) -> Path:
        """Where a sandbox that cannot mount moves what it must hide of the directory while a process runs."""
        return self.path.with_name(f"{self.path.name}.aside")


RootFilesystem = OverlayRoot | DirectoryRoot


class BindMount(Struct, frozen=True):
    """A file or directory of the host that is seen at ``target`` inside, for this run only."""

    source: Path
    target: str
    read_only: bool = True


class TmpfsMount(Struct, frozen=True):
    """An empty file system in memory at ``target``; ``size`` in bytes, 0 for the kernel's default."""

    target: str
    size: int = 0
    mode: int = 0o1777


class ProcessSpec(Struct, frozen=True):
    """One process to run in a root file system.

    ``argv[0]`` is looked up in ``env["PATH"]`` inside the root. ``env`` is the whole environment. ``cwd`` is made if
    it is missing. ``uid``/``gid``/``groups`` are numbers inside the root. ``network`` is "host" (the host's), or
    "none" (only lo), or "container" (lo, which also carries ``address``). ``hostname`` is the UTS name.
    ``hosts`` are further lines of /etc/hosts as (name, address). ``etc_hostname`` shows the name in /etc/hostname
    too, as `docker run` does and a RUN does not. ``stdin`` is the bytes to feed, or None for nothing.
    ``terminal`` asks for a pty: ``run`` wires it to the caller's own terminal, ``start`` hands it out.
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
    etc_hostname: bool = False
    mounts: tuple[BindMount | TmpfsMount, ...] = ()
    stdin: bytes | None = None
    terminal: bool = False


class Recorded(Struct, frozen=True):
    """What a process made of one file that the disk could not hold; None is as it was.

    ``handle`` tells the file from another that has its inode later on; empty where the disk knows no such thing.
    ``device`` is a node's type (S_IFCHR or S_IFBLK), its major and its minor number: an empty file holds its place.
    ``copied``: the owner is as the process sees every file's, and was perhaps copied from one that stood there before.
    """

    handle: bytes
    uid: int | None = None
    gid: int | None = None
    device: tuple[int, int, int] | None = None
    copied: bool = False


class Exit(Struct, frozen=True):
    """How a process ended: ``code`` is 0 to 255 (128 + N when signal N killed it); ``seconds`` of wall time.

    On a rung without other users, ``recorded`` is by inode what the process would have done to owners and devices;
    ``recorded_all`` says that nothing of it was missed.
    """

    code: int
    seconds: float
    recorded: Mapping[int, Recorded] = field(default_factory=dict)
    recorded_all: bool = False


class Rung(Struct, frozen=True):
    """One rung as the probe found it on this machine.

    ``works`` says whether it can be used; ``because`` why not, in plain words; ``remedy`` what would lift it.
    ``overlay`` says whether overlayfs can be mounted on it. ``deviations`` are the ways in which a RUN on this rung
    differs from Docker, one plain sentence each. ``proot_without_seccomp``: proot works, but not with its own
    seccomp filter.
    """

    name: RungName
    works: bool
    because: str = ""
    remedy: str = ""
    overlay: bool = False
    deviations: tuple[str, ...] = ()
    proot_without_seccomp: bool = False


class Inhabitant(Struct, frozen=True):
    """A process that runs in a sandbox, in a form that can be stored: another program may enter where it lives.

    ``pid`` is the host's number for it, and ``started`` its start time, without which a pid may mean somebody else.
    """

    pid: int
    started: int


class Stdio(Struct, frozen=True):
    """The descriptors that a started process gets as its own; the caller keeps, and closes, its copies."""

    stdin: int
    stdout: int
    stderr: int


class ProgramNotFound(SandboxError):
    """The command's program is missing (``exit_code`` 127) or cannot be executed (126), as a shell would say."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Running(Protocol):
    """A process that was started. It dies with the program that holds this handle, whatever happens to that."""

    @property
    def inhabitant(self) -> Inhabitant:
        """Who it is, for ``Sandbox.enter`` and ``Sandbox.dial``."""

    @property
    def terminal(self) -> int | None:
        """The controlling end of its terminal, if it was started with one; the caller closes it."""

    def wait(self, timeout: float | None = None) -> Exit | None:
        """Wait for its end, at most ``timeout`` seconds: how it ended, or None if it has not.

        After an Exit all that it left behind is dead, and the root is as ``Sandbox.run`` leaves it. Repeatable.
        """

    def kill(self, signal: int) -> None:
        """Send it ``signal``; nothing happens if it has ended."""

    def fileno(self) -> int:
        """A descriptor that becomes readable when ``wait(0)`` has news, for a loop that waits for several things."""


class Dialer(Protocol):
    """Makes connections inside the network namespace of a process."""

    def connect(self, address: str, port: int) -> socket:
        """Connect to a TCP port as seen from inside. Raises ConnectionRefusedError and its kin."""

    def close(self) -> None:
        """Let go of the namespace. Repeatable."""


class Sandbox(Protocol):
    """Runs processes in root file systems; ``run`` one at a time."""

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

    def start(self, root: RootFilesystem, process: ProcessSpec, stdio: Stdio) -> Running:
        """Start ``process`` in ``root`` and return as soon as it is what it should be (after its execve).

        For what outlives a call: a container. ``stdin`` of the specification is not used. Raises ProgramNotFound,
        and SandboxError as ``run``.
        """

    def enter(self, root: RootFilesystem, inhabitant: Inhabitant, process: ProcessSpec, stdio: Stdio) -> Running:
        """Start ``process`` beside ``inhabitant``, seeing what it sees (`docker exec`).

        ``root`` is what the inhabitant was started in. Network, host name and mounts are the inhabitant's. Raises
        SandboxError if that has ended.
        """

    def dial(self, inhabitant: Inhabitant) -> Dialer:
        """Get a way to make connections where ``inhabitant`` lives (what publishing a port needs)."""
