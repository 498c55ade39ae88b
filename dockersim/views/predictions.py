"""A predicted build as a table: which steps would be CACHED, which would be run, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dockersim.solver import State, StepFinished
from dockersim.views.tables import ellipsis, table

HEADER: Final = ("LINE", "INSTRUCTION", "WOULD BE", "WHY")

_WORDS: Final = {State.CACHED: "CACHED", State.NOT_RUN: "RUN", State.ERROR: "ERROR"}


def plan_table(steps: Iterable[StepFinished], *, instruction_width: int = 44) -> str:
    """Lay the predicted steps out in columns; what only sets the config, and FROM, would be neither."""
    cells = [
        (str(event.step.at.line), ellipsis(_one_line(event), instruction_width), would_be(event), _why(event))
        for event in steps
    ]
    return "\n".join(line.rstrip() for line in table(HEADER, cells).split("\n"))


def would_be(event: StepFinished) -> str:
    """Say in one word what would become of a step: CACHED, RUN, ERROR, or "-" where there is nothing to do."""
    return _WORDS.get(event.state, "-")


def plan_summary(steps: Iterable[StepFinished]) -> str:
    """Sum a prediction up in a sentence."""
    steps = tuple(steps)
    runs = [event for event in steps if event.state is State.NOT_RUN]
    cached = sum(event.state is State.CACHED for event in steps)
    if not runs:
        return f"Nothing would be run: {_count(cached)} would come from the cache."
    lines = ", ".join(str(event.step.at.line) for event in runs)
    return f"{_count(len(runs))} would be run (line {lines}), {cached} would come from the cache."


def _count(number: int) -> str:
    return f"{number} step" if number == 1 else f"{number} steps"


def _why(event: StepFinished) -> str:
    return event.error if event.state is State.ERROR else event.decision.because


def _one_line(event: StepFinished) -> str:
    return " ".join(event.step.instruction.replace("\\\n", " ").split())
