"""Where the stepper's front end is, and a build as a page that needs no kernel.

The widget and the page run the same two files, ``stepper.js`` and ``stepper.css``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from dockersim.engine.build import Build
from dockersim.engine.step import Step
from dockersim.errors import DockersimError
from dockersim.filesystem import Entry, Kind
from dockersim.jupyter.wire import CONTENT_LIMIT, text_of
from dockersim.trace import build_document
from dockersim.views import trace_page

SCRIPT: Final = Path(__file__).with_name("stepper.js")
STYLE: Final = Path(__file__).with_name("stepper.css")

_CONTENTS_LIMIT: Final = 2_000_000
"""So many characters of file contents a page carries at most; of what does not fit, it says so."""


def page_of(build: Build, *, title: str = "") -> str:
    """Write ``build``, as far as it has come, as one HTML page that plays it forwards and backwards.

    It carries the text files that the steps after FROM changed, before and after, as far as they fit.
    """
    steps = {step.number: step for step in build.steps}
    document = build_document(
        file=build.file,
        text=build.text,
        options=build.options,
        plan=build.plan,
        steps=[step.event for step in build.steps],
        finished=build.finished,
        error=build.error,
        recording=(),
        diff_of=lambda event: steps[event.step.number].diff(),
        findings=build.findings,
    )
    script, style = SCRIPT.read_text(encoding="utf-8"), STYLE.read_text(encoding="utf-8")
    return trace_page(document, script=script, style=style, contents=_contents(build.steps), title=title)


def _contents(steps: Iterable[Step]) -> dict[str, str]:
    """Read the text of changed files, by sha256, until there is no more room."""
    contents: dict[str, str] = {}
    room = _CONTENTS_LIMIT
    for step in steps:
        if step.keyword == "FROM":
            continue
        before, after = step.files_before, step.files
        for change in step.diff():
            for entry, files in ((change.before, before), (change.after, after)):
                if entry is None or not _wanted(entry, contents, room):
                    continue
                try:
                    text = text_of(files, change.path)
                except DockersimError:
                    continue  # a replayed build has no contents; the page then says so
                if isinstance(text, str):
                    contents[(entry.digest or "").removeprefix("sha256:")] = text
                    room -= len(text)
    return contents


def _wanted(entry: Entry, contents: dict[str, str], room: int) -> bool:
    if entry.kind is not Kind.FILE or entry.digest is None or entry.size > min(room, CONTENT_LIMIT):
        return False
    return entry.digest.removeprefix("sha256:") not in contents
