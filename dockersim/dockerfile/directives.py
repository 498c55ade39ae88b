"""Parser directives: the comments at the very top of a Dockerfile that change how the rest is read.

``# syntax=``, ``# escape=`` and ``# check=``, each at most once, and only until the first line that is
something else. BuildKit: frontend/dockerfile/parser/directives.go.

>>> read_directives("# escape=`\\nFROM windows\\n")
(Directive(name='escape', value='`', line=1),)
>>> detect_syntax("#!/bin/sh\\n# syntax = docker/dockerfile:1 // more")
Directive(name='syntax', value='docker/dockerfile:1 // more', line=2)
"""

from __future__ import annotations

import json
import re
from typing import Final

from msgspec import Struct

from dockersim.dockerfile.gotext import SPACE
from dockersim.errors import DockerfileError

BYTE_ORDER_MARK: Final = "\ufeff"
_NAMES: Final = ("syntax", "escape", "check")
_BLANKS: Final = "\t\n\f\r "
_ASSIGNMENT: Final = re.compile(rf"([a-zA-Z][a-zA-Z0-9]*)[{_BLANKS}]*=(.+)", re.DOTALL)


class Directive(Struct, frozen=True):
    """One parser directive and its line, counted from 1."""

    name: str
    value: str
    line: int

    @property
    def reference(self) -> str:
        """The value up to its first space; of a syntax directive, the image of the frontend."""
        return self.value.partition(" ")[0]


class DirectiveReader:
    """Takes lines from the top of a file, one at a time, until one is not a directive."""

    def __init__(self, comment: str = "#", line: int = 0) -> None:
        self.comment = comment
        self.line = line
        self.done = False
        self.found: list[Directive] = []

    def feed(self, text: str) -> Directive | None:
        """Read the next line; DockerfileError where a directive comes a second time."""
        self.line += 1
        directive = None if self.done else self._read(text)
        if directive is None:
            self.done = True
            return None
        if any(directive.name == earlier.name for earlier in self.found):
            raise DockerfileError(f"only one {directive.name} parser directive can be used")
        self.found.append(directive)
        return directive

    def _read(self, text: str) -> Directive | None:
        if not text.startswith(self.comment):
            return None
        match = _ASSIGNMENT.match(text[len(self.comment) :].lstrip(SPACE))
        if match is None or match[1].lower() not in _NAMES or "\n" in match[2]:
            return None
        return Directive(match[1].lower(), match[2].strip(_BLANKS) or match[2][-1], self.line)


def read_directives(text: str, *, comment: str = "#", line: int = 0) -> tuple[Directive, ...]:
    """Read the directives at the top of ``text``; one that is repeated ends them."""
    reader = DirectiveReader(comment, line)
    for row in text.split("\n"):
        try:
            if reader.feed(row.removesuffix("\r")) is None:
                break
        except DockerfileError:
            break
    return tuple(reader.found)


def find_directive(text: str, name: str, *, comment: str = "#") -> Directive | None:
    """Find a directive by name in a file that may begin with a byte order mark or a ``#!`` line."""
    text = text.removeprefix(BYTE_ORDER_MARK)
    skipped = 0
    if text.startswith("#!"):
        text, skipped = text.partition("\n")[2], 1
    directives = read_directives(text, comment=comment, line=skipped)
    return next((found for found in directives if found.name == name), None)


def detect_syntax(text: str) -> Directive | None:
    """Find which frontend a file asks for: ``# syntax=``, ``// syntax=``, or JSON with that key."""
    for comment in ("#", "//"):
        if found := find_directive(text, "syntax", comment=comment):
            return found
    try:
        document = json.loads(text.removeprefix(BYTE_ORDER_MARK))
    except (ValueError, RecursionError):
        return None
    value = document.get("syntax") if isinstance(document, dict) else None
    return Directive("syntax", value, 1) if isinstance(value, str) else None
