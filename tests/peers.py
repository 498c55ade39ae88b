"""The real tools, for tests that compare with them: which are here, and a docker daemon of our own.

    from tests.peers import needs

    @needs("skopeo")
    def test_...

    def test_...(dockerd):      # the fixture is everybody's: tests/conftest.py imports it
        dockerd("load", "-i", path)

The daemon has its own root, socket and pid file below a temporary directory, no bridge and no firewall rules, and is
ended by its pid.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def needs(*programs: str) -> pytest.MarkDecorator:
    """Mark a test as a comparison with a real tool; it is skipped where one of ``programs`` is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        return pytest.mark.skipif(True, reason=f"not installed: {', '.join(missing)}")
    return pytest.mark.peer


def run(*command: str | os.PathLike[str], stdin: bytes | None = None) -> str:
    """Run a program and return what it printed; fail with what it complained about."""
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"
    return done.stdout.decode()


class Docker:
    """A docker client that talks to a daemon of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = f"unix://{folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, *arguments: str | os.PathLike[str], stdin: bytes | None = None) -> str:
        """Run one docker command and return what it printed."""
        return run("docker", "--host", self.host, *arguments, stdin=stdin)

    def start(self, seconds: float = 30.0) -> None:
        """Start the daemon and wait until it answers."""
        command = ["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--host", self.host]
        for option, name in (("data-root", "root"), ("exec-root", "run"), ("pidfile", "docker.pid")):
            command += [f"--{option}", str(self.folder / name)]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + seconds
        asking = ["docker", "--host", self.host, "version"]
        while subprocess.run(asking, capture_output=True, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                pytest.skip(f"dockerd does not start here: {self._last_line()}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End the daemon, and with it the containerd that it started."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _last_line(self) -> str:
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return lines[-1][:300] if lines else "it says nothing"


class Containers:
    """podman or buildah with a store of its own, so that the machine's is left alone."""

    def __init__(self, program: str, folder: Path) -> None:
        self._command = [program, "--root", f"{folder}/store", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]

    def __call__(self, *arguments: str | os.PathLike[str], stdin: bytes | None = None) -> str:
        """Run one command and return what it printed."""
        return run(*self._command, *arguments, stdin=stdin)


@contextmanager
def short_folder(prefix: str) -> Iterator[Path]:
    """Make a folder for the length of a block; pytest's own are too deep for a socket (107 bytes) or a runroot (50)."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def podman() -> Iterator[Containers]:
    """A podman for the tests of one module."""
    with short_folder("podman-") as folder:
        yield Containers("podman", folder)


@contextmanager
def own_dockerd() -> Iterator[Docker]:
    """Have a docker daemon for the length of a block."""
    with short_folder("dockerd-") as folder:
        docker = Docker(folder)
        try:
            docker.start()
            yield docker
        finally:
            docker.stop()


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Docker]:
    """A real docker daemon for the whole test session; the test is skipped where there can be none."""
    if shutil.which("dockerd") is None or shutil.which("docker") is None:
        pytest.skip("not installed: dockerd")
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    with own_dockerd() as docker:
        yield docker
