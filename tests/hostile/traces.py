"""Attacks by a trace, which a learner is sent and replays: any part of it may be anything."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dockersim import Engine, replay
from dockersim.engine.build import Build
from dockersim.errors import DockersimError
from dockersim.filesystem import Kind
from dockersim.jupyter.wire import light_document, step_fields
from dockersim.views import graphviz_source, plain_drawing
from dockersim.views.page import trace_page
from dockersim.views.steps import cache_lines, config_lines, diff_lines, ls_line, step_table, steps_html

VALUES: tuple[Any, ...] = (
    None, [], {}, "", -1, 10**30, 1.5, True, "\x1b[2J\x9b31m", "\ud800", "../../../etc/passwd", "</script><script>",
    [["x"]], {"a": {"b": None}},
)  # fmt: skip
"""What is put in the place of each part."""

TEXTS: dict[str, bytes] = {
    "trace_that_is_empty": b"",
    "trace_that_is_deep": b'{"schema":"dockersim.trace/v1","a":' * 1 + b"[" * 200_000,
    "trace_that_is_deep_and_closed": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "trace_that_is_no_utf8": b'{"schema":"\xff"}',
    "trace_that_is_not_a_number": b'{"schema":"dockersim.trace/v1","recording":NaN}',
    "trace_of_a_number_of_a_million_digits": b'{"schema":' + b"9" * 1_000_000 + b"}",
}


def honest(folder: Path) -> dict[str, Any]:
    """Build something small, and give its trace."""
    context = folder / "context"
    context.mkdir()
    (context / "f").write_text("x")
    text = "FROM scratch AS a\nARG V=1\nCOPY f /d/$V\nLABEL x=y\nFROM scratch\nCOPY --from=a / /\n"
    engine = Engine(folder / "home", environment={})
    build = engine.build(context, text=text)
    build.finish()
    document = json.loads(json.dumps(engine.trace(build)))
    engine.close()
    return document


def changed(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the document again and again, each time with one of its parts replaced, and where that is."""
    for path in list(_paths(document)):
        for number, value in enumerate(VALUES):
            other = copy.deepcopy(document)
            holder = other
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = value
            yield f"{'.'.join(map(str, path))} is {number}", other


def _paths(part: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        yield (*above, key)
        yield from _paths(value, (*above, key))


def show(build: Build) -> str:
    """Look at a replayed build in every way there is; give what a terminal would be shown."""
    lines: list[str] = []
    try:
        build.finish()
    except DockersimError as error:
        lines.append(str(error))
    events = [step.event for step in build.steps]
    lines.append(step_table(events))
    for step in build.steps:
        lines += [*diff_lines(step.diff()), *cache_lines(step.cache), *config_lines(step.config_before, step.config)]
        lines += [ls_line(entry) for entry in step.files.walk() if entry.kind is not Kind.DIRECTORY]
        json.dumps(step_fields(step), ensure_ascii=False).encode("utf-8", "surrogateescape")
    if build.plan is not None:
        lines.append(plain_drawing(build.plan, events))
        graphviz_source(build.plan, events).encode()
    steps_html(events)
    json.dumps(light_document(build), ensure_ascii=False).encode("utf-8", "surrogateescape")
    return "\n".join(lines)


def page(document: dict[str, Any]) -> str:
    """Write the page of a trace, as a teacher would pass it on."""
    text = trace_page(document, script="", style="")
    text.encode("utf-8", "surrogateescape")
    return text


def view(text: bytes | str) -> str:
    """Replay a trace and show it."""
    return show(replay(text))


def trace() -> dict[str, Any]:
    """Give an honest trace."""
    with tempfile.TemporaryDirectory() as folder:
        return honest(Path(folder))
