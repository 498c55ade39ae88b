"""Events as JSON, one on a line: what ``--progress=json`` prints, for programs that watch a build."""

from __future__ import annotations

import json
from typing import Any

from dockersim.solver import (
    BuildFinished,
    CacheDecided,
    CacheDecision,
    CacheMoved,
    Event,
    ImageAwaited,
    OutputWritten,
    PlanMade,
    SourceAwaited,
    StepFinished,
    StepPlan,
    StepStarted,
)


def event_line(event: Event) -> str:
    """Write one event as one line of JSON; its kind stands under ``event``."""
    return json.dumps({"event": type(event).__name__, **_fields(event)}, separators=(",", ":"))


def _fields(event: Event) -> dict[str, Any]:
    match event:
        case PlanMade(plan):
            return {"file": plan.file, "steps": [_step(step) for step in plan.steps]}
        case ImageAwaited(reference, text):
            return {"reference": reference, "text": text}
        case CacheMoved(title, text):
            return {"title": title, "text": text}
        case SourceAwaited(vertex, text):
            return {"vertex": vertex, "text": text}
        case StepStarted(step):
            return _step(step)
        case CacheDecided(step, decision):
            return {"step": step.number, **_decision(decision)}
        case OutputWritten(step, stream, text):
            return {"step": step.number, "stream": stream, "text": text}
        case StepFinished():
            return _finished(event)
        case BuildFinished(ok, _, layers, image):
            made = {"id": image.image_id, "manifest": image.manifest, "size": image.size} if image else None
            return {"ok": ok, "image": made, "layers": list(layers)}


def _step(step: StepPlan) -> dict[str, Any]:
    return {
        "step": step.number,
        "stage": step.stage,
        "line": step.at.line,
        "instruction": step.instruction,
        "vertex": step.vertex,
    }


def _decision(decision: CacheDecision) -> dict[str, Any]:
    return {
        "verdict": decision.verdict.value,
        "because": decision.because,
        "key": decision.key.digest if decision.key else None,
        "differences": [difference.words() for difference in decision.differences],
    }


def _finished(event: StepFinished) -> dict[str, Any]:
    result = event.result
    return {
        "step": event.step.number,
        "line": event.step.at.line,
        "state": event.state.value,
        "cache": _decision(event.decision),
        "layer": result.layer,
        "added": result.added,
        "size": event.image_size,
        "exit_code": result.exit_code,
        "seconds": round(result.seconds, 6),
        "rung": result.rung,
        "notes": [*result.notes, *result.deviations],
        "error": event.error,
    }
