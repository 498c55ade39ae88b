"""The whole document: writing it, and reading one that somebody sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from dockersim.errors import ContentError, DockersimError
from dockersim.filesystem import Change
from dockersim.solver import (
    BuildFinished,
    BuildOptions,
    Outcome,
    Plan,
    StepFinished,
    outcome_from_json,
    outcome_to_json,
)
from dockersim.trace.rows import (
    change_from_row,
    finding_from_json,
    finding_to_json,
    step_document,
    unreached_step_document,
)

if TYPE_CHECKING:
    from dockersim.dockerfile import Finding

SCHEMA: Final = "dockersim.trace/v1"

DiffOf = Callable[[StepFinished], Iterable[Change] | None]


class StepTrace(Struct, frozen=True):
    """One step as a trace holds it: its JSON, and its changes where they were kept."""

    fields: dict[str, Any]

    @property
    def diff(self) -> tuple[Change, ...] | None:
        """The step's changes; None where the trace was written without them."""
        rows = self.fields.get("diff")
        return None if rows is None else tuple(change_from_row(row) for row in rows)

    @property
    def layers(self) -> tuple[str, ...] | None:
        """The stage's layers after the step; None for a step that was never reached."""
        layers = self.fields.get("layers")
        return None if layers is None else tuple(layers)


class Trace(Struct, frozen=True):
    """A trace that has been read and checked."""

    document: dict[str, Any]
    options: BuildOptions
    recording: tuple[Outcome, ...]

    @property
    def text(self) -> str:
        """The Dockerfile."""
        return str(self.document["dockerfile"]["text"])

    @property
    def file(self) -> str:
        """The Dockerfile's name."""
        return str(self.document["dockerfile"]["name"])

    @property
    def findings(self) -> tuple[Finding, ...] | None:
        """What the build checks found; None in a trace that was written without them."""
        rows = self.document.get("findings")
        return None if rows is None else tuple(finding_from_json(row) for row in rows)

    @property
    def steps(self) -> tuple[StepTrace, ...]:
        """The steps, in order, those that were never reached at the end."""
        return tuple(StepTrace(fields) for fields in self.document["steps"])


def build_document(
    *,
    file: str,
    text: str,
    options: BuildOptions,
    plan: Plan | None,
    steps: Sequence[StepFinished],
    finished: BuildFinished | None,
    error: DockersimError | None,
    recording: Sequence[Outcome],
    diff_of: DiffOf,
    findings: Sequence[Finding] = (),
) -> dict[str, Any]:
    """Write a build, finished or not, as a document that ``read`` reads."""
    unreached = plan.steps[len(steps) :] if plan else ()
    return {
        "schema": SCHEMA,
        "ok": bool(finished and finished.ok),
        "error": _error(error),
        "dockerfile": {"name": file, "text": text},
        "options": _options(options),
        "stages": [
            {"index": one.index, "name": one.name, "base": one.base, "line": one.at.line, "built": one.built,
             "because": one.because} for one in (plan.stages if plan else ())
        ],
        "target": plan.target if plan else None,
        "findings": [finding_to_json(finding) for finding in findings],
        "image": _image(finished),
        "steps": [
            *(step_document(event, diff_of(event)) for event in steps),
            *(unreached_step_document(step) for step in unreached),
        ],
        "recording": [outcome_to_json(outcome) for outcome in recording],
    }  # fmt: skip


def read(text: str | bytes) -> Trace:
    """Read a trace; raise ContentError that says what is wrong with one that is none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContentError(f"not a dockersim trace: it is not JSON ({error})") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise ContentError(f"not a dockersim trace: its schema is {schema!r}, not {SCHEMA!r}")
    try:
        recording = tuple(outcome_from_json(fields) for fields in document["recording"])
        options = _read_options(document["options"])
        trace = Trace(document, options, recording)
        for step in trace.steps:
            _ = step.diff, step.fields["line"]
        _ = trace.findings
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ContentError(f"a damaged dockersim trace: {type(error).__name__} {error}") from error
    return trace


def _error(error: DockersimError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "message": error.message,
        "hint": error.hint,
        "line": error.at.line if error.at else None,
        "last_line": error.at.last_line if error.at else None,
    }


def _image(finished: BuildFinished | None) -> dict[str, Any] | None:
    if finished is None or finished.image is None:
        return None
    image = finished.image
    return {"id": image.image_id, "manifest": image.manifest, "size": image.size, "layers": list(finished.layers)}


def _options(options: BuildOptions) -> dict[str, Any]:
    return {
        "build_args": dict(options.build_args),
        "target": options.target,
        "platform": options.platform,
        "no_cache": options.no_cache,
        "labels": dict(options.labels),
        "names": list(options.names),
        "epoch": options.epoch,
        "add_hosts": [list(pair) for pair in options.add_hosts],
        "no_cache_filter": list(options.no_cache_filter),
        "network": options.network,
        "contexts": dict(options.contexts),
        "build_platform": options.build_platform,
    }


def _read_options(fields: dict[str, Any]) -> BuildOptions:
    return BuildOptions(
        build_args=tuple(fields["build_args"].items()),
        target=fields["target"],
        platform=fields["platform"],
        no_cache=fields["no_cache"],
        labels=tuple(fields["labels"].items()),
        names=tuple(fields["names"]),
        epoch=fields["epoch"],
        add_hosts=tuple((name, address) for name, address in fields.get("add_hosts", ())),
        no_cache_filter=tuple(fields.get("no_cache_filter", ())),
        network=fields.get("network", "default"),
        contexts=tuple(fields.get("contexts", {}).items()),
        build_platform=fields.get("build_platform", fields["platform"]),
    )
