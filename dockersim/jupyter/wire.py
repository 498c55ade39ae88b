"""What goes between the stepper in the browser and the kernel.

A trait holds the trace document without what is heavy in its steps, so that it is small however long the build is;
the rest is asked for, one step, one directory, one file at a time. Questions and answers are described at the top of
``stepper.js``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from dockersim.engine.build import Build
from dockersim.engine.files import Files
from dockersim.engine.step import Step
from dockersim.errors import DockersimError
from dockersim.filesystem import Kind
from dockersim.trace import build_document, step_document
from dockersim.trace.rows import entry_to_json
from dockersim.views import human_size

CONTENT_LIMIT: Final = 256_000
"""Bytes of a file that are shown; a browser that has to draw more of it stops being pleasant."""

_HEAVY: Final = ("diff", "output", "variables", "config_before", "config_after", "history")
"""Parts of a step that are asked for when they are looked at."""


class NotShown(Struct, frozen=True):
    """Why the content of a file is not shown."""

    because: str


def light_document(build: Build) -> dict[str, Any]:
    """Write ``build``, as far as it has come, without what is heavy."""
    document = build_document(
        file=build.file,
        text=build.text,
        options=build.options,
        plan=build.plan,
        steps=[step.event for step in build.steps],
        finished=build.finished,
        error=build.error,
        recording=(),
        diff_of=lambda _: None,
        findings=build.findings,
    )
    document["steps"] = [_light(fields) for fields in document["steps"]]
    return document


def answer(build: Build, question: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one question of the front end; what cannot be answered is a ``problem`` in words."""
    try:
        step = _step(build, question.get("step"))
        path = str(question.get("path", ""))
        match question.get("ask"):
            case "step":
                return {"fields": step_fields(step)}
            case "list":
                return {"entries": _listing(step, path)}
            case "file":
                return _file(step, path)
            case other:
                return {"problem": f"unknown question {other!r}"}
    except DockersimError as error:
        return {"problem": str(error), "entries": []}


def step_fields(step: Step) -> dict[str, Any]:
    """Write everything about one step; its changes are None where they are not known."""
    try:
        changes = step.diff()
    except DockersimError:
        changes = None  # the layers have been removed from the store, or a trace was written without changes
    return step_document(step.event, changes)


def text_of(files: Files, path: str) -> str | NotShown | None:
    """Read a text file for showing; None where there is no file."""
    node = files.tree.get(path)
    if node is None or node.entry.kind is not Kind.FILE:
        return None
    if node.entry.size > CONTENT_LIMIT:
        size, limit = human_size(node.entry.size), human_size(CONTENT_LIMIT)
        return NotShown(f"The file has {size}; only files up to {limit} are shown.")
    with files.opener(node) as stream:
        data = stream.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return NotShown("This is not text.")
    return NotShown("This is not text.") if "\0" in text else text


def _light(fields: dict[str, Any]) -> dict[str, Any]:
    light = {name: value for name, value in fields.items() if name not in _HEAVY}
    if "cache" in light:
        light["cache"] = {name: light["cache"][name] for name in ("verdict", "because")}
    return light


def _step(build: Build, number: object) -> Step:
    for step in build.steps:
        if step.number == number:
            return step
    raise DockersimError(f"step {number} has not been taken yet")


def _listing(step: Step, path: str) -> list[list[Any]]:
    children = step.files.tree.children(path)
    return [[child.entry.path.rpartition("/")[2], entry_to_json(child.entry)] for child in children]


def _file(step: Step, path: str) -> dict[str, Any]:
    sides = {"before": text_of(step.files_before, path), "after": text_of(step.files, path)}
    return {name: _side(text) for name, text in sides.items()}


def _side(text: str | NotShown | None) -> dict[str, str] | None:
    if text is None:
        return None
    return {"note": text.because} if isinstance(text, NotShown) else {"text": text}
