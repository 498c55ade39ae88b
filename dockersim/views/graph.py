"""Stages and layers as a drawing: Graphviz source, and plain text where there is no ``dot`` to draw it.

The real thing is the LLB graph that ``buildctl debug dump-llb --dot`` writes. Ours has a cluster for each stage and
a node for each step; what the cache said stands in words in the node and shows in its outline, not in colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from dockersim.printable import printable, printable_lines
from dockersim.solver import CopyOp, FromOp, ImageSource, Plan, StagePlan, StageSource, State, StepFinished, StepPlan
from dockersim.views.tables import ellipsis
from dockersim.views.units import human_size

_WIDTH: Final = 46

_LOOKS: Final = {
    "HIT": 'style="filled" fillcolor="#e3f3e8" color="#1c6b36" peripheries=2',
    "MISS": 'style="filled" fillcolor="#fbf0dc" color="#8a5300"',
    "FAILED": 'style="filled,bold" fillcolor="#fce8e6" color="#b3261e" shape=octagon',
    "BASE": 'style="filled" fillcolor="#e9f1fd" color="#1a5fb4"',
    "config": 'style="filled,rounded" fillcolor="white" color="#8b94a1"',
    "not run": 'style="filled,dotted" fillcolor="white" color="#8b94a1" fontcolor="#5f6773"',
}
"""A node's looks by what came of its step: a hit has a double outline, a failure eight corners."""

_UNUSED: Final = 'style="filled,dashed" fillcolor="white" color="#8b94a1"'
_IMAGE: Final = 'shape=cylinder style="filled" fillcolor="white" color="#8b94a1"'

_SIGNS: Final = {"HIT": "●", "MISS": "◆", "FAILED": "✕", "BASE": "■", "config": "○", "not run": "·"}


def graphviz_source(plan: Plan, steps: Iterable[StepFinished] = ()) -> str:
    """Write the plan as a Graphviz digraph; ``steps`` are those that were taken."""
    taken = {event.step.number: event for event in steps}
    lines = [
        "digraph build {",
        "  rankdir=TB; compound=true; nodesep=0.3; ranksep=0.25; bgcolor=transparent;",
        '  node [shape=box fontname="Helvetica,DejaVu Sans,sans-serif" fontsize=10 margin="0.12,0.05"];',
        '  edge [fontname="Helvetica,DejaVu Sans,sans-serif" fontsize=9 color="#5f6773" fontcolor="#5f6773"];',
    ]
    for stage in plan.stages:
        lines += _cluster(stage, taken, target=stage.index == plan.target)
    lines += (f"  {edge}" for edge in _edges(plan))
    return "\n".join([*lines, "}", ""])


def plain_drawing(plan: Plan, steps: Iterable[StepFinished] = ()) -> str:
    """Draw the plan with characters: stages one below the other, their steps joined by a line."""
    taken = {event.step.number: event for event in steps}
    lines: list[str] = []
    for stage in plan.stages:
        lines += _drawn_stage(plan, stage, taken)
    return "\n".join(lines)


def outcome(step: StepPlan, taken: Mapping[int, StepFinished]) -> str:
    """Say in a word what came of a step: HIT, MISS, FAILED, BASE, config or "not run"."""
    event = taken.get(step.number)
    if event is None or event.state is State.NOT_RUN:
        return "not run"
    if event.state is State.ERROR:
        return "FAILED"
    if event.state is State.CACHED:
        return "HIT"
    if step.keyword == "FROM":
        return "BASE"
    return "config" if step.op is None else "MISS"


# ---------------------------------------------------------------- Graphviz


def _cluster(stage: StagePlan, taken: Mapping[int, StepFinished], *, target: bool) -> Iterator[str]:
    style = 'style="rounded" color="#8b94a1"' if stage.built else 'style="rounded,dashed" color="#8b94a1"'
    yield f"  subgraph cluster_{stage.index} {{"
    yield f'    label={_quote(_title(stage, target=target))}; labeljust=l; fontsize=11; fontcolor="#5f6773"; {style};'
    yield '    fontname="Helvetica,DejaVu Sans,sans-serif";'
    if not stage.steps:
        yield f"    unused_{stage.index} [label={_quote(f'FROM {stage.base}')} {_UNUSED}];"
    for step in stage.steps:
        yield f"    {_name(step)} [label={_quote(_label(step, taken))} {_LOOKS[outcome(step, taken)]}];"
    yield "  }"


def _title(stage: StagePlan, *, target: bool) -> str:
    name = f"stage {stage.index}" + (f" {stage.name}" if stage.name else "")
    if not stage.built:
        return f"{name} (not built: {stage.because})"
    return f"{name} (target)" if target else name


def _label(step: StepPlan, taken: Mapping[int, StepFinished]) -> str:
    words = ellipsis(_one_line(step), _WIDTH)
    return f"{words}\n{_note(step, taken)}"


def _note(step: StepPlan, taken: Mapping[int, StepFinished]) -> str:
    what = outcome(step, taken)
    event = taken.get(step.number)
    size = event.image_size if event and step.keyword == "FROM" else event.result.added if event else 0
    tail = f"  {human_size(size)}" if event and (event.result.layer or step.keyword == "FROM") else ""
    return f"{_SIGNS[what]} {what}{tail}"


def _edges(plan: Plan) -> Iterator[str]:
    last = {stage.index: _name(stage.steps[-1]) for stage in plan.stages if stage.steps}
    images: set[str] = set()
    for stage in plan.stages:
        for above, below in zip(stage.steps, stage.steps[1:], strict=False):
            yield f"{_name(above)} -> {_name(below)};"
        for step in stage.steps:
            yield from _edges_into(step, last, images)


def _edges_into(step: StepPlan, last: Mapping[int, str], images: set[str]) -> Iterator[str]:
    match step.op:
        case FromOp(stage=int(index)) if index in last:
            yield f"{last[index]} -> {_name(step)} [style=bold];"
        case CopyOp(source=StageSource(index)) if index in last:
            yield f'{last[index]} -> {_name(step)} [style=dashed label="COPY --from" constraint=true];'
        case CopyOp(source=ImageSource(reference)):
            name = _quote(f"image {reference}")
            if reference not in images:
                images.add(reference)
                yield f"{name} [label={_quote(reference)} {_IMAGE}];"
            yield f'{name} -> {_name(step)} [style=dashed label="COPY --from"];'
        case _:
            pass


def _name(step: StepPlan) -> str:
    return f"step_{step.number}"


def _quote(text: str) -> str:
    """Write a quoted string of the DOT language; only quotes and backslashes are special in it."""
    escaped = printable_lines(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _one_line(step: StepPlan) -> str:
    return printable(" ".join(step.instruction.replace("\\\n", " ").split()))


# ---------------------------------------------------------------- plain text


def _drawn_stage(plan: Plan, stage: StagePlan, taken: Mapping[int, StepFinished]) -> Iterator[str]:
    if stage.index:
        yield ""
    yield f"┌ {_title(stage, target=stage.index == plan.target)}"
    for step in stage.steps:
        words = ellipsis(_one_line(step), _WIDTH)
        yield f"│ {words:<{_WIDTH}}  {_note(step, taken)}{_from_words(plan, step)}"
    if not stage.steps:
        yield f"╎ FROM {stage.base}"
    yield "└"


def _from_words(plan: Plan, step: StepPlan) -> str:
    match step.op:
        case FromOp(stage=int(index)):
            return f"   ◂── from {_stage_words(plan, index)}"
        case CopyOp(source=StageSource(index)):
            return f"   ◂── files of {_stage_words(plan, index)}"
        case CopyOp(source=ImageSource(reference)):
            return f"   ◂── files of image {reference}"
        case _:
            return ""


def _stage_words(plan: Plan, index: int) -> str:
    stage = plan.stages[index]
    return f"stage {index}" + (f" {stage.name}" if stage.name else "")
