"""One pattern of an ignore file, as something that matches paths.

``*`` and ``?`` stay inside a name, ``**`` goes across directories, ``[a-z]`` is a class. moby/patternmatcher
builds a regular expression and tests the cheap forms (a plain name, ``dir/**``, ``**/name``) without it. Ours
is cut into atomic groups wherever that cannot change the answer, so that ``*a*a*a*b`` does not take for ever
on a long name; the few patterns that cannot be cut so go to a `Machine`.

>>> IgnorePattern.parse("**/*.py[co]").matches("a/b.pyc")
True
>>> IgnorePattern.parse("docs").covers("docs/a/b.md")
True
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from dockersim.dockerfile.ignoremachine import LOOSE, REST, STAR, Machine
from dockersim.dockerfile.pattern import check_pattern, class_expression

# Deviation: BuildKit takes a backslash and a letter for an escape of Go's regular expressions (``\d`` is a digit), and
# in a pattern with wildcards ``|``, ``^`` and ``{2}`` for theirs; here every such character stands for itself.
_TOKEN: Final = re.compile(r"\*\*/?|\*|\?|\[|\\(.)|(.)", re.DOTALL)
_ANY: Final = "[^/]"


class IgnorePattern(Struct, frozen=True):
    """A pattern and its test: ``expression``, ``machine``, or a plain text to be equal to, to begin or end with.

    ``above`` is the expression for the path or a directory above it.
    """

    text: str
    expression: re.Pattern[str] | None = None
    above: re.Pattern[str] | None = None
    machine: Machine | None = None
    prefix: str | None = None
    suffix: str | None = None

    @classmethod
    def parse(cls, text: str) -> IgnorePattern:
        """Compile a cleaned pattern; DockerfileError where it is malformed."""
        check_pattern(text)
        if not set(text) & set("*?[]\\"):
            return cls(text)
        if text.startswith("**") and not set(text[2:]) & set("*?[]\\"):
            return cls(text, suffix=text[2:])
        if text.endswith("**") and not set(text[:-2]) & set("*?[]\\"):
            return cls(text, prefix=text[:-2])
        tokens = _tokens(text)
        expression = _expression(tokens)
        if expression is None:
            return cls(text, machine=Machine(tokens))
        return cls(text, expression=re.compile(expression), above=re.compile(rf"(?:{expression})(?:/|\Z)"))

    def matches(self, path: str) -> bool:
        """Say whether the path itself matches."""
        if self.expression is not None:
            return self.expression.fullmatch(path) is not None
        if self.machine is not None:
            return self.machine.matches(path)
        if self.suffix is not None:
            return path.endswith(self.suffix) or (self.suffix.startswith("/") and path == self.suffix[1:])
        if self.prefix is not None:
            return path.startswith(self.prefix)
        return path == self.text

    def covers(self, path: str) -> bool:
        """Say whether the path, or a directory above it, matches; in one pass, however deep the path is."""
        if self.above is not None:
            return self.above.match(path) is not None
        if self.machine is not None:
            return self.machine.covers(path)
        if self.prefix is not None:
            return path.startswith(self.prefix)
        path += "/"
        if self.suffix is not None:
            own = f"{self.suffix}/"
            return own in path or (own.startswith("/") and path.startswith(own[1:]))
        return path.startswith(f"{self.text}/")

    def may_match_below(self, names: Sequence[str]) -> bool:
        """Say whether something below the directory with these names might match; True when in doubt."""
        own = self.text.split("/")
        for position, name in enumerate(names):
            if position == len(own):
                return False  # it ends above; whatever it says it has said of the directory too
            if "**" in own[position] or "[" in own[position] or "\\" in own[position]:
                return True
            if not IgnorePattern.parse(own[position]).matches(name):
                return False
        return len(own) > len(names)


def _tokens(text: str) -> list[str]:
    """Cut into STAR, LOOSE, REST at the end, and regular expressions for one character each."""
    tokens: list[str] = []
    position = 0
    while token := _TOKEN.match(text, position):
        position = token.end()
        if token[0].startswith("**"):
            tokens.append(LOOSE if position < len(text) else REST)
        elif token[0] == "*":
            tokens.append(STAR)
        elif token[0] == "?":
            tokens.append(_ANY)
        elif token[0] == "[":
            expression, position = class_expression(text, position, strict=True)
            tokens.append(expression)
        else:
            tokens.append(re.escape(token[1] or token[2]))
    return [one for one, following in pairwise([*tokens, ""]) if not one == following == LOOSE]


def _expression(tokens: Sequence[str]) -> str | None:
    """Translate to a regular expression for the whole path; None where it could not be a fast one.

    The pattern is cut at each ``**``. What lies between two of them may be put at its first place for good if
    it ends with a slash, because the next ``**`` can stand for everything up to any later place. Of the others
    there may be one, else their places multiply; nor may a class go past a slash, where a ``*`` could not.
    """
    if any(token[0] in "[.(" and token != _ANY and re.fullmatch(token, "/") for token in tokens):
        return None
    rest = tokens[-1] == REST
    chunks = _split(tokens[:-1] if rest else tokens, LOOSE)
    movable = 0
    out = ""
    for number, chunk in enumerate(chunks):
        last = number == len(chunks) - 1
        exact = rest if last else chunk[-1:] == ["/"]
        movable += not exact and (number > 0 or STAR in chunk)
        body = ("(?:.*?/)??" if number else "") + _chunk(chunk, exact=exact)
        out += f"(?>{body})" if exact else body
    return out + (".*" if rest else "") if movable <= 1 else None


def _chunk(tokens: Sequence[str], *, exact: bool) -> str:
    """Join the texts around single stars; the last star may have to give back what it took."""
    first, *pieces = ("".join(piece) for piece in _split(tokens, STAR))
    end = f"[^/]*{pieces.pop()}" if pieces and not exact else ""
    return first + "".join(f"(?>[^/]*?{piece})" for piece in pieces) + end


def _split(tokens: Sequence[str], mark: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token == mark:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts
