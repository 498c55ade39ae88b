"""The patterns of ``${name#pattern}``, ``${name%pattern}`` and ``${name/pattern/text}``: ``*`` and ``?``, no
brackets.

BuildKit turns such a pattern into a regular expression (frontend/dockerfile/shell/lex.go). So do we, but in
atomic pieces: the text between two stars is put at its first place and never moved again, which gives the
same answer as trying all places and keeps the time proportional to pattern times value.

>>> Wildcard.parse("*/").without_prefix("a/b/c", longest=True)
'c'
>>> Wildcard.parse(backwards(".*")).without_prefix("zg.rat.ppa", longest=False)
'rat.ppa'
>>> Wildcard.parse("?").replace("abc", "-", everywhere=True)
'---'
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from dockersim.errors import DockerfileError

_TOKEN: Final = re.compile(r"\\[}/]|\\(.?)|(.)", re.DOTALL)
_WRITTEN: Final = re.compile(r"\\.|.", re.DOTALL)
# A "$" in the replacement names a group of Go's regular expression; there is only the whole match, group 0.
_TEMPLATE: Final = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
# Deviation: BuildKit lets a word grow as long as its memory allows; here it may become 128 KiB longer than it was
# written, which is also the longest variable that Linux hands to a program (MAX_ARG_STRLEN).
LONGEST_GROWTH: Final = 128 * 1024
TOO_LONG: Final = f"the word grows by more than {LONGEST_GROWTH} characters"


class Wildcard(Struct, frozen=True):
    """A pattern as regular expressions for the fixed texts before, between and behind its stars."""

    segments: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, pattern: str) -> Wildcard:
        """Read a pattern; a backslash may stand before ``* ? } /`` and itself only."""
        segments: list[list[str]] = [[]]
        for token in _TOKEN.finditer(pattern.removeprefix("\ufeff")):
            if token[1] is not None and token[1] not in ("*", "?", "\\"):
                raise DockerfileError(f"invalid escape '\\{token[1] or chr(0xFFFD)}'")
            if token[2] is not None and token[2] not in ("*", "?"):
                segments[-1].append(re.escape(token[2]))
            elif token[2] == "*":
                segments.append([])
            elif token[2] == "?":
                segments[-1].append(".")
            else:
                segments[-1].append(re.escape(token[0][1:]))
        return cls(tuple(tuple(segment) for segment in segments))

    def without_prefix(self, value: str, *, longest: bool) -> str:
        """Cut the shortest or longest match off the front of ``value``."""
        head, tail = self._head(), self._tail(longest=longest)
        start = head.match(value)
        rest = tail.match(value, start.end()) if start else None
        return value[rest.end() :] if rest else value

    def replace(self, value: str, replacement: str, *, everywhere: bool) -> str:
        """Put ``replacement`` in the place of the first match, or of every one, each as long as it can be."""
        pieces: list[str] = []
        head, tail = self._head(), self._tail(longest=True)
        done, position, last_end, growth = 0, 0, -1, 0
        while (span := _find(head, tail, value, position)) is not None:
            start, end = span
            if start == end == last_end:  # an empty match right behind a match does not count
                position = end + 1
                continue
            text = _template(replacement, value[start:end]) if everywhere else replacement
            growth += len(text)
            if growth > len(value) + LONGEST_GROWTH:
                raise DockerfileError(TOO_LONG)
            pieces += [value[done:start], text]
            done = last_end = end
            position = end if end > start else end + 1
            if not everywhere:
                break
        return "".join([*pieces, value[done:]])

    def _head(self) -> re.Pattern[str]:
        return re.compile("".join(self.segments[0]))

    def _tail(self, *, longest: bool) -> re.Pattern[str]:
        if len(self.segments) == 1:
            return re.compile("")
        texts = ["".join(segment) for segment in self.segments[1:]]
        fixed = "".join(f"(?>.*?{text})" for text in texts[:-1] if text)
        return re.compile(fixed + (".*" if longest else ".*?") + texts[-1])


def backwards(pattern: str) -> str:
    """Turn a pattern round, so that it finds backwards in a text turned round: ``a\\*b?`` becomes ``?b\\*a``.

    A backslash at the very end comes to stand before what was last but one, and escapes that, as in BuildKit.
    """
    return "".join(reversed(_WRITTEN.findall(pattern)))


def _find(head: re.Pattern[str], tail: re.Pattern[str], value: str, position: int) -> tuple[int, int] | None:
    while position <= len(value) and (start := head.search(value, position)) is not None:
        end = tail.match(value, start.end())
        if end is not None:
            return start.start(), end.end()
        # Stars do not cross line ends, and no later start on this line can do better.
        line_end = value.find("\n", start.end())
        if line_end < 0:
            return None
        position = line_end + 1
    return None


def _template(replacement: str, match: str) -> str:
    if replacement.count("$") * len(match) > LONGEST_GROWTH:
        raise DockerfileError(TOO_LONG)

    def group(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        return match if (found[2] or found[3]) == "0" else ""

    return _TEMPLATE.sub(group, replacement)
