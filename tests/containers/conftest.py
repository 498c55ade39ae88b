"""Engines with a busybox image, one for every rung that works here; and proof that a test leaves nothing running."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from dockersim import Engine
from dockersim.containers import Console, Containers, ExecOptions, Options
from dockersim.engine.shipping import parse_platform
from dockersim.engine.store import machine_platform
from dockersim.images import import_rootfs
from dockersim.oci import parse_reference
from dockersim.sandbox import Rung, known_rungs, stand_on
from tests.fidelity import busybox_base

_PROBED = Path(tempfile.mkdtemp(prefix="dockersim-rungs-"))
_RUNGS = {rung.name: rung for rung in known_rungs(_PROBED)}


def rung_of(name: str) -> Rung:
    rung = _RUNGS[name]  # type: ignore[index]
    if not rung.works:
        pytest.skip(f"{name}: {rung.because}")
    return rung


class World:
    """One engine, what its containers wrote to the console, and short ways to run them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.stdout = self.stderr = b""

    @property
    def containers(self) -> Containers:
        return self.engine.containers

    @property
    def rung(self) -> str:
        return self.engine.store.sandbox.rung.name

    @property
    def isolated(self) -> bool:
        return self.rung in ("namespaces", "userns")

    def console(self, stdin: int | None = None) -> Console:
        self.stdout = self.stderr = b""
        return Console(self._write, stdin)

    def sh(self, script: str, **options: object) -> int:
        """Run a script in the foreground."""
        asked = Options("busybox", ("sh", "-c", script), **options)  # type: ignore[arg-type]
        return self.containers.run_attached(asked, self.console())

    def start(self, script: str, **options: object) -> str:
        """Run a script in the background; return the container's id."""
        asked = Options("busybox", ("sh", "-c", script), **options)  # type: ignore[arg-type]
        return self.containers.run(asked).id

    def exec(self, name: str, script: str, **options: object) -> int:
        asked = ExecOptions(("sh", "-c", script), **options)  # type: ignore[arg-type]
        return self.containers.exec(name, asked, self.console())

    def folders(self) -> list[str]:
        folder = self.engine.root / "containers"
        return os.listdir(folder) if folder.exists() else []

    def logged(self, name: str, until: str = "") -> str:
        """Give the log as text; wait for ``until`` to be in it."""
        deadline = time.monotonic() + 10
        while True:
            text = "".join(line.text for line in self.containers.logs(name))
            if until in text or time.monotonic() > deadline:
                return text
            time.sleep(0.02)

    def _write(self, stream: str, data: bytes) -> None:
        if stream == "stdout":
            self.stdout += data
        else:
            self.stderr += data


_busybox = cache(busybox_base)


def make_engine(place: Path, sandbox: str) -> Engine:
    engine = Engine(place / "root", environment={"PATH": os.environ["PATH"]}, sandbox=sandbox)
    engine.store.sandbox = stand_on(rung_of(sandbox), engine.root / "sandbox")  # found out once, not once a test
    import_rootfs(
        engine.store.images,
        io.BytesIO(_busybox()),
        created="2023-11-14T22:13:20Z",
        platform=parse_platform(machine_platform()),
        name=parse_reference("busybox"),
    )
    return engine


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on disk; pytest's own is deep below directories that only its owner may enter."""
    with tempfile.TemporaryDirectory(prefix="dockersim-test-", dir="/var/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _world(name: str, place: Path) -> Iterator[World]:
    rung_of(name)
    world = World(make_engine(place, name))
    yield world
    for container in world.containers.list(all=True):
        world.containers.remove(container.id, force=True)
    assert world.folders() == []
    assert no_process_names(str(place))
    assert str(place) not in Path("/proc/self/mountinfo").read_text()
    world.engine.store.database.close()


_NAMESPACES = "namespaces" if os.geteuid() == 0 else "userns"


@pytest.fixture(params=[_NAMESPACES, "proot"])
def world(request: pytest.FixtureRequest, place: Path) -> Iterator[World]:
    """A world on each rung that is meant for this user."""
    yield from _world(request.param, place)


@pytest.fixture
def isolated(place: Path) -> Iterator[World]:
    """A world whose containers have a network of their own."""
    yield from _world(_NAMESPACES, place)


@pytest.fixture
def sharing(place: Path) -> Iterator[World]:
    """A world whose containers share this machine's network."""
    yield from _world("proot", place)


@pytest.fixture
def best(place: Path) -> Iterator[World]:
    """A world on the best rung; for what does not depend on it."""
    yield from _world(next(rung.name for rung in _RUNGS.values() if rung.works), place)


def _processes_naming(text: str) -> list[str]:
    """The command lines of processes that have ``text`` in them: shims know their folder, tracers their root."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if text in line and int(process.name) != os.getpid():
            found.append(line)
    return found


def no_process_names(text: str) -> bool:
    """Whether no process has ``text`` in its command line, waiting a little for those that are just ending."""
    deadline = time.monotonic() + 5
    while (found := _processes_naming(text)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not found


def gone(pid: int) -> bool:
    """Whether a process has ended, waiting a little for it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
        except OSError:
            return True
        if state == "Z":  # dead, and only not collected yet by whoever adopted it
            return True
        time.sleep(0.01)
    return False
