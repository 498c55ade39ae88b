"""The parts of a trace: one step, one change, one path, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct, convert

from dockersim.digest import Digest
from dockersim.dockerfile.passwords import without_written_passwords
from dockersim.filesystem import Change, Entry, Kind, What
from dockersim.oci import ImageConfig
from dockersim.solver import CacheDecision, StepFinished, StepPlan, VariableUse

if TYPE_CHECKING:
    from dockersim.dockerfile import Finding


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Write what a build check found; ``last_line`` is always there, as in a step."""
    return {
        "rule": finding.rule,
        "message": finding.message,
        "line": finding.line,
        "last_line": finding.last_line or finding.line,
        "url": finding.url,
        "description": finding.description,
    }


def finding_from_json(fields: dict[str, Any]) -> Finding:
    """Read what ``finding_to_json`` wrote."""
    from dockersim.dockerfile import Finding  # with the checks, which most that write a trace have loaded

    line, last_line = int(fields["line"]), int(fields["last_line"])
    return Finding(
        fields["rule"],
        fields["message"],
        line,
        fields["url"],
        fields["description"],
        last_line if last_line > line else 0,
    )


def entry_to_json(entry: Entry | None) -> dict[str, Any] | None:
    """Write what stands at a path; only what says something is written."""
    if entry is None:
        return None
    facts: dict[str, Any] = {"type": entry.kind.value, "mode": f"{entry.mode:04o}", "uid": entry.uid, "gid": entry.gid}
    if entry.kind is Kind.FILE:
        facts["size"] = entry.size
        if entry.digest:
            facts["sha256"] = entry.digest.removeprefix("sha256:")
    if entry.link:
        facts["link"] = entry.link
    if entry.device is not None:
        facts["device"] = list(entry.device)
    facts["mtime"] = entry.mtime_ns // 1_000_000_000
    return facts


class _Facts(Struct, frozen=True):
    """What ``entry_to_json`` writes; whoever reads it has it from somebody else."""

    type: Kind
    mode: Annotated[str, Meta(pattern=r"\A[0-7]{4}\Z")]
    uid: int
    gid: int
    mtime: int
    size: Annotated[int, Meta(ge=0)] = 0
    link: str = ""
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")] | None = None
    device: tuple[int, int] | None = None


def _entry_of(path: str, facts: _Facts | None) -> Entry | None:
    if facts is None:
        return None
    return Entry(
        path,
        facts.type,
        mode=int(facts.mode, 8),
        uid=facts.uid,
        gid=facts.gid,
        size=facts.size,
        mtime_ns=facts.mtime * 1_000_000_000,
        link=facts.link,
        digest=Digest("sha256:" + facts.sha256) if facts.sha256 else None,
        device=facts.device,
    )


def change_to_row(change: Change) -> list[Any]:
    """Write a change as ``[what, path, before, after]``."""
    return [change.what.value, change.path, entry_to_json(change.before), entry_to_json(change.after)]


def change_from_row(row: list[Any]) -> Change:
    """Read what ``change_to_row`` wrote; raise ValueError for anything else."""
    what, path, before, after = convert(row, tuple[What, str, _Facts | None, _Facts | None])
    return Change(path, what, _entry_of(path, before), _entry_of(path, after))


def redacted(value: Any) -> Any:
    """Leave passwords of addresses out of all texts of a part of a trace, as BuildKit's provenance does."""
    match value:
        case str():
            return without_written_passwords(value)
        case dict():
            return {name: redacted(part) for name, part in value.items()}
        case list():
            return [redacted(part) for part in value]
        case _:
            return value


def step_document(event: StepFinished, diff: Iterable[Change] | None) -> dict[str, Any]:
    """Write one step; ``diff`` is None where its changes were not looked at."""
    # A diff may have very many rows, and holds nothing but paths.
    rows = None if diff is None else [change_to_row(change) for change in diff]
    return {**redacted(_step(event)), "diff": rows}


def _step(event: StepFinished) -> dict[str, Any]:
    """Write all of a step but its changes."""
    step, result = event.step, event.result
    return {
        **_identity(step),
        "variables": [_variable(use) for use in step.variables],
        "state": event.state.value,
        "cached": is_cached(event),
        "cache": _decision(event.decision),
        "layer": {"diff_id": result.layer, "size": result.size} if result.layer else None,
        "layers": list(event.layers),
        "sizes": {"added": result.added, "layer": result.size, "image": event.image_size},
        "config_before": _config(step.config_before),
        "config_after": _config(step.config_after),
        "history": _history(step),
        "output": [{"stream": stream, "text": text} for stream, text in result.output],
        "exit_code": result.exit_code,
        "seconds": round(result.seconds, 4),
        "fidelity": {"rung": result.rung, "deviations": list(result.deviations)} if result.rung else None,
        "notes": list(result.notes),
        "error": event.error or None,
    }


def unreached_step_document(step: StepPlan) -> dict[str, Any]:
    """Write a step that the build never came to."""
    return {
        **redacted(_identity(step)),
        "state": "not-run",
        "cached": False if step.op is not None and step.keyword != "FROM" else None,
    }


def _identity(step: StepPlan) -> dict[str, Any]:
    """Write which step it is."""
    return {
        "number": step.number,
        "stage": step.stage,
        "keyword": step.keyword,
        "instruction": step.instruction,
        "expanded": step.expanded,
        "line": step.at.line,
        "last_line": step.at.last_line,
        "vertex": step.vertex,
    }


def is_cached(event: StepFinished) -> bool | None:
    """Tell whether a step came from the cache; None where the cache has nothing to do with it."""
    if event.step.op is None or event.step.keyword == "FROM":
        return None
    return event.state.value == "cached"


def _variable(use: VariableUse) -> dict[str, Any]:
    return {"name": use.name, "value": use.value, "origin": use.origin, "line": use.line}


def _decision(decision: CacheDecision) -> dict[str, Any]:
    fields = decision.key.to_json() if decision.key else None
    return {
        "verdict": decision.verdict.value,
        "because": decision.because,
        "key": decision.key.digest if decision.key else None,
        "fields": fields,
        "compared_with": decision.compared_with or None,
        "differences": [
            {"field": one.field, "before": one.before, "after": one.after, "words": one.words()}
            for one in decision.differences
        ],
    }


def _config(config: ImageConfig) -> Any:
    return config.config.as_json()


def _history(step: StepPlan) -> dict[str, Any] | None:
    if step.created_by is None:
        return None
    return {"created_by": step.created_by, "empty_layer": step.empty_layer}
