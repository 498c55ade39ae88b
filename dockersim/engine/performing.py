"""Doing a step: run the command or copy the files, and make a layer of what came of it."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable

from msgspec.structs import replace

from dockersim.content import Layer
from dockersim.engine.copying import write_copy, write_workdir
from dockersim.engine.lent import Given, Host
from dockersim.engine.mounting import mounted
from dockersim.engine.network import Network
from dockersim.engine.running import process_of, run_in_snapshot
from dockersim.engine.sources import Origin, OriginOf
from dockersim.engine.store import Store
from dockersim.filesystem import Entry, LayerEntry, content_bytes
from dockersim.sandbox import check_can_run
from dockersim.solver import CopyOp, Event, Execute, OutputWritten, RunMount, RunOp, StepResult, WorkdirOp

_SECOND = 1_000_000_000
_MOST_OUTPUT = 2 << 20
"""So many characters of a step's output are kept; the rest is shown while it comes, and counted (BuildKit: 2 MiB)."""


class Performer:
    """Does the steps of one build. ``now_ns`` is the time that what is made gets, ``epoch`` SOURCE_DATE_EPOCH."""

    def __init__(
        self,
        store: Store,
        network: Network,
        origin_of: OriginOf,
        *,
        host: Host,
        given: Given,
        epoch: int | None,
        now_ns: Callable[[], int],
        on_event: Callable[[Event], None] | None,
    ) -> None:
        self._store = store
        self._network = network
        self._origin = origin_of
        self._host = host
        self._given = given
        self._epoch = epoch
        self._now_ns = now_ns
        self._on_event = on_event

    def perform(self, request: Execute) -> StepResult:
        """Do one step; a command that failed has a result, too."""
        started = time.monotonic()
        match request.op:
            case RunOp() as op:
                result = self._run(request, op)
            case CopyOp() as op:
                origin = self._origin(op.source, request.source_layers[0])
                below = self._store.files(request.layers)
                result = self._made(
                    write_copy(self._store.layers, below, op, origin, self._network.fetch(op), self._now_ns())
                )
            case WorkdirOp() as op:
                below = self._store.files(request.layers)
                result = self._made(write_workdir(self._store.layers, below, op, self._now_ns()))
        return replace(result, seconds=time.monotonic() - started)

    def _run(self, request: Execute, op: RunOp) -> StepResult:
        below = self._store.files(request.layers)
        output = _Output(request, self._on_event)
        store, sandbox = self._store, self._store.sandbox
        check_can_run(sandbox.rung, op.argv)
        with mounted(store.root, self._wanted(op, request), self._given, op.script) as ready:
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
