"""The rungs on which a RUN can execute: each is the same runner, told to do a little more or less."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dockersim.errors import Cancelled, SandboxError
from dockersim.sandbox.contract import (
    BindMount,
    Dialer,
    DirectoryRoot,
    Exit,
    Inhabitant,
    OutputSink,
    OverlayRoot,
    ProcessSpec,
    ProgramNotFound,
    RootFilesystem,
    Rung,
    Running,
    Stdio,
    TmpfsMount,
)
from dockersim.sandbox.deviations import of_one_user
from dockersim.sandbox.etc import etc_files
from dockersim.sandbox.inside.wire import start_time
from dockersim.sandbox.launch import Launched, launch
from dockersim.sandbox.pump import pump

_ONLY_FILES = ("chroot", "proot")
"""The rungs without namespaces: processes and network are the host's."""


class RunnerSandbox:
    """A sandbox that starts the runner for every process.

    ``how`` is what makes its rung different, as the runner wants to be told: ``mode`` and what belongs to it.
    """

    def __init__(self, rung: Rung, how: Mapping[str, Any]) -> None:
        self._rung = rung
        self._how = how
        self._running: Launched | None = None
        self._cancelled = False

    @property
    def rung(self) -> Rung:
        """The rung this sandbox stands on."""
        return self._rung

    def run(self, root: RootFilesystem, process: ProcessSpec, output: OutputSink) -> Exit:
        """Run ``process`` to its end; see the contract."""
        self._cancelled = False
        try:
            if process.terminal:
                return self._run_at_terminal(root, process)
            ended = pump(lambda stdio: self._remember(self._launch(root, process, stdio)), process.stdin, output)
            self._note_what_was_recorded(ended)
        except ProgramNotFound as error:
            output("stderr", f"runc run failed: unable to start container process: {error.message}\n".encode())
            ended = Exit(1, 0.0)  # not the shell's 127: runc could not even begin
        finally:
            self._running = None
        if self._cancelled:
            raise Cancelled("the command was stopped")
        return ended

    def cancel(self) -> None:
        """Kill the process that ``run`` waits for."""
        self._cancelled = True
        running = self._running
        if running is not None:
            running.kill(9)

    def start(self, root: RootFilesystem, process: ProcessSpec, stdio: Stdio) -> Running:
        """Start ``process``; see the contract."""
        return _begin(self._describe(root, process), stdio)

    def enter(self, root: RootFilesystem, inhabitant: Inhabitant, process: ProcessSpec, stdio: Stdio) -> Running:
        """Start ``process`` beside ``inhabitant``; see the contract."""
        if self._rung.name in _ONLY_FILES:
            return self._enter_directory(root, inhabitant, process, stdio)
        where = {"mode": "enter", "pid": inhabitant.pid, "started": inhabitant.started}
        return _begin(self._describe(root, process) | where, stdio)

    def dial(self, inhabitant: Inhabitant) -> Dialer:
        """Get a way to make connections where ``inhabitant`` lives."""
        from dockersim.sandbox.dialer import HostDialer, NamespaceDialer  # need ``socket``, a build doesn't

        return HostDialer() if self._rung.name in _ONLY_FILES else NamespaceDialer(inhabitant)

    def _enter_directory(
        self, root: RootFilesystem, inhabitant: Inhabitant, process: ProcessSpec, stdio: Stdio
    ) -> Running:
        """Start a further process in the directory of the first: there are no namespaces to enter."""
        if start_time(inhabitant.pid) != inhabitant.started:
            raise SandboxError("the command cannot be started: the process has ended")
        return _begin(self._describe(root, process) | {"beside": True}, stdio)

    def _launch(self, root: RootFilesystem, process: ProcessSpec, stdio: Stdio) -> Launched:
        return launch(self._describe(root, process) | {"ledger": self._rung.name == "userns"}, stdio)

    def _note_what_was_recorded(self, ended: Exit) -> None:
        """Say in the rung's deviations what the last process has shown: whether owners could be recorded."""
        if self._rung.name == "userns":
            self._rung = replace(self._rung, deviations=of_one_user(recorded=ended.recorded_all))

    def _run_at_terminal(self, root: RootFilesystem, process: ProcessSpec) -> Exit:
        """Run ``process`` with a terminal of its own, wired to the caller's; its output goes there."""
        from dockersim.sandbox.attach import attach

        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            launched = self._remember(_begin(self._describe(root, process), Stdio(nothing, nothing, nothing)))
        finally:
            os.close(nothing)
        try:
            return attach(launched, 0, 1)
        finally:
            launched.close()

    def _remember(self, launched: Launched) -> Launched:
        """Let ``cancel`` find it; one that came while we were starting counts."""
        self._running = launched
        if self._cancelled:
            launched.kill(9)
        return launched

    def _describe(self, root: RootFilesystem, process: ProcessSpec) -> dict[str, Any]:
        """Put it in the plain values that the runner reads."""
        return {
            **self._how,
            "root": _describe_root(root),
            "argv": list(process.argv),
            "env": dict(process.env),
            "cwd": process.cwd,
            "uid": process.uid,
            "gid": process.gid,
            "groups": list(process.groups),
            "hostname": process.hostname,
            "network": process.network,
            "address": process.address,
            "terminal": process.terminal,
            "ledger": False,
            "mounts": [_describe_mount(mount) for mount in process.mounts],
            "files": etc_files(process, apt_as_root=self._rung.name in ("userns", "proot")),
        }


def _begin(spec: dict[str, Any], stdio: Stdio) -> Launched:
    """Start the runner, and wait until it has become what ``spec`` says."""
    if not spec["terminal"]:
        launched = launch(spec, stdio)
        launched.hear_start()
        return launched
    from dockersim.sandbox.channel import Channel  # needs ``socket``, a build doesn't

    with Channel() as channel:
        launched = launch(spec, stdio, channel.theirs)
        launched.hear_start()
        launched.terminal = channel.receive_descriptor()
    return launched


def _describe_root(root: RootFilesystem) -> dict[str, Any]:
    if isinstance(root, OverlayRoot):
        lower = [_absolute(path) for path in root.lower]
        return {"lower": lower, "upper": _absolute(root.upper), "work": _absolute(root.work)}
    real = DirectoryRoot(Path(_absolute(root.path)))
    return {"path": str(real.path), "aside": str(real.aside)}


def _describe_mount(mount: BindMount | TmpfsMount) -> dict[str, Any]:
    if isinstance(mount, BindMount):
        return {"source": _absolute(mount.source), "target": mount.target, "read_only": mount.read_only}
    return {"target": mount.target, "size": mount.size, "mode": mount.mode}


def _absolute(path: Path) -> str:
    return os.path.realpath(path)
