"""Where the demo happens: a scratch directory, and real ``dockersim`` commands in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from dockersim.cli.demo.story import Story
from dockersim.cli.lessons import lessons_folder
from dockersim.engine import Build, Engine, replay
from dockersim.engine.scratch import scratch_directory
from dockersim.errors import DockersimError

_STOP_SECONDS = 30.0


class NotShown(DockersimError):
    """Something that the demo claims did not happen."""


class Ran(Struct, frozen=True):
    """A command that has run: its exit code and all it printed."""

    code: int
    output: str


class Stage:
    """A scratch directory with a root, a second root ("another machine") and a folder with the app."""

    def __init__(self, story: Story, folder: Path) -> None:
        self.story = story
        self.folder = folder
        self.root = folder / "root"
        self.sandbox: str | None = None
        self.second_root = folder / "another-machine"
        self.app = folder / "flask-app"
        self.traces = folder / "traces"
        self.is_leaving = False
        self._running: subprocess.Popen[str] | None = None

    @classmethod
    def set_up(cls, story: Story, sandbox: str | None = None) -> Stage:
        """Make the directory, with the app of the lessons in it; commands stand on the rung ``sandbox``."""
        stage = cls(story, Path(tempfile.mkdtemp(prefix="dockersim-demo-", dir=scratch_directory(os.environ))))
        stage.sandbox = sandbox
        shutil.copytree(lessons_folder() / "flask-app", stage.app)
        stage.traces.mkdir()
        return stage

    # ------------------------------------------------------------ acting

    def run(
        self,
        line: str,
        *arguments: str,
        expect: int | None = 0,
        stdin: str = "",
        elsewhere: bool = False,
        quiet: bool = False,
    ) -> Ran:
        """Run ``dockersim ARGUMENTS`` in the app's folder, showing ``line`` and what it prints as it comes.

        ``elsewhere`` runs it on the other machine's root. Raises NotShown if it ends with another code than expected.
        """
        if not quiet:
            self.story.command(line)
        ran = self._pump(self._start(arguments, elsewhere), stdin, quiet=quiet)
        if expect is not None and ran.code != expect:
            raise NotShown(f"{line!r} ended with exit code {ran.code}, not {expect}: {_last_line(ran.output)}")
        return ran

    def build(self, *, expect: int = 0, stand_in: bool = False) -> Build:
        """Build the app, and return the build as its trace replays it."""
        trace = self.traces / f"{len(list(self.traces.iterdir())) + 1}.json"
        options = ["--yes-stand-in"] if stand_in else []
        line = " ".join(["dockersim build", *options, "-t my-flask-app ."])
        self.run(line, "build", *options, "--trace", str(trace), "-t", "my-flask-app", ".", expect=expect)
        return self.replay(json.loads(trace.read_text(encoding="utf-8")))

    def replay(self, document: dict[str, Any]) -> Build:
        """Take every step of a recorded build; one that failed stands on its failing step."""
        build = replay(document)
        try:
            build.finish()
        except DockersimError as error:
            if build.error is None:
                raise NotShown(f"the trace cannot be replayed: {error}") from error
        return build

    def check(self, holds: bool, claim: str) -> None:
        """Say that ``claim`` is true, or raise NotShown if it is not."""
        if not holds:
            raise NotShown(f"this did not happen: {claim}")
        self.story.proved(claim)

    def engine(self, *, elsewhere: bool = False) -> Engine:
        """Open the store, to see for oneself."""
        return Engine(self.second_root if elsewhere else self.root)

    # ------------------------------------------------------------ leaving

    def clean_up(self) -> list[str]:
        """Stop and delete everything; return what could not be cleaned up."""
        self.is_leaving = True
        self._stop_running()
        for elsewhere in (False, True):
            self._quietly("rm", "-f", "web", elsewhere=elsewhere)
            self._quietly("registry", "stop", elsewhere=elsewhere)
        shutil.rmtree(self.folder, onerror=_open_up)
        return [str(self.folder)] if self.folder.exists() else []

    def _quietly(self, *arguments: str, elsewhere: bool) -> None:
        if (self.second_root if elsewhere else self.root).is_dir():
            self._pump(self._start(arguments, elsewhere), "", quiet=True)

    def _stop_running(self) -> None:
        """Have the command that was interrupted end as Ctrl-C ends it: it may have things to clean up."""
        process = self._running
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self, arguments: tuple[str, ...], elsewhere: bool) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name != "DOCKERSIM_HUB"}
        environment["DOCKERSIM_HOME"] = str(self.second_root if elsewhere else self.root)
        if self.sandbox:
            environment["DOCKERSIM_SANDBOX"] = self.sandbox
        # -P: the app's folder is where the command runs, and its app.py is nobody's module.
        return subprocess.Popen(
            [sys.executable, "-P", "-u", "-m", "dockersim.cli", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            cwd=self.app, env=environment,
        )  # fmt: skip

    def _pump(self, process: subprocess.Popen[str], stdin: str, *, quiet: bool) -> Ran:
        self._running = process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(stdin)
        process.stdin.close()
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if not quiet:
                self.story.output(line.rstrip("\n"))
        if not quiet:
            self.story.end_output()
        return Ran(process.wait(), "".join(lines))


def free_port() -> int:
    """Find a port of this machine that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _open_up(function: Callable[[str], object], path: str, _: object) -> None:
    """Delete what its owner cannot look into: overlayfs leaves work directories without any permission."""
    try:
        os.chmod(os.path.dirname(path), 0o700)
        os.chmod(path, 0o700, follow_symlinks=os.chmod not in os.supports_follow_symlinks)
        function(path)
    except OSError:
        return  # then the directory is still there at the end, and that is told
