"""Go's ``filepath.Match``: the wildcards of COPY and ADD.

``*`` and ``?`` do not cross a ``/``, ``[a-z]`` and ``[^a-z]`` are classes, a backslash takes the next
character as it is.

>>> match_pattern("src/*.py", "src/app.py"), match_pattern("*.py", "src/app.py")
(True, False)
>>> has_wildcard("app.py"), has_wildcard("app.*")
(False, True)
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from dockersim.errors import DockerfileError

_BAD: Final = "syntax error in pattern"


def match_pattern(pattern: str, path: str) -> bool:
    """Say whether the whole ``path`` matches; DockerfileError where the pattern is malformed."""
    return _compiled(pattern).fullmatch(path) is not None


def check_pattern(pattern: str) -> None:
    """Raise DockerfileError where the pattern is malformed."""
    _compiled(pattern)


def has_wildcard(pattern: str) -> bool:
    """Say whether a COPY source is a pattern rather than a name (BuildKit: containsWildcards)."""
    position = 0
    while position < len(pattern):
        if pattern[position] in "*?[":
            return True
        position += 2 if pattern[position] == "\\" else 1
    return False


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Translate to a regular expression whose stars never give back what a later star could take."""
    pieces: list[str] = [""]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "*":
            pieces.append("")
            position += 1
            continue
        if character == "[":
            piece, position = class_expression(pattern, position + 1)
        elif character == "?":
            piece, position = "[^/]", position + 1
        else:
            escaped, position = _literal(pattern, position)
            piece = re.escape(escaped)
        pieces[-1] += piece
    if len(pieces) == 1:
        return re.compile(pieces[0], re.DOTALL)
    middle = "".join(f"(?>[^/]*?{piece})" for piece in pieces[1:-1] if piece)
    return re.compile(f"{pieces[0]}{middle}[^/]*{pieces[-1]}", re.DOTALL)


def _literal(pattern: str, position: int) -> tuple[str, int]:
    if pattern[position] == "\\":
        position += 1
        if position == len(pattern):
            raise DockerfileError(_BAD)
    return pattern[position], position + 1


def class_expression(pattern: str, position: int, *, strict: bool = False) -> tuple[str, int]:
    """Translate a class to a regular expression and say where it ends; ``position`` is behind its bracket.

    An empty or open class is malformed; a range the wrong way round only if ``strict``, else nothing is in
    it.
    """
    negated = pattern.startswith("^", position)
    position += negated
    ranges: list[str] = []
    while True:
        if pattern.startswith("]", position) and ranges:
            body = "".join(ranges)
            break
        low, position = _bound(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _bound(pattern, position + 1)
        if strict and low > high:
            raise DockerfileError(_BAD)
        ranges.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
    if not body:
        # Only ranges the wrong way round: nothing is in them, everything outside.
        return ("." if negated else "(?!)"), position + 1
    return f"[{'^' if negated else ''}{body}]", position + 1


def _bound(pattern: str, position: int) -> tuple[str, int]:
    if position >= len(pattern) or pattern[position] in "-]":
        raise DockerfileError(_BAD)
    character, position = _literal(pattern, position)
    if position >= len(pattern):
        raise DockerfileError(_BAD)
    return character, position
