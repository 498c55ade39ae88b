"""What a registry warns of beside its answers, in the header Warning (distribution-spec 1.1, "Warnings").

A warning says nothing about the answer it came with: "clients MUST NOT take any automated action" because of it. It is
shown to the learner, once, however many answers carry it.

>>> warnings = Warnings()
>>> for _ in range(2):
...     warnings.take("ghcr.io", '299 - "Your token ends soon", 110 proxy "stale"')
>>> warnings.lines
('WARNING: ghcr.io says: Your token ends soon',)
"""

from __future__ import annotations

import re
import threading
from typing import Final

from dockersim.printable import printable

MOST: Final = 20
"""Warnings that are shown of one command; a registry that has more to say says it elsewhere."""

LONGEST: Final = 300
"""Letters of one warning."""

LONGEST_HEADER: Final = 4096
"""Bytes of warnings in one answer: "a registry MUST NOT send more" (spec)."""

_WARNING: Final = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')
"""The only form that the spec allows: code 299, agent ``-``, no date (RFC 7234, section 5.5)."""


class Warnings:
    """The warnings of one command, each once. Threads may share them."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}
        self._lock = threading.Lock()

    def take(self, registry: str, header: str) -> None:
        """Take in what the header of an answer says, if anything."""
        for text in _WARNING.findall(header[:LONGEST_HEADER]):
            said = printable(re.sub(r"\\(.)", r"\1", text).strip())[:LONGEST]
            with self._lock:
                if said and len(self._lines) < MOST:
                    self._lines[f"WARNING: {registry} says: {said}"] = None

    @property
    def lines(self) -> tuple[str, ...]:
        """Each warning as a line, in the order they came."""
        with self._lock:
            return tuple(self._lines)
