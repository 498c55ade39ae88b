"""A build that is driven one step at a time: the pump that answers the solver, and what the learner holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, cast

from dockersim.dockerfile import NO_RULES, IgnoreRules
from dockersim.engine.step import Step, StepSource
from dockersim.errors import BuildError, Cancelled, DockersimError
from dockersim.solver import (
    BuildFinished,
    BuildOptions,
    Event,
    Outcome,
    Plan,
    PlanMade,
    Request,
    Solver,
    StepFinished,
    is_request,
)

if TYPE_CHECKING:
    from dockersim.dockerfile import Finding

EventSink = Callable[[Event], None]


class Driver(Protocol):
    """Answers what the solver asks: by doing it, by looking, or from a recording."""

    def answer(self, request: Request) -> Outcome:
        """Answer one request. Raises DockersimError where it cannot be done; the step then fails with it."""

    def close(self) -> None:
        """Let go of what answering has opened: the build has ended, well or badly. Repeatable."""


class Build:
    """A build of one Dockerfile, standing on one of its steps.

    Iterate over it, or drive it: ``next``, ``back``, ``run_to``, ``finish``. Steps that were taken stay: going back
    only moves the position, going forward over them again does nothing anew. A failing step is a step like any
    other, on which the build then stands; asking for the next one raises the error.
    """

    def __init__(
        self, solver: Solver, driver: Driver, source: StepSource, on_event: EventSink | None = None, text: str = ""
    ) -> None:
        self._solver = solver
        self._driver = driver
        self._source = source
        self._sinks = [on_event] if on_event is not None else []
        self._pending: Request | None = None
        self._lock = threading.RLock()
        self._taken: list[Step] = []
        self._position = -1
        self._findings: tuple[Finding, ...] | None = None
        self.text = text
        """The Dockerfile's text."""
        self.file = "Dockerfile"
        """Its name, as errors and traces show it."""
        self.options = BuildOptions()
        """What the caller asked for."""
        self.ignore: IgnoreRules = NO_RULES
        """What the context's ignore file leaves out."""
        self.plan: Plan | None = None
        """Every step of every stage, known once the first step has been asked for (or ``prepare`` called)."""
        self.error: DockersimError | None = None
        """Why the build failed, or None."""
        self.finished: BuildFinished | None = None
        """How the build ended, or None while it has not."""
        self.recording: list[Outcome] = []
        """Every outcome that the solver was sent, in order: what a replay needs."""

    # ------------------------------------------------------------ driving

    def prepare(self) -> Plan:
        """Read the Dockerfile and find the base images, without taking a step. Repeatable."""
        with self._lock:
            while self.plan is None:
                self._advance()
            return self.plan

    def next(self) -> Step | None:
        """Stand on the next step, taking it if it has not been taken; None at the end of the build.

        Raises the build's error if the step before failed. After a KeyboardInterrupt the same step can be asked for
        again.
        """
        with self._lock:
            if self._position + 1 == len(self._taken) and not self._take():
                return None
            self._position += 1
            return self._taken[self._position]

    def back(self) -> Step | None:
        """Stand on the step before; None (and no move) on the first one. Nothing is undone and nothing is lost."""
        with self._lock:
            if self._position <= 0:
                return None
            self._position -= 1
            return self._taken[self._position]

    def go_to(self, number: int) -> Step:
        """Stand on step ``number`` (from 1), taking the steps before it as needed."""
        with self._lock:
            while len(self._taken) < number:
                if not self._take():
                    raise BuildError(f"the build has no step {number}; it has {len(self._taken)}")
            self._position = number - 1
            return self._taken[self._position]

    def run_to(self, line: int) -> Step | None:
        """Take steps until the build stands on the one at ``line`` of the Dockerfile, or on the last one."""
        with self._lock:
            for index, step in enumerate(self._taken):
                if line in step.at.lines:
                    self._position = index
                    return step
            self._position = len(self._taken) - 1
            while (step := self.next()) is not None:  # type: ignore[assignment]
                if line in step.at.lines:
                    return step
            return self.step

    def finish(self) -> BuildFinished:
        """Take every step that is left and return how the build ended; raises the error of a failed one."""
        with self._lock:
            self._position = len(self._taken) - 1
            while self.next() is not None:
                pass
            if self.finished is None:
                raise BuildError("the build did not end")
            return self.finished

    def cancel(self) -> None:
        """Kill what is running or being fetched, from any thread; the step raises Cancelled and can be asked again."""
        self._source.cancel()

    # ------------------------------------------------------------ telling

    def listen(self, sink: EventSink) -> None:
        """Have ``sink`` called with every event from now on, in the thread that drives the build."""
        self._sinks.append(sink)

    def tell(self, event: Event) -> None:
        """Give an event to all who listen; a driver tells here what happens within a step."""
        for sink in self._sinks:
            sink(event)

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        step = self.next()
        if step is None:
            raise StopIteration
        return step

    # ------------------------------------------------------------ looking

    @property
    def step(self) -> Step | None:
        """The step the build stands on; None before the first."""
        return self._taken[self._position] if self._position >= 0 else None

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step taken so far, in order."""
        return tuple(self._taken)

    @property
    def ok(self) -> bool:
        """Whether the build ended well."""
        return self.finished is not None and self.finished.ok

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the build checks find in the Dockerfile; none before it has been read (``prepare``).

        They stop a build only if the Dockerfile says so: ``# check=error=true``.
        """
        if self._findings is None:
            if self.plan is None and self.error is None:
                return ()
            from dockersim.solver.checks import check_build  # who looks at no findings need not wait for them

            self._findings = check_build(self.text, self.file, self.options, self.plan, self.ignore).findings
        return self._findings

    @findings.setter
    def findings(self, findings: tuple[Finding, ...]) -> None:
        """Take the findings from a recording, which knows the ignore file of its time."""
        self._findings = findings

    # ------------------------------------------------------------ the pump

    def _take(self) -> bool:
        """Pump the solver until it has finished one step; False at the end."""
        taken = len(self._taken)
        while self.finished is None and len(self._taken) == taken:
            self._advance()
        # The end of the build (naming the image, or the error) belongs to its last step: nobody has to ask for it.
        while self.error is None and self.finished is None and self._at_last_step():
            self._advance()
        return len(self._taken) > taken

    def _at_last_step(self) -> bool:
        failed = bool(self._taken) and self._taken[-1].failed
        return failed or (self.plan is not None and len(self._taken) == len(self.plan.steps))

    def _advance(self) -> None:
        """Send the solver one outcome and take in what it yields."""
        if self.error is not None:
            raise self.error
        try:
            item = self._send()
        except StopIteration as end:
            # The solver ends with BuildFinished, after which nobody advances; anything else must not look like an end.
            raise BuildError("the build ended before its last step") from end
        except Cancelled:
            raise  # the build has not failed: what was asked is still to be done, and can be asked for again
        except DockersimError as error:
            self.error = error
            self._driver.close()
            # A failing step has been yielded as a step; its error waits until the next one is asked for.
            if not (self._taken and self._taken[-1].failed):
                raise
            return
        if is_request(item):
            self._pending = item
        else:
            self._take_in(cast(Event, item))

    def _send(self) -> Event | Request:
        if self._pending is None:
            return next(self._solver)
        try:
            outcome = self._driver.answer(self._pending)
        except Cancelled:
            raise
        except DockersimError as error:
            self._pending = None
            return self._solver.throw(error)
        self._pending = None
        self.recording.append(outcome)
        return self._solver.send(outcome)

    def _take_in(self, event: Event) -> None:
        match event:
            case PlanMade(plan):
                self.plan = plan
            case StepFinished():
                before = self._layers_before(event)
                self._taken.append(Step(event, before, self._source))
            case BuildFinished():
                self.finished = event
                self._driver.close()
            case _:
                pass
        self.tell(event)

    def _layers_before(self, event: StepFinished) -> tuple[str, ...] | None:
        """Give the layers of the step's stage before it; None for the first step of a stage."""
        for step in reversed(self._taken):
            if step.stage == event.step.stage:
                return step.layers
        return None
