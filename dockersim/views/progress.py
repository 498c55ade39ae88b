"""A build as lines, one after the other: what BuildKit prints with ``--progress=plain``.

Every vertex has a number; each of its lines begins with it, so that a log can be read even where vertices run side by
side (BuildKit, util/progress/progressui/printer.go). Ours run one after the other, and each says besides what layer
it made. Instructions that only change the config have no vertex, here as there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from dockersim.errors import DockersimError
from dockersim.printable import printable, printable_lines
from dockersim.solver import (
    BuildFinished,
    CacheDecided,
    CacheMoved,
    Event,
    ImageAwaited,
    OutputWritten,
    Plan,
    PlanMade,
    SourceAwaited,
    State,
    StepFinished,
    StepPlan,
    StepStarted,
)
from dockersim.source import excerpt
from dockersim.views.units import human_size, seconds_words

_KEPT = 20
"""So many lines of a failed step's output are repeated at its end."""


class PlainProgress:
    """Turns events into lines. Feed it each event; print what it returns.

    ``clock`` gives seconds, only ever compared with each other; output lines tell the time since their step began.
    Without one (a replay) they tell none.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._count = 0
        self._number = 0
        self._caches: dict[str, int] = {}
        self._began = 0.0
        self._partial = ""
        self._tail: list[str] = []
        self._names: tuple[str, ...] = ()
        self._awaited = ""

    def feed(self, event: Event) -> list[str]:
        """Take in one event and return the lines it adds, without line ends; often none."""
        return list(self._lines(event))

    def naming(self, *names: str) -> None:
        """Tell under which names the image will be kept; they are shown when it is."""
        self._names = names

    def _lines(self, event: Event) -> Iterator[str]:
        match event:
            case PlanMade(plan):
                yield from self._plan(plan)
            case ImageAwaited(reference, text):
                yield from self._await(f"[internal] load metadata for {reference}", text)
            case SourceAwaited(vertex, text):
                yield from self._await(vertex, text)
            case CacheMoved(title, text):
                yield from self._move(title, text)
            case StepStarted(step):
                yield from self._start(step)
            case OutputWritten(step, _, text):
                yield from self._output(text)
            case StepFinished():
                yield from self._end(event)
            case BuildFinished():
                yield from self._export(event)
            case CacheDecided():
                pass

    def _vertex(self, name: str) -> Iterator[str]:
        self._number = yield from self._head(name)
        self._began = self._clock() if self._clock else 0.0
        self._partial = ""
        self._tail = []

    def _head(self, name: str) -> Generator[str, None, int]:
        if self._count:
            yield ""
        self._count += 1
        yield printable(f"#{self._count} {name}")
        return self._count

    def _say(self, words: str) -> str:
        return f"#{self._number} {words}"

    def _plan(self, plan: Plan) -> Iterator[str]:
        yield from self._vertex(f"[internal] load build definition from {plan.file}")
        yield self._say("DONE 0.0s")

    def _await(self, vertex: str, text: str) -> Iterator[str]:
        if vertex != self._awaited:
            self._awaited = vertex
            yield from self._vertex(vertex)
        if text:
            yield self._say(printable_lines(text))

    def _move(self, title: str, text: str) -> Iterator[str]:
        """Tell of a cache beside the step that goes on: it has a number of its own."""
        if title not in self._caches:
            self._caches[title] = yield from self._head(title)
        yield printable(f"#{self._caches[title]} {text}")

    def _start(self, step: StepPlan) -> Iterator[str]:
        if step.vertex is not None:
            yield from self._vertex(step.vertex)

    def _output(self, text: str) -> Iterator[str]:
        *whole, self._partial = (self._partial + text).split("\n")
        for line in whole:
            yield self._written(line)

    def _written(self, line: str) -> str:
        # What a program wrote over with a carriage return is not history; its last words on the line are.
        shown = line.rstrip("\r").rpartition("\r")[2]
        stamp = f"{self._clock() - self._began:.3f} " if self._clock else ""
        self._tail = [*self._tail[1 - _KEPT :], f"{stamp}{shown}"]
        return self._say(f"{stamp}{shown}")

    def _end(self, event: StepFinished) -> Iterator[str]:
        if event.step.vertex is None:
            return
        if self._partial:
            yield self._written(self._partial)
        if event.state is not State.CACHED:  # how a command was run is news only when it was
            for note in (*event.result.notes, *event.result.deviations):
                yield self._say(printable(note))
        if event.result.layer is not None:
            yield self._say(f"layer {human_size(event.result.added)}")
        yield from self._verdict(event)

    def _verdict(self, event: StepFinished) -> Iterator[str]:
        match event.state:
            case State.CACHED:
                yield self._say("CACHED")
            case State.DONE:
                yield self._say(f"DONE {seconds_words(event.result.seconds)}")
            case State.NOT_RUN:
                yield self._say(f"NOT RUN: {event.decision.because}")
            case State.ERROR:
                yield self._say(printable(f"ERROR: {event.error}"))
                yield from ["------", printable(f" > {event.step.vertex}:"), *self._tail, "------"]

    def _export(self, event: BuildFinished) -> Iterator[str]:
        if event.image is None:
            return
        yield from self._vertex("exporting to image")
        yield self._say("exporting layers done")
        yield self._say(f"writing image {event.image.image_id} done")
        for name in self._names:
            yield self._say(f"naming to {name} done")
        yield self._say("DONE 0.0s")


def failure(error: DockersimError, text: str) -> str:
    """Write how a failed build ends: the lines of the Dockerfile, where they are known, and the error."""
    lines = [printable_lines(excerpt(text, error.at))] if error.at and text else []
    return "\n".join([*lines, f"ERROR: failed to solve: {error}"])
