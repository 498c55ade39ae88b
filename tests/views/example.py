"""Builds in memory: the real solver and the real ``Build``, with a driver that takes its outcomes from tables.

Nothing is run and no disk is touched, so that views and the widget can be tested anywhere.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import BinaryIO

from msgspec.structs import replace

from dockersim.digest import DiffID, sha256
from dockersim.dockerfile import parse
from dockersim.engine.build import Build
from dockersim.engine.files import Files, RunResult
from dockersim.errors import Cancelled, DockersimError
from dockersim.filesystem import Entry, Kind, LayerEntry, Node, Tree, Whiteout
from dockersim.oci import ContainerConfig, ImageConfig
from dockersim.solver import (
    BuildOptions,
    CacheAnswer,
    CacheKey,
    CommitImage,
    CopyOp,
    DigestInputs,
    Event,
    Execute,
    ImageCommitted,
    Input,
    Inputs,
    LookUpCache,
    Outcome,
    OutputWritten,
    Request,
    ResolvedImage,
    ResolveImage,
    RunOp,
    StageSource,
    StepFinished,
    StepResult,
    WorkdirOp,
    solve,
)
from dockersim.trace import build_document

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIME = 1_700_000_000 * 1_000_000_000

FLASK = """\
# Step 1: Use a base image
FROM ubuntu:latest

# Step 2: Install necessary system dependencies
RUN apt-get update && apt-get install -y python3 python3-pip

# Step 3: Set the working directory inside the container
WORKDIR /app

# Step 4: Copy application files to the container
COPY . /app

# Step 5: Install required Python libraries
RUN pip3 install -r requirements.txt

# Step 6: Define the command to run the app
ENTRYPOINT ["python3", "app.py"]
"""

APP = {
    "app.py": b'from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.route("/")\n'
    b'def hello():\n    return "Hello"\n',
    "requirements.txt": b"flask\n",
    "templates/index.html": b"<h1>Hello</h1>\n",
}


@dataclass
class Command:
    """What a RUN does: the files it leaves, the paths it deletes, and what it writes."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    deletes: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    exit_code: int = 0
    seconds: float = 0.2
    modes: Mapping[str, int] = field(default_factory=dict)
    wait_for: threading.Event | None = None
    """A command that goes on until it is stopped, or until this is set."""


BASE = {
    "bin/sh": b"\x7fELF\0\0shell",
    "etc/motd": b"Welcome\n",
    "etc/apt/sources.list": b"deb http://deb.debian.org/debian bookworm main\n",
    "usr/share/doc/notes.txt": b"one\ntwo\nthree\nfour\nfive\nsix\nseven\n",
}

APT = Command(
    {
        "usr/bin/python3": b"\x7fELF\0python",
        "usr/lib/python3/os.py": b"import abc\n",
        "usr/lib/python3/json/decoder.py": b"class JSONDecoder: ...\n" * 40,
        "etc/motd": b"Welcome\nto Python\n",
        "usr/share/doc/notes.txt": b"one\ntwo\n3\nfour\nfive\nsix\nseven\neight\n",
    },
    deletes=("etc/apt/sources.list",),
    output=("Get:1 http://deb.debian.org bookworm InRelease\n", "Unpacking python3 ...\n", "Setting up python3 ...\n"),
    seconds=3.21,
    modes={"usr/bin/python3": 0o755},
)
PIP = Command(
    {f"usr/local/lib/python3/site-packages/flask/{name}.py": b"# flask\n" * 30 for name in ("app", "cli", "ctx")},
    output=("Collecting flask\n", "Successfully installed flask-3.0\n"),
    seconds=1.4,
)
PIP_REFUSED = Command(
    output=("error: externally-managed-environment\n\n", "× This environment is externally managed\n"), exit_code=1
)
RUNS = {"*apt-get*": APT, "*pip3 install*": PIP}


class Workshop:
    """A driver, a store and a cache in memory. Several builds may share one."""

    def __init__(self, runs: Mapping[str, Command] = RUNS, context: Mapping[str, bytes] = APP) -> None:
        self.runs = dict(runs)
        self.context = dict(context)
        self.layers: dict[DiffID, tuple[LayerEntry, ...]] = {}
        self.trees: dict[tuple[str, ...], Tree] = {}
        self.contents: dict[str, bytes] = {}
        self.cache: dict[str, tuple[CacheKey, StepResult]] = {}
        self.on_event: Callable[[Event], None] | None = None
        self.stopped = threading.Event()
        self.base, _ = self.keep(self.entries(BASE))

    # -------------------------------------------------------- the build

    def build(self, text: str = FLASK, *, names: tuple[str, ...] = ("docker.io/library/app:latest",)) -> Build:
        """Begin a build of ``text``."""
        options = BuildOptions(names=names)
        build = Build(solve(parse(text), options), self, self, text=text)
        build.options = options
        self.on_event = build.tell
        return build

    # -------------------------------------------------------- the driver

    def answer(self, request: Request) -> Outcome:
        """Answer what the solver asks."""
        match request:
            case ResolveImage():
                config = ImageConfig("amd64", config=ContainerConfig(env=(PATH,), cmd=("/bin/bash",)))
                return ResolvedImage(config, (self.base,), (119_871_232,), "the memory of a test")
            case DigestInputs(op):
                return Inputs(tuple(self._input(path) for path in self._sources(op)))
            case LookUpCache(key):
                found = self.cache.get(key.digest)
                return CacheAnswer(found[1] if found else None, self._nearest(key))
            case Execute():
                return self._execute(request)
            case CommitImage(config, layers):
                size = sum(self._added(self.layers[layer]) for layer in layers)
                return ImageCommitted(sha256(config.to_json()), sha256(b"manifest"), size)
        raise AssertionError(request)

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _nearest(self, key: CacheKey) -> CacheKey | None:
        """Find the latest step with the same instruction, else none."""
        same = [known for known, _ in self.cache.values() if known.instruction == key.instruction]
        return same[-1] if same else None

    def _sources(self, op: CopyOp) -> list[str]:
        if isinstance(op.source, StageSource):
            return []
        return [
            path
            for path in sorted(self.context)
            if any(pattern in ("", ".", "/") or fnmatchcase(path, pattern) for pattern in op.patterns)
        ]

    def _input(self, path: str) -> Input:
        return Input(path, "file", sha256(self.context[path]), 0o644)

    def _execute(self, request: Execute) -> StepResult:
        match request.op:
            case RunOp(argv):
                command = next(c for pattern, c in self.runs.items() if fnmatchcase(" ".join(argv), pattern))
                result = self._run(request, command)
            case CopyOp() as op:
                below = op.destination.strip("/")
                files = {f"{below}/{path}": self.context[path] for path in self._sources(op)}
                result = self._result(self.entries(files), 0.04)
            case WorkdirOp(path):
                result = self._result((Entry(path.strip("/"), Kind.DIRECTORY, 0o755, mtime_ns=TIME),), 0.01)
        if not result.exit_code:
            self.cache[request.key.digest] = (request.key, result)
        return result

    def _run(self, request: Execute, command: Command) -> StepResult:
        for text in command.output:
            if self.on_event:
                self.on_event(OutputWritten(request.step, "stdout", text))
        if command.wait_for is not None:
            while not command.wait_for.wait(0.01):
                if self.stopped.is_set():
                    self.stopped.clear()
                    raise Cancelled("stopped; the steps before it are kept")
        entries = (*self.entries(command.files, command.modes), *(Whiteout(path) for path in command.deletes))
        output = tuple(("stdout", text) for text in command.output)
        result = self._result(entries, command.seconds)
        return replace(result, exit_code=command.exit_code, output=output, rung="namespaces, as root")

    def _result(self, entries: tuple[LayerEntry, ...], seconds: float) -> StepResult:
        layer, added = self.keep(entries)
        return StepResult(layer, added + 512 * 3 * len(entries), added, seconds=seconds)

    # -------------------------------------------------------- the store

    def entries(self, files: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> tuple[LayerEntry, ...]:
        """Write files as the entries of a layer."""
        for data in files.values():
            self.contents[sha256(data)] = data
        return tuple(
            Entry(path, Kind.FILE, (modes or {}).get(path, 0o644), size=len(data), mtime_ns=TIME, digest=sha256(data))
            for path, data in files.items()
        )

    def keep(self, entries: Iterable[LayerEntry]) -> tuple[DiffID, int]:
        """Keep a layer; give its name and the bytes in it."""
        kept = tuple(entries)
        layer = DiffID(sha256(repr(kept).encode()))
        self.layers[layer] = kept
        return layer, self._added(kept)

    def files(self, layers: tuple[str, ...]) -> Files:
        """Give the file system that ``layers`` make."""
        return Files(self._tree(layers), self._open)

    def _tree(self, layers: tuple[str, ...]) -> Tree:
        if not layers:
            return Tree.EMPTY
        if layers not in self.trees:
            layer = DiffID(layers[-1])
            self.trees[layers] = self._tree(layers[:-1]).apply(self.layers[layer], layer)
        return self.trees[layers]

    def run(self, step: StepFinished, command: str) -> RunResult:
        """Nothing runs in memory."""
        raise DockersimError(f"{command}: nothing runs in memory")

    def cancel(self) -> None:
        """Stop the command that is running."""
        self.stopped.set()

    def _open(self, node: Node) -> BinaryIO:
        return io.BytesIO(self.contents[node.entry.digest or ""])

    @staticmethod
    def _added(entries: Iterable[LayerEntry]) -> int:
        return sum(entry.size for entry in entries if isinstance(entry, Entry))


def document_of(build: Build, options: BuildOptions | None = None) -> dict[str, object]:
    """Write a build with all its diffs as a trace document."""
    by_number = {step.number: step for step in build.steps}
    return build_document(
        file="Dockerfile",
        text=build.text,
        options=options or BuildOptions(),
        plan=build.plan,
        steps=[step.event for step in build.steps],
        finished=build.finished,
        error=build.error,
        recording=build.recording,
        diff_of=lambda event: by_number[event.step.number].diff(),
    )
