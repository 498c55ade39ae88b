"""The driver that does what the solver asks: the build."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from dockersim.content import Layer
from dockersim.digest import DiffID
from dockersim.engine.context import Context
from dockersim.engine.copying import write_copy, write_workdir
from dockersim.engine.downloads import Downloads, read_inputs
from dockersim.engine.mounting import Given, mounted
from dockersim.engine.running import Host, process_of, run_in_snapshot
from dockersim.engine.sources import ContextOrigin, LayersOrigin, Origin
from dockersim.engine.store import Store
from dockersim.filesystem import Entry, Kind, LayerEntry
from dockersim.oci import parse_reference
from dockersim.solver import (
    CommitImage,
    ContextSource,
    CopyOp,
    DigestInputs,
    Event,
    Execute,
    ImageCommitted,
    LookUpCache,
    Outcome,
    OutputWritten,
    Request,
    ResolvedImage,
    ResolveImage,
    RunMount,
    RunOp,
    Source,
    StepResult,
    WorkdirOp,
)

_SECOND = 1_000_000_000
_MOST_OUTPUT = 2 << 20
"""So many characters of a step's output are kept; the rest is shown while it comes, and counted (BuildKit: 2 MiB)."""

_NOTHING_GIVEN = Given()

FindImage = Callable[[ResolveImage], ResolvedImage]


class ExecuteDriver:
    """Answers every request by doing it. ``identity`` names the Dockerfile for comparisons with earlier builds."""

    def __init__(
        self,
        store: Store,
        context: Context,
        identity: str,
        find_image: FindImage,
        *,
        host: Host,
        epoch: int | None,
        on_event: Callable[[Event], None] | None,
        given: Given = _NOTHING_GIVEN,
    ) -> None:
        self._store = store
        self._context = context
        self._identity = identity
        self._find_image = find_image
        self._host = host
        self._epoch = epoch
        self._given = given
        self._downloads = Downloads(store.content, store.root / "downloads")
        self._on_event = on_event

    def answer(self, request: Request) -> Outcome:
        """Do what is asked."""
        match request:
            case ResolveImage():
                return self._find_image(request)
            case DigestInputs(op, layers):
                answer = read_inputs(op, self._origin(op.source, layers), self._downloads)
                self._context.save()
                return answer
            case LookUpCache(key, step):
                return self._store.records.look_up(key, step, self._identity)
            case Execute():
                return self._execute(request)
            case CommitImage(config, layers, names):
                if not config.created:
                    config = replace(config, created=self._now())
                image = self._store.images.put(config, layers, [parse_reference(name) for name in names])
                return ImageCommitted(image.id, image.descriptor.digest, image.size)

    # ------------------------------------------------------------ steps

    def _execute(self, request: Execute) -> StepResult:
        started = time.monotonic()
        match request.op:
            case RunOp() as op:
                result = self._run(request, op)
            case CopyOp() as op:
                origin = self._origin(op.source, request.source_layers[0])
                below = self._store.files(request.layers)
                downloads = self._downloads.origin(op)
                result = self._made(write_copy(self._store.layers, below, op, origin, downloads, self._now_ns()))
            case WorkdirOp() as op:
                below = self._store.files(request.layers)
                result = self._made(write_workdir(self._store.layers, below, op, self._now_ns()))
        result = replace(result, seconds=time.monotonic() - started, created=self._now())
        if not result.exit_code:
            self._store.records.remember(request.key, request.step, self._identity, result)
        return result

    def _run(self, request: Execute, op: RunOp) -> StepResult:
        below = self._store.files(request.layers)
        output = _Output(request, self._on_event)
        store, sandbox = self._store, self._store.sandbox
        with mounted(store.root, store.layers, self._wanted(op, request), self._given) as ready:
            ended, layer = run_in_snapshot(
                store.snapshots, sandbox, store.layers, request.layers,
                process_of(op, below, self._host, ready), output, self._clamp,
            )  # fmt: skip
        result = self._made(layer)
        rung = sandbox.rung
        return replace(
            result, exit_code=ended.code, output=output.kept(), rung=rung.name, deviations=rung.deviations,
            notes=self._host.notes,
        )  # fmt: skip

    def _wanted(self, op: RunOp, request: Execute) -> list[tuple[RunMount, Origin | None]]:
        """Pair each mount with where its files come from, None for those that begin empty."""
        pairs = zip(op.mounts, request.source_layers, strict=True)
        return [(one, self._origin(one.source, layers) if one.source else None) for one, layers in pairs]

    def _made(self, layer: Layer) -> StepResult:
        return StepResult(layer.diff_id, layer.size, content_bytes(layer.entries))

    def _origin(self, source: Source | None, layers: tuple[DiffID, ...]) -> Origin:
        if isinstance(source, ContextSource):
            return ContextOrigin(self._context)
        return LayersOrigin(self._store.layers, layers)

    # ------------------------------------------------------------ time

    def _now_ns(self) -> int:
        return self._epoch * _SECOND if self._epoch is not None else time.time_ns()

    def _now(self) -> str:
        return rfc3339(self._now_ns())

    def _clamp(self, entry: LayerEntry) -> LayerEntry:
        """Let nothing be younger than SOURCE_DATE_EPOCH, if that is set (reproducible-builds.org)."""
        if self._epoch is None or not isinstance(entry, Entry) or entry.mtime_ns <= self._epoch * _SECOND:
            return entry
        return replace(entry, mtime_ns=self._epoch * _SECOND)


class _Output:
    """Takes a command's output in: as text, as it comes, and what is kept of it."""

    def __init__(self, request: Execute, on_event: Callable[[Event], None] | None) -> None:
        self._step = request.step
        self._on_event = on_event
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
        self._pieces: list[tuple[str, str]] = []
        self._length = 0

    def __call__(self, stream: str, data: bytes) -> None:
        text = self._decoders[stream].decode(data)
        if not text:
            return
        if self._on_event is not None:
            self._on_event(OutputWritten(self._step, stream, text))
        room = _MOST_OUTPUT - self._length
        self._length += len(text)
        if room > 0:
            self._pieces.append((stream, text[:room]))

    def kept(self) -> tuple[tuple[str, str], ...]:
        """Give the output, neighbouring pieces of one stream joined."""
        joined: list[tuple[str, list[str]]] = []
        for stream, text in self._pieces:
            if joined and joined[-1][0] == stream:
                joined[-1][1].append(text)
            else:
                joined.append((stream, [text]))
        kept = [(stream, "".join(texts)) for stream, texts in joined]
        if self._length > _MOST_OUTPUT:
            kept.append(("stderr", f"[output clipped, {self._length - _MOST_OUTPUT} more characters]\n"))
        return tuple(kept)


def content_bytes(entries: Iterable[LayerEntry]) -> int:
    """Count a layer's bytes as ``docker history`` does: its files, and its links by the length of their targets.

    The real thing is moby's directory.Size, over the layer's directory; further names of a file count nothing.
    """
    total = 0
    for entry in entries:
        if isinstance(entry, Entry):
            if entry.kind is Kind.FILE:
                total += entry.size
            elif entry.kind is Kind.SYMLINK:
                total += len(entry.link.encode("utf-8", "surrogateescape"))
    return total


def rfc3339(nanoseconds: int) -> str:
    """Write a time as configs have it: ``2026-11-23T10:15:00.123456789Z``."""
    seconds, part = divmod(nanoseconds, _SECOND)
    fraction = f".{part:09d}".rstrip("0") if part else ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"
