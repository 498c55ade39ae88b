"""The builders that are compared: each builds the same Dockerfile from the same base image, as a whole process."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from tests.peers import Docker

DOCKERSIM = Path(sys.executable).with_name("dockersim")


class Contestant(Protocol):
    """A builder with a store of its own."""

    name: str

    def take_base(self, archive: Path) -> None:
        """Load a base image from an archive of ``docker save``."""

    def build(self, context: Path, dockerfile: Path) -> list[str]:
        """Give the command that builds; what is in the cache is used."""

    @property
    def environment(self) -> dict[str, str]:
        """Give what the command is to see."""


class Dockersim:
    """This project's command line."""

    name = "dockersim"

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"

    @property
    def environment(self) -> dict[str, str]:
        """Compiled modules are kept, as after any installation."""
        kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return kept | {"DOCKERSIM_HOME": str(self.root)}

    def __call__(self, *arguments: str | Path) -> None:
        """Run a command that is not measured."""
        subprocess.run([DOCKERSIM, *arguments], env=self.environment, check=True, capture_output=True)

    def take_base(self, archive: Path) -> None:
        """Load it."""
        self("load", "-i", archive)

    def build(self, context: Path, dockerfile: Path) -> list[str]:
        """Build; name the image, as one does."""
        return [str(DOCKERSIM), "build", "-t", "measured", "-f", str(dockerfile), str(context)]


class BuildKit:
    """Debian's docker with BuildKit; its daemon runs already, and only the client is measured."""

    name = "BuildKit"

    def __init__(self, docker: Docker, program: str) -> None:
        self._docker = docker
        self._program = program

    @property
    def environment(self) -> dict[str, str]:
        """BuildKit was not yet the default."""
        return os.environ | {"DOCKER_BUILDKIT": "1"}

    def take_base(self, archive: Path) -> None:
        """Load it."""
        self._docker("load", "-i", archive)

    def build(self, context: Path, dockerfile: Path) -> list[str]:
        """Build with the host's network, as the daemon has no bridge."""
        flags = ["--network=host", "-t", "measured", "-f", str(dockerfile)]
        return [self._program, "--host", self._docker.host, "build", *flags, str(context)]


class Buildah:
    """Buildah with cached layers, which needs no daemon, as ours."""

    name = "buildah"

    def __init__(self, folder: Path) -> None:
        self._flags = ["--root", str(folder / "buildah"), "--runroot", str(folder / "buildah-run")]

    @property
    def environment(self) -> dict[str, str]:
        """Nothing special."""
        return dict(os.environ)

    def take_base(self, archive: Path) -> None:
        """Pull it from the archive."""
        command = ["buildah", *self._flags, "pull", "-q", f"docker-archive:{archive}"]
        subprocess.run(command, check=True, capture_output=True)

    def build(self, context: Path, dockerfile: Path) -> list[str]:
        """Build; chroot is the quickest of its isolations."""
        flags = ["--layers", "--isolation", "chroot", "--network", "host", "-t", "measured", "-f", str(dockerfile)]
        return ["buildah", *self._flags, "bud", *flags, str(context)]


@contextmanager
def contestants(folder: Path) -> Iterator[list[Contestant]]:
    """Give all that can run here."""
    with ExitStack() as stack:
        found: list[Contestant] = [Dockersim(folder)]
        if program := _buildkit_program():
            docker = Docker(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dockerd-"))))
            docker.start()
            stack.callback(docker.stop)
            found.append(BuildKit(docker, program))
        if shutil.which("buildah"):
            found.append(Buildah(folder))
        yield found


def _buildkit_program() -> str:
    """Find a docker client that speaks to BuildKit without a plugin, as those before 23 do."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        return ""
    for place in os.environ["PATH"].split(os.pathsep):
        program = shutil.which("docker", path=place)
        if program and b"version 20." in subprocess.run([program, "--version"], capture_output=True, check=True).stdout:
            return program
    return ""


def timed(command: Sequence[str], environment: dict[str, str]) -> float:
    """Run a command; return how many seconds it took."""
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr.decode(errors='replace')[-2000:]}")
    return seconds


def interleaved(measures: dict[str, Callable[[], float]], times: int) -> dict[str, list[float]]:
    """Measure everything ``times`` times in turn, so that a busy moment hits all alike."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(times):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def table(title: str, found: dict[str, list[float]], unit: float = 1.0, *, per: int = 1) -> None:
    """Print the medians, the best, and how many times ours each takes. ``unit`` 1000 prints milliseconds."""
    print(f"\n{title} ({'ms' if unit == 1000 else 's'}; {len(next(iter(found.values())))} runs)")
    ours = statistics.median(next(iter(found.values())))
    for name, seconds in found.items():
        median = statistics.median(seconds)
        shown = f"median {median * unit / per:9.2f}   best {min(seconds) * unit / per:9.2f}"
        print(f"  {name:34} {shown}   {median / ours:6.2f} x {next(iter(found))}")


@contextmanager
def workplace() -> Iterator[Path]:
    """Give a directory on the disk, not in memory."""
    with tempfile.TemporaryDirectory(prefix="dockersim-benchmark-", dir="/var/tmp") as folder:
        yield Path(folder)


def save_busybox(folder: Path) -> Path:
    """Make an archive of the base image that the recorded builds use."""
    from tests.fidelity import busybox_base

    maker = Dockersim(folder / "maker")
    (folder / "maker").mkdir()
    (folder / "busybox.tar").write_bytes(busybox_base())
    maker("import", folder / "busybox.tar", "busybox:latest")
    maker("save", "-o", folder / "base.tar", "busybox:latest")
    return folder / "base.tar"
