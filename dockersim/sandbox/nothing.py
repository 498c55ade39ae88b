"""The lowest rung: this machine cannot run a command in a root file system, and says what to do about it."""

from __future__ import annotations

from typing import NoReturn

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
        self._refuse(process)

    def cancel(self) -> None:
        """Do nothing, as nothing runs."""

    def start(self, root: RootFilesystem, process: ProcessSpec, stdio: Stdio) -> Running:
        """Raise SandboxError."""
        self._refuse(process)

    def enter(self, root: RootFilesystem, inhabitant: Inhabitant, process: ProcessSpec, stdio: Stdio) -> Running:
        """Raise SandboxError."""
        self._refuse(process)

    def dial(self, inhabitant: Inhabitant) -> Dialer:
        """Raise SandboxError."""
        raise SandboxError("nothing runs in this sandbox")

    def _refuse(self, process: ProcessSpec) -> NoReturn:
        hint = "use Linux (WSL2, a virtual machine or Binder will do), install proot, or replay a recorded build"
        raise SandboxError(f"commands cannot be run on this machine: {' '.join(process.argv)}", hint=hint)
