"""The whole document: writing it, and reading one that somebody sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct, convert, to_builtins

from dockersim.dockerfile import NO_RULES, IgnoreRules
from dockersim.dockerfile.passwords import without_password
from dockersim.errors import ContentError, DockerfileError, DockersimError
from dockersim.filesystem import Change
from dockersim.oci.gojson import parse
from dockersim.solver import (
    BuildFinished,
    BuildOptions,
    Outcome,
    Plan,
    ResolvedImage,
    StepFinished,
    outcome_from_json,
    outcome_to_json,
)
from dockersim.trace.rows import (
    change_from_row,
    finding_from_json,
    finding_to_json,
    redacted,
    step_document,
    unreached_step_document,
)

if TYPE_CHECKING:
    from dockersim.dockerfile import Finding

SCHEMA: Final = "dockersim.trace/v1"

LARGEST_TRACE: Final = 128 << 20
"""Bytes; the diff of a step that adds a hundred thousand files takes thirty million."""

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
        return None if layers is None else convert(layers, tuple[str, ...])


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
    def ignore(self) -> IgnoreRules:
        """What the context's ignore file left out; nothing in a trace that was written without it."""
        return IgnoreRules.numbered((int(line), str(text)) for line, text in self.document.get("ignore", ()))

    @property
    def steps(self) -> tuple[StepTrace, ...]:
        """The steps, in order, those that were never reached at the end."""
        return tuple(StepTrace(fields) for fields in self.document["steps"])


class _File(Struct, frozen=True):
    name: str
    text: str


class _Skeleton(Struct, frozen=True):
    """What must be there before anything else can be read."""

    dockerfile: _File
    steps: list[dict[str, Any]]
    recording: list[dict[str, Any]]


class _Options(Struct, frozen=True):
    """The options as a trace holds them; what has a default is not in the oldest traces."""

    build_args: dict[str, str]
    target: str
    platform: str
    no_cache: bool
    labels: dict[str, str]
    names: tuple[str, ...]
    epoch: int | None
    add_hosts: tuple[tuple[str, str], ...] = ()
    no_cache_filter: tuple[str, ...] = ()
    network: Literal["default", "none", "host"] = "default"
    contexts: dict[str, str] = {}
    build_platform: str | None = None


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
    ignore: IgnoreRules = NO_RULES,
) -> dict[str, Any]:
    """Write a build, finished or not, as a document that ``read`` reads."""
    unreached = plan.steps[len(steps) :] if plan else ()
    head = {
        "schema": SCHEMA,
        "ok": bool(finished and finished.ok),
        "error": _error(error),
        "dockerfile": {"name": file, "text": text},
        "ignore": [list(line) for line in ignore.lines],
        "options": _options(options),
        "stages": [
            {"index": one.index, "name": one.name, "base": one.base, "line": one.at.line, "built": one.built,
             "because": one.because} for one in (plan.stages if plan else ())
        ],
        "target": plan.target if plan else None,
        "findings": [finding_to_json(finding) for finding in findings],
        "image": _image(finished),
    }  # fmt: skip
    rows = [step_document(event, diff_of(event)) for event in steps]
    return {
        **redacted(head),  # a trace is passed on
        "steps": [*rows, *(unreached_step_document(step) for step in unreached)],
        "recording": redacted([outcome_to_json(outcome) for outcome in recording]),
    }


def read(text: str | bytes) -> Trace:
    """Read a trace; raise ContentError that says what is wrong with one that is none."""
    try:
        document = parse(text, "the text", LARGEST_TRACE)
    except ContentError as error:
        raise ContentError(f"not a dockersim trace: {error.message}") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise ContentError(f"not a dockersim trace: its schema is {schema!r}, not {SCHEMA!r}")
    try:
        convert(document, _Skeleton)
        recording = tuple(_checked(outcome_from_json(fields)) for fields in document["recording"])
        options = _read_options(document["options"])
        trace = Trace(document, options, recording)
        for step in trace.steps:
            _ = step.diff, step.layers, step.fields["line"]
        _ = trace.findings, trace.ignore
    except (DockerfileError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ContentError(f"a damaged dockersim trace: {type(error).__name__} {error}") from error
    return trace


def _checked(outcome: Outcome) -> Outcome:
    """Check that everything in an outcome is of its kind: the solver takes what it is sent on trust."""
    if isinstance(outcome, ResolvedImage):  # its config is checked by whoever reads it
        parts = (outcome.layers, outcome.sizes, outcome.answered_by, outcome.notes)
        convert(parts, tuple[tuple[str, ...], tuple[int, ...], str, tuple[str, ...]])
        return outcome
    return convert(to_builtins(outcome), type(outcome))


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
        # A trace is passed on, and its replay opens no context.
        "contexts": {name: without_password(value) for name, value in options.contexts},
        "build_platform": options.build_platform,
    }


def _read_options(fields: object) -> BuildOptions:
    """Check and read what ``_options`` wrote."""
    written = convert(fields, _Options)
    return BuildOptions(
        build_args=tuple(written.build_args.items()),
        target=written.target,
        platform=written.platform,
        no_cache=written.no_cache,
        labels=tuple(written.labels.items()),
        names=written.names,
        epoch=written.epoch,
        add_hosts=written.add_hosts,
        no_cache_filter=written.no_cache_filter,
        network=written.network,
        contexts=tuple(written.contexts.items()),
        build_platform=written.platform if written.build_platform is None else written.build_platform,
    )
