"""A JSON document laid out for reading, each line with what its field means.

The meaning stands beside the first line of its kind. What is laid out is what was read of the document; its digest is
of the bytes as they were sent.

>>> [(line.text, line.meaning) for line in lines_of({"os": "linux", "n": [1]}, {"os": "where it runs"})]
[('{', ''), ('  "os": "linux",', 'where it runs'), ('  "n": [', ''), ('    1', ''), ('  ]', ''), ('}', '')]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from dockersim.registry.page.markup import Content, Markup, element, join

DEEPEST: Final = 24
MOST_LINES: Final = 2000
"""So much of a document is laid out; documents that hold an image together are far smaller."""

LONGEST_TEXT: Final = 4000


class Line(Struct, frozen=True):
    """One line of the document."""

    text: str
    meaning: str = ""


def lines_of(document: Any, meanings: Mapping[str, str]) -> Iterator[Line]:
    """Lay a document out; ``meanings`` are by path, as in ``meanings.py``."""
    left = dict(meanings)
    for indent, text, path in _walk(document, None, "", ""):
        yield Line("  " * indent + text, left.pop(path, "") if path else "")


def document_table(document: Any, meanings: Mapping[str, str], caption: str) -> Markup:
    """Write a document as a table: the line, and beside it what it means."""
    lines = list(islice(lines_of(document, meanings), MOST_LINES + 1))
    rows = [_row(element("code", line.text), line.meaning) for line in lines[:MOST_LINES]]
    if len(lines) > MOST_LINES:
        rows.append(_row(f"… only the first {MOST_LINES} lines are shown", ""))
    head = element("tr", element("th", caption, scope="col"), element("th", "What it means", scope="col"))
    return element("table", element("thead", head), element("tbody", join(*rows)), class_="document", role="table")


def _row(text: Content, meaning: str) -> Markup:
    # The roles are said, as where it is narrow the style sheet makes a list of the table.
    return element("tr", element("td", text, class_="json", role="cell"), element("td", meaning, role="cell"),
                   role="row")  # fmt: skip


def _walk(value: Any, name: str | None, path: str, end: str) -> Iterator[tuple[int, str, str]]:
    """Give the lines of one value: how deep, the text, and the path where a field begins."""
    label = "" if name is None else f"{_json(name)}: "
    depth = path.count(".") + 1 if path else 0
    if not value or not isinstance(value, dict | list) or depth >= DEEPEST:
        yield depth, f"{label}{_json(value)}{end}", path
        return
    pairs = value.items() if isinstance(value, dict) else ((None, one) for one in value)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield depth, f"{label}{opening}", path
    last = len(value) - 1
    for at, (key, one) in enumerate(pairs):
        # A dot in a key would look like a step down.
        below = "*" if key is None else key.replace(".", "_") or "_"
        yield from _walk(one, key, f"{path}.{below}" if path else below, "," if at < last else "")
    yield depth, f"{closing}{end}", ""


def _json(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "…"  # deeper than anybody reads
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text):,} characters)"
