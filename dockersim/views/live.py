"""A running build as a picture that is drawn over and over: what BuildKit prints with ``--progress=tty``.

The first line counts the vertices, each further one is a vertex with its time, and the one that runs shows its last
words (BuildKit, util/progress/progressui/display.go). This gives the lines of one frame; whoever has the terminal
draws them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final

from msgspec import Struct, field

from dockersim.printable import printable
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
    StepStarted,
)
from dockersim.views.tables import ellipsis
from dockersim.views.units import human_size, seconds_words

SHOWN: Final = 6
"""So many lines of a running command's output are shown (BuildKit: 6)."""

_KEPT: Final = 20
"""So many are repeated if it fails."""


class Tone(Enum):
    """How a line is meant, so that a terminal may colour it."""

    PLAIN = "plain"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Line(Struct, frozen=True):
    """One line of a frame, no wider than was asked for."""

    text: str
    tone: Tone = Tone.PLAIN


class _Vertex(Struct):
    name: str
    began: float
    ended: float | None = None
    mark: str = ""
    failed: bool = False
    facts: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    partial: str = ""


class LiveProgress:
    """Takes events in and gives frames out. ``clock`` gives seconds, only ever compared with each other."""

    def __init__(self, clock: Callable[[], float], names: tuple[str, ...] = ()) -> None:
        self._clock = clock
        self._names = names
        self._began = clock()
        self._vertices: list[_Vertex] = []
        self._total = 0
        self._finished = False

    def feed(self, event: Event) -> None:
        """Take in one event."""
        now = self._clock()
        match event:
            case PlanMade(plan):
                self._plan(plan, now)
            case ImageAwaited(reference, text):
                self._await(f"[internal] load metadata for {reference}", text, now)
            case SourceAwaited(vertex, text):
                self._await(vertex, text, now)
            case CacheMoved(title, text):
                self._move(title, text, now)
            case StepStarted(step):
                if step.vertex is not None:
                    self._vertices.append(_Vertex(step.vertex, now))
            case OutputWritten(_, _, text):
                self._output(text)
            case StepFinished():
                self._end(event, now)
            case BuildFinished():
                self._export(event, now)
            case CacheDecided():
                pass

    def frame(self, width: int, height: int) -> list[Line]:
        """Draw the build as it stands: the count, and as many of the last lines as there is room for."""
        done = sum(vertex.ended is not None for vertex in self._vertices)
        word = " FINISHED" if self._finished else ""
        seconds = seconds_words(self._clock() - self._began)
        head = Line(f"[+] Building {seconds} ({done}/{max(self._total, len(self._vertices))}){word}")
        lines = [line for vertex in self._vertices for line in self._draw(vertex, width)]
        return [head, *lines[-max(1, height - 1) :]]

    def last_words(self) -> Iterator[str]:
        """Repeat the end of a failed command's output, as BuildKit does below the picture."""
        for vertex in self._vertices:
            if vertex.failed:
                yield from ("------", f" > {printable(vertex.name)}:", *vertex.output[-_KEPT:], "------")

    # ------------------------------------------------------------ taking in

    def _plan(self, plan: Plan, now: float) -> None:
        for awaited in self._vertices:
            awaited.ended = now
        self._total = 2 + sum(step.vertex is not None for step in plan.steps)
        self._vertices.append(_Vertex(f"[internal] load build definition from {plan.file}", self._began, now))

    def _await(self, name: str, text: str, now: float) -> None:
        if not self._vertices or self._vertices[-1].name != name:
            self._vertices.append(_Vertex(name, now))
        if text:
            self._output(f"{text}\n")

    def _move(self, title: str, text: str, now: float) -> None:
        """Tell of a cache above the step that goes on."""
        at = next((vertex for vertex in self._vertices if vertex.name == title), None)
        if at is None:
            at = _Vertex(title, now)
            running = bool(self._vertices) and self._vertices[-1].ended is None
            self._vertices.insert(len(self._vertices) - running, at)
        at.ended, at.facts = now, [*at.facts, text][-SHOWN:]

    def _output(self, text: str) -> None:
        vertex = self._vertices[-1]
        *whole, vertex.partial = (vertex.partial + text).split("\n")
        for line in whole:
            # What a program wrote over with a carriage return is not history; its last words on the line are.
            vertex.output.append(line.rstrip("\r").rpartition("\r")[2])
        del vertex.output[:-_KEPT]

    def _end(self, event: StepFinished, now: float) -> None:
        if event.step.vertex is None:
            return
        vertex = self._vertices[-1]
        if vertex.partial:
            self._output("\n")
        vertex.ended = now
        vertex.mark = {State.CACHED: "CACHED ", State.ERROR: "ERROR "}.get(event.state, "")
        vertex.failed = event.state is State.ERROR
        vertex.facts = [] if event.state is State.CACHED else [*event.result.notes]
        if event.result.layer is not None:
            vertex.facts.append(f"layer {human_size(event.result.added)}")

    def _export(self, event: BuildFinished, now: float) -> None:
        self._finished = event.ok
        if event.image is not None:
            vertex = _Vertex("exporting to image", now, now)
            vertex.facts = [f"writing image {event.image.image_id}", *(f"naming to {name}" for name in self._names)]
            self._vertices.append(vertex)

    # ------------------------------------------------------------ drawing

    def _draw(self, vertex: _Vertex, width: int) -> Iterator[Line]:
        if vertex.ended is None:
            tone = Tone.RUNNING
        else:
            tone = Tone.FAILED if vertex.failed else Tone.DONE
        end = self._clock() if vertex.ended is None else vertex.ended
        yield Line(_row(f" => {vertex.mark}{printable(vertex.name)}", f"{end - vertex.began:.1f}s", width), tone)
        for fact in vertex.facts:
            yield Line(ellipsis(f" => => {fact}", width), tone)
        if vertex.ended is None:
            for line in vertex.output[-SHOWN:]:
                yield Line(ellipsis(f" => => # {line}".expandtabs(), width))


def _row(left: str, right: str, width: int) -> str:
    """Put the time at the right edge."""
    room = max(10, width - len(right) - 1)
    return f"{ellipsis(left, room):<{room}} {right}"
