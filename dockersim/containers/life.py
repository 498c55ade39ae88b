"""The folder of one container on disk, and how anybody can tell whether it lives.

    containers/ID/lock          held by the shim as long as the container lives
    containers/ID/state.json    how it is with it, written by the shim
    containers/ID/request.json  what the shim was asked to run
    containers/ID/log.json      what it wrote
    containers/ID/upper, work   what it changed, on a rung with overlayfs; or
    containers/ID/root          its whole root file system

A pid in a file says nothing after a crash or a reboot: it may be somebody else's by now. A lock does, since the kernel
lets go of it when its process ends, however that ends. The real thing is containerd, which asks the shim over a socket.
"""

from __future__ import annotations

import os
import time
from typing import Final

from msgspec.structs import replace

from dockersim.containers.record import State
from dockersim.containers.signals import wait_for_process
from dockersim.locks import try_lock

KILLED: Final = 137
"""128 + SIGKILL: what containerd reports for a container whose shim is gone (``cleanupAfterDeadShim``)."""

_GRAVE: Final = ".gone"
_PATIENCE: Final = 2.0  # seconds; who looks whether a container lives holds its lock for microseconds


class Folder:
    """One container's folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def at(self, name: str) -> str:
        """Give the path of something in it."""
        return f"{self.path}/{name}"

    def exists(self) -> bool:
        """Whether it is there; a container whose folder is gone, is gone."""
        return os.path.isdir(self.path)

    def bury(self) -> None:
        """Delete it; from the first moment on it is not there any more. Repeatable, also by several at once."""
        from dockersim.snapshots.disk import delete, try_rename  # a shim seldom needs them

        grave = self.path if self.path.endswith(_GRAVE) else f"{self.path}{_GRAVE}"
        if grave != self.path:
            try:
                if not try_rename(self.path, grave):
                    grave = self.path
            except FileNotFoundError:
                return
        while os.path.lexists(grave):
            try:
                delete(grave)
            except FileNotFoundError:  # somebody sweeps it at the same time
                continue

    # ------------------------------------------------------------ the lock

    def hold(self, patience: float = _PATIENCE) -> int | None:
        """Take the lock and return its descriptor, whose closing lets go of it; None if somebody else has it."""
        try:
            descriptor = os.open(self.at("lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return None
        until = time.monotonic() + patience
        while not try_lock(descriptor):
            if time.monotonic() >= until:
                os.close(descriptor)
                return None
            time.sleep(0.005)
        return descriptor

    def is_held(self) -> bool:
        """Whether somebody has the lock now."""
        descriptor = self.hold(0)
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is None and self.exists()

    # ------------------------------------------------------------ the state

    def state(self) -> State:
        """Tell how it is with the container; one whose shim was killed has ended with it."""
        state = self._read_state()
        if not state.running or self.is_held():
            return state
        return self._read_state_for_good()

    def _read_state_for_good(self) -> State:
        """Read the state when no shim is there any more; what it did not come to write is written now."""
        lock = self.hold(0)
        if lock is None:  # somebody else is at it, or it was started again
            return self._read_state()
        try:
            state = self._read_state()
            if state.running:
                # The sandbox's own process sees the shim's end, kills what runs, and takes away what was mounted.
                wait_for_process(state.runner, state.runner_started, _PATIENCE)
                why = "the process that watched over it was killed"
                state = replace(state.ended(KILLED, now()), error=why)
                self.write("state.json", state.to_json())
            return state
        finally:
            os.close(lock)

    def _read_state(self) -> State:
        text = self.read("state.json")
        return State.from_json(text) if text else State()

    def read(self, name: str) -> str:
        """Read a small file of it; "" if it is not there."""
        try:
            with open(self.at(name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def write(self, name: str, text: str) -> None:
        """Replace a small file as a whole."""
        draft = self.at(f".{name}.{os.getpid()}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(draft, self.at(name))


def now() -> str:
    """Tell the time as docker writes it: RFC 3339 with nanoseconds."""
    seconds, part = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{part:09d}Z"
