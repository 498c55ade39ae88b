"""One step of a build as the learner holds it: everything it did, and its file system to walk around in."""

from __future__ import annotations

from typing import Protocol

from dockersim.engine.files import Files, RunResult
from dockersim.filesystem import Change, Tree, diff
from dockersim.oci import ImageConfig
from dockersim.solver import CacheDecision, State, StepFinished, VariableUse
from dockersim.source import At


class StepSource(Protocol):
    """Where a step's file system comes from: the store, or a trace."""

    def files(self, layers: tuple[str, ...]) -> Files:
        """Give the file system that ``layers`` make, lowest first."""

    def run(self, step: StepFinished, command: str) -> RunResult:
        """Run ``command`` in a throw-away copy of the step's file system."""

    def cancel(self) -> None:
        """Kill the command that is running, if one is; from any thread."""


class Step:
    """What one instruction did. Steps never change; two looks at one show the same."""

    def __init__(self, event: StepFinished, layers_before: tuple[str, ...] | None, source: StepSource) -> None:
        self.event = event
        self._before = layers_before
        self._source = source

    def __repr__(self) -> str:
        return f"<Step {self.number} line {self.at.line}: {self.instruction!r} {self.state.value}>"

    # ------------------------------------------------------------ the instruction

    @property
    def number(self) -> int:
        """Which step of the build it is, from 1, over all stages."""
        return self.event.step.number

    @property
    def stage(self) -> int:
        """The index of its stage, from 0."""
        return self.event.step.stage

    @property
    def at(self) -> At:
        """Its lines in the Dockerfile."""
        return self.event.step.at

    @property
    def line(self) -> int:
        """Its first line in the Dockerfile."""
        return self.event.step.at.line

    @property
    def keyword(self) -> str:
        """FROM, RUN, COPY, ..."""
        return self.event.step.keyword

    @property
    def instruction(self) -> str:
        """The instruction as written."""
        return self.event.step.instruction

    @property
    def expanded(self) -> str:
        """The instruction with its variables replaced."""
        return self.event.step.expanded

    @property
    def variables(self) -> tuple[VariableUse, ...]:
        """The variables it uses, with their values and where these came from."""
        return self.event.step.variables

    @property
    def vertex(self) -> str | None:
        """The name BuildKit shows it under, None if BuildKit shows none."""
        return self.event.step.vertex

    # ------------------------------------------------------------ what came of it

    @property
    def state(self) -> State:
        """Done, cached, failed or (when predicting) not run."""
        return self.event.state

    @property
    def failed(self) -> bool:
        """Whether the step failed."""
        return self.event.state is State.ERROR

    @property
    def cached(self) -> bool | None:
        """Whether it came from the cache; None for an instruction that the cache has nothing to do with."""
        if self.event.step.op is None or self.keyword == "FROM":
            return None
        return self.event.state is State.CACHED

    @property
    def cache(self) -> CacheDecision:
        """The cache's verdict, with the reason in words and in fields."""
        return self.event.decision

    @property
    def error(self) -> str:
        """Why it failed, or ""."""
        return self.event.error

    @property
    def output(self) -> str:
        """What its command wrote; for a cached step, what it wrote when it ran."""
        return "".join(text for _, text in self.event.result.output)

    @property
    def exit_code(self) -> int | None:
        """The exit code of its command; None if it ran none."""
        return self.event.result.exit_code

    @property
    def seconds(self) -> float:
        """How long it took; for a cached step, how long it took when it ran."""
        return self.event.result.seconds

    @property
    def notes(self) -> tuple[str, ...]:
        """What else the learner should know, one sentence each."""
        return self.event.result.notes

    @property
    def fidelity(self) -> tuple[str, tuple[str, ...]]:
        """How a RUN was executed (the rung's name), and in what that differs from Docker, one sentence each."""
        return self.event.result.rung, self.event.result.deviations

    @property
    def layers(self) -> tuple[str, ...]:
        """The diff ids of the stage's layers after the step, lowest first."""
        return self.event.layers

    @property
    def layer(self) -> str | None:
        """The diff id of the layer that the step made, None if it made none."""
        return self.event.result.layer

    @property
    def layer_size(self) -> int:
        """The layer's size as an uncompressed tar, in bytes."""
        return self.event.result.size

    @property
    def added(self) -> int:
        """The bytes of the files in the layer: what ``docker history`` shows."""
        return self.event.result.added

    @property
    def image_size(self) -> int:
        """The size of the stage's image after the step, in bytes."""
        return self.event.image_size

    @property
    def config_before(self) -> ImageConfig:
        """The image config before the step."""
        return self.event.step.config_before

    @property
    def config(self) -> ImageConfig:
        """The image config after the step."""
        return self.event.step.config_after

    # ------------------------------------------------------------ its file system

    @property
    def files(self) -> Files:
        """The file system after the step (after a failing RUN: as the command left it)."""
        return self._source.files(self.layers)

    @property
    def files_before(self) -> Files:
        """The file system before the step; empty before FROM."""
        return self._source.files(self._before or ())

    def diff(self, other: Step | None = None) -> tuple[Change, ...]:
        """Tell what the step changed; or, given another step, what is different here from there."""
        before: Tree = self.files_before.tree if other is None else other.files.tree
        return diff(before, self.files.tree)

    def run(self, command: str) -> RunResult:
        """Run a shell command in a throw-away copy of the step's file system; nothing of it is kept."""
        return self._source.run(self.event, command)
