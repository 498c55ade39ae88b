"""The ignore patterns that a regular expression might take for ever on, such as ``a**b**c**d``.

All ways to match are followed at once. Bit *n* of a number says that the path read so far may stand behind step
*n* of the pattern, so that one character costs a few operations on whole numbers, however many ways there are
(Baeza-Yates and Gonnet, "A new approach to text searching", 1992).

>>> machine = Machine(["a", "**", "b"])
>>> machine.matches("a/x/b"), machine.matches("axb"), machine.covers("ab/c")
(True, False, True)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

STAR: Final = "*"  # any text inside a name
LOOSE: Final = "**"  # nothing, or any text up to and with a slash
REST: Final = "**$"  # any text; only at the end


class Machine:
    """Matches a pattern given as STAR, LOOSE, REST, and regular expressions for one character each."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._steps: dict[str, int] = {}  # which bits a character that matches moves on by one
        self._in_name = self._anywhere = 0  # which bits stay where they are, at any character of a name; at any
        self._skip = self._skip_two = 0  # which bits move on without a character
        place = 0
        for token in tokens:
            place += self._add(token, 1 << place)
        self._end = 1 << place
        self._moves: dict[str, tuple[int, int]] = {}

    def _add(self, token: str, bit: int) -> int:
        """Note what the bit of this token does; return how many bits the token takes."""
        if token == REST:
            self._anywhere |= bit
            return 0
        if token == LOOSE:
            self._skip |= bit
            self._skip_two |= bit
            self._anywhere |= bit << 1
            self._steps["/"] = self._steps.get("/", 0) | bit << 1
            return 2
        if token == STAR:
            self._skip |= bit
            self._in_name |= bit
        else:
            self._steps[token] = self._steps.get(token, 0) | bit
        return 1

    def matches(self, path: str) -> bool:
        """Say whether the whole path matches."""
        *_, bits = self._run(path)
        return bool(bits & self._end)

    def covers(self, path: str) -> bool:
        """Say whether the path, or a directory above it, matches."""
        return any(bits & self._end for bits, after in zip(self._run(path), f"{path}/", strict=True) if after == "/")

    def _run(self, path: str) -> Iterator[int]:
        """Give the bits before each character, and those at the end."""
        bits = self._skipped(1)
        yield bits
        for character in path:
            stay, step = self._moves.get(character) or self._learn(character)
            bits = self._skipped(bits & stay | (bits & step) << 1)
            yield bits

    def _skipped(self, bits: int) -> int:
        while (more := bits | (bits & self._skip) << 1 | (bits & self._skip_two) << 2) != bits:
            bits = more
        return bits

    def _learn(self, character: str) -> tuple[int, int]:
        """Find out, once for each character that comes up, which bits it lets stay and which it moves on."""
        stay = (self._in_name if character != "/" else 0) | (self._anywhere if character != "\n" else 0)
        step = 0
        for expression, bits in self._steps.items():
            step |= bits if re.fullmatch(expression, character) else 0
        self._moves[character] = stay, step
        return stay, step
