"""The driver that reads a recording: a build on any machine, without Linux, privileges or a network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

from dockersim.dockerfile import parse
from dockersim.engine.build import Build, EventSink
from dockersim.engine.files import Files, RunResult
from dockersim.errors import ContentError, SandboxError
from dockersim.filesystem import Entry, LayerEntry, Node, Tree, What, Whiteout
from dockersim.solver import (
    CacheAnswer,
    CommitImage,
    DigestInputs,
    Execute,
    ImageCommitted,
    Inputs,
    LookUpCache,
    Outcome,
    Request,
    ResolvedImage,
    ResolveImage,
    StepFinished,
    StepResult,
    solve,
)
from dockersim.trace import StepTrace, Trace, read

_ANSWERS: Final[Mapping[type[Request], type[Outcome]]] = {
    ResolveImage: ResolvedImage,
    DigestInputs: Inputs,
    LookUpCache: CacheAnswer,
    Execute: StepResult,
    CommitImage: ImageCommitted,
}
"""What each request is answered with."""


class ReplayDriver:
    """Answers each request with the outcome that was recorded for it."""

    def __init__(self, recording: tuple[Outcome, ...]) -> None:
        self._left: Iterator[Outcome] = iter(recording)

    def answer(self, request: Request) -> Outcome:
        """Give the next outcome. Raises ContentError at the end of the recording."""
        outcome = next(self._left, None)
        if outcome is None:
            raise ContentError("the recording ends here: the build was not finished, or failed, when it was recorded")
        if not isinstance(outcome, _ANSWERS[type(request)]):
            raise ContentError("the recording is not that of this Dockerfile: it answers another question")
        return outcome

    def close(self) -> None:
        """Do nothing: nothing is open."""


class TraceSource:
    """The file systems of a recorded build: the paths are known from the diffs, contents are not in a trace."""

    def __init__(self, trace: Trace) -> None:
        self._trees = _trees(trace)

    def files(self, layers: tuple[str, ...]) -> Files:
        """Give the file system after the step whose stage had these layers."""
        return Files(self._trees.get(layers, Tree.EMPTY), _no_content)

    def run(self, step: StepFinished, command: str) -> RunResult:
        """Refuse: a recorded build cannot run anything."""
        raise SandboxError("this build is replayed from a trace, nothing can be run in it", hint="build it yourself")

    def cancel(self) -> None:
        """Do nothing: in a recorded build no command runs."""


def replay(document: str | bytes | Mapping[str, object], on_event: EventSink | None = None) -> Build:
    """Replay a trace document (text, or as read from JSON) as a build that can be stepped through.

    Raises ContentError if it is no trace.
    """
    trace = read(document if isinstance(document, str | bytes) else json.dumps(document))
    solver = solve(parse(trace.text, file=trace.file), trace.options, trace.ignore)
    build = Build(solver, ReplayDriver(trace.recording), TraceSource(trace), on_event, trace.text)
    build.options, build.file, build.ignore = trace.options, trace.file, trace.ignore
    if trace.findings is not None:
        build.findings = trace.findings
    return build


def _trees(trace: Trace) -> dict[tuple[str, ...], Tree]:
    """Lay the diffs of each stage on top of each other; the tree after a step is found by the layers it had."""
    trees: dict[tuple[str, ...], Tree] = {(): Tree.EMPTY}
    for step in trace.steps:
        layers = step.layers
        if layers is None or layers in trees:
            continue
        trees[layers] = trees.get(layers[:-1], Tree.EMPTY).apply(_entries(step))
    return trees


def _entries(step: StepTrace) -> Iterator[LayerEntry]:
    for change in step.diff or ():
        if change.what is What.DELETED:
            yield Whiteout(change.path)
        elif isinstance(change.after, Entry):
            yield change.after


def _no_content(node: Node) -> BinaryIO:
    raise ContentError(f"the content of /{node.entry.path} is not part of the trace")
