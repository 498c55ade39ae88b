"""What fetches something for a build: another thread can end it, and no program of it outlives dockersim.

It is helpers of git that speak with servers, and they wait on when git alone is killed. So every program is started in
a process group of its own, and what ends it ends the group: Ctrl-C, a cancelled build, and the death of dockersim.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from dockersim.errors import Cancelled

_GUARDED: Final = """
exec 3<&0 </dev/null
"$@" 3<&- & program=$!
{ read -r _ <&3; kill -s KILL 0; } >/dev/null 2>&1 & guard=$!
wait $program; code=$?
kill $guard; wait $guard 2>/dev/null
exit $code
"""
"""Runs a program beside a guard, which reads from a pipe that dockersim holds open and never writes to.

When dockersim is gone, killed outright even, the pipe ends and the guard kills the group. PR_SET_PDEATHSIG would reach
the program, but none of its helpers.
"""


_GUARD: Final = ("/bin/sh", "-c", _GUARDED, "sh") if os.name == "posix" else ()


class Fetching:
    """What is being fetched for the builds of one engine."""

    def __init__(self) -> None:
        self._running: subprocess.Popen[str] | None = None
        self._stopped = False

    def begin(self) -> None:
        """Begin a fetch, which may take several programs: one ``cancel`` from now on ends all of it."""
        self._stopped = False

    def check(self) -> None:
        """Raise Cancelled if the fetch was stopped: asked between two pieces by who fetches without a program."""
        if self._stopped:
            raise Cancelled("the fetch was stopped")

    def cancel(self) -> None:
        """End the fetch that is under way, from any thread; it raises Cancelled. Repeatable."""
        self._stopped = True
        running = self._running
        if running is not None and running.poll() is None:
            _end(running)

    def run(
        self, words: Sequence[str], *, directory: Path | None, variables: Mapping[str, str], umask: int
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and give what it printed. Raises Cancelled."""
        lifeline, held = os.pipe()
        try:
            process = subprocess.Popen(
                [*_GUARD, *words], cwd=directory, env=variables, umask=umask,
                stdin=lifeline, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                errors="surrogateescape", start_new_session=True,
            )  # fmt: skip
            output, complaint = self._follow(process)
        finally:
            os.close(lifeline)
            os.close(held)
        self.check()
        return subprocess.CompletedProcess(words, process.returncode, output, complaint)

    def _follow(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        """Wait for the end; whatever ends the waiting ends the program. A ``cancel`` while we were starting counts."""
        self._running = process
        with process:
            try:
                return ("", "") if self._stopped else process.communicate()
            finally:
                self._running = None
                if process.returncode is None:  # so its number is still its own
                    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":  # which has no groups of processes
        process.kill()
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has ended in this very moment
        pass
