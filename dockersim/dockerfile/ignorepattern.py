"""One pattern of an ignore file, as something that matches paths.

``*`` and ``?`` stay inside a name, ``**`` goes across directories, ``[a-z]`` is a class. moby/patternmatcher
builds a regular expression and tests the cheap forms (a plain name, ``dir/**``, ``**/name``) without it. Ours
is cut into atomic groups wherever that cannot change the answer, so that ``*a*a*a*b`` does not take for ever
on a long name.

>>> IgnorePattern.parse("**/*.py[co]").matches("a/b.pyc")
True
>>> IgnorePattern.parse("docs").matches("docs/a/b.md", ["docs", "docs/a"])
True
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from dockersim.dockerfile.pattern import check_pattern, class_expression
from dockersim.errors import DockerfileError

# Deviation: BuildKit takes a backslash and a letter for an escape of Go's regular expressions (``\d`` is a
# digit); here every character behind a backslash stands for itself.
_TOKEN: Final = re.compile(r"\*\*/?|\*|\?|\[|\\(.)|(.)", re.DOTALL)
# Deviation: BuildKit takes any number of ``**`` in the middle of a name; here four are the most, for speed.
_MOST_LOOSE: Final = 4


class IgnorePattern(Struct, frozen=True):
    """A pattern and its test: ``expression``, or a plain text to be equal to, to begin or to end with."""

    text: str
    expression: re.Pattern[str] | None = None
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
        return cls(text, expression=re.compile(_expression(text)))

    def matches(self, path: str, parents: Sequence[str] = ()) -> bool:
        """Say whether the path, or a directory above it, matches."""
        return self._matches(path) or any(map(self._matches, parents))

    def _matches(self, path: str) -> bool:
        if self.expression is not None:
            return self.expression.fullmatch(path) is not None
        if self.suffix is not None:
            return path.endswith(self.suffix) or (self.suffix.startswith("/") and path == self.suffix[1:])
        if self.prefix is not None:
            return path.startswith(self.prefix)
        return path == self.text

    def may_match_below(self, names: Sequence[str]) -> bool:
        """Say whether something below the directory with these names might match; True when in doubt."""
        own = self.text.split("/")
        for position, name in enumerate(names):
            if position == len(own):
                return False  # it ends above; whatever it says it has said of the directory too
            if "**" in own[position] or "[" in own[position] or "\\" in own[position]:
                return True
            if not IgnorePattern.parse(own[position])._matches(name):
                return False
        return len(own) > len(names)


def _expression(text: str) -> str:
    """Translate to a regular expression for the whole path.

    The pattern is cut at each ``**``. What lies between two of them may be put at its first place for good if
    it ends with a slash, because the next ``**`` can stand for everything up to any later place.
    """
    chunks, trailing = _chunks(text)
    loose = 0
    out = ""
    for number, pieces in enumerate(chunks):
        last = number == len(chunks) - 1
        exact = (last and trailing) or (not last and pieces[-1].endswith("/"))
        loose += not exact and not last
        body = ("(?:.*?/)??" if number else "") + _chunk(pieces, exact=exact)
        out += f"(?>{body})" if exact else body
    if loose > _MOST_LOOSE:
        hint = "use ** for whole directories, as in **/name"
        raise DockerfileError("too many ** in one pattern", hint=hint)
    return out + (".*" if trailing else "")


def _chunk(pieces: list[str], *, exact: bool) -> str:
    """Join the texts around single stars; the last star may have to give back what it took."""
    if len(pieces) == 1:
        return pieces[0]
    atomic = pieces[1:] if exact else pieces[1:-1]
    end = "" if exact else f"[^/]*{pieces[-1]}"
    return pieces[0] + "".join(f"(?>[^/]*?{piece})" for piece in atomic) + end


def _chunks(text: str) -> tuple[list[list[str]], bool]:
    """Cut at each ``**``, and inside at each ``*``, translating the rest; say whether a ``**`` ends it all."""
    chunks: list[list[str]] = [[""]]
    position = 0
    while token := _TOKEN.match(text, position):
        position = token.end()
        if token[0].startswith("**"):
            if position == len(text):
                return chunks, True
            chunks.append([""])
        elif token[0] == "*":
            chunks[-1].append("")
        elif token[0] == "?":
            chunks[-1][-1] += "[^/]"
        elif token[0] == "[":
            expression, position = class_expression(text, position, strict=True)
            chunks[-1][-1] += expression
        else:
            chunks[-1][-1] += re.escape(token[1] or token[2])
    return chunks, False
