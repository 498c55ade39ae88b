"""The lowest rung: this machine cannot run a command in a root file system, and says what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from dockersim.errors import SandboxError
from dockersim.sandbox.contract import (
    Dialer,
    Exit,
    Inhabitant,
    OutputSink,
    ProcessSpec,
    RootFilesystem,
    Rung,
    Running,
    Stdio,
)


def check_can_run(rung: Rung, argv: Sequence[str]) -> None:
    """Raise SandboxError where no command can be run: asked before a root file system is laid out for one."""
    if rung.name == "none":
        raise _refusal(rung, argv)


def _refusal(rung: Rung, argv: Sequence[str]) -> SandboxError:
    return SandboxError(f"commands cannot be run on this machine: {' '.join(argv)}", hint=rung.remedy)


class NoSandbox:
    """Runs nothing. Building up to the first RUN, planning, replaying, pushing and pulling need no more."""

    def __init__(self, rung: Rung) -> None:
        self._rung = rung

    @property
    def rung(self) -> Rung:
        """The rung this sandbox stands on."""
        return self._rung

    def run(self, root: RootFilesystem, process: ProcessSpec, output: OutputSink) -> Exit:
        """Raise SandboxError."""
        raise _refusal(self._rung, process.argv)

    def cancel(self) -> None:
        """Do nothing, as nothing runs."""

    def start(self, root: RootFilesystem, process: ProcessSpec, stdio: Stdio) -> Running:
        """Raise SandboxError."""
        raise _refusal(self._rung, process.argv)

    def enter(self, root: RootFilesystem, inhabitant: Inhabitant, process: ProcessSpec, stdio: Stdio) -> Running:
        """Raise SandboxError."""
        raise _refusal(self._rung, process.argv)

    def dial(self, inhabitant: Inhabitant) -> Dialer:
        """Raise SandboxError."""
        raise SandboxError("nothing runs in this sandbox")
