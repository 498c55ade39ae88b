"""One instruction as the parser leaves it: keyword, flags and arguments, before anyone asks what they mean.

BuildKit: parser.Node in frontend/dockerfile/parser/parser.go; `dump` writes what Node.Dump() writes.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from dockersim.dockerfile.gotext import quote
from dockersim.dockerfile.heredoc import Heredoc
from dockersim.source import At

# What a message names: a quoted word, a flag, or an unknown instruction.
_NAMED: Final = re.compile(r"\"((?:[^\"\\]|\\.)+)\"|(--[\w-]+)|instruction: (\S+)")


class Node(Struct, frozen=True):
    """A parsed instruction.

    ``raw`` is the logical line, continuations joined; ``column`` is where it begins in its first line; ``json`` says
    that the arguments stood in a JSON array; ``comments`` are the comment lines right above; ``child`` is the
    instruction that an ONBUILD carries.
    """

    keyword: str
    raw: str
    at: At
    flags: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    json: bool = False
    heredocs: tuple[Heredoc, ...] = ()
    comments: tuple[str, ...] = ()
    child: Node | None = None
    column: int = 1

    @property
    def name(self) -> str:
        """The keyword in upper case."""
        return self.keyword.upper()

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments; for an ONBUILD, the keyword and arguments of the instruction inside."""
        return (self.child.keyword, *self.child.words) if self.child else self.arguments

    def dump(self) -> str:
        """Write the node as an S-expression: ``(copy ["--chown=1"] "a" "b")``."""
        parts = [self.keyword.lower()] if self.keyword else []
        if self.flags:
            parts.append(f"[{' '.join(map(quote, self.flags))}]")
        parts += [self.child.dump()] if self.child else map(quote, self.arguments)
        return f"({' '.join(parts)})"


def point_out(message: str, at: At, raw: str, column: int) -> At:
    """Narrow the place of an error in a one-line instruction to the word its message names, if any."""
    if at.line != at.last_line:
        return at
    for named in _NAMED.finditer(message):
        word = named[named.lastindex or 0]
        if (found := raw.find(word)) >= 0:
            return replace(at, column=column + found, last_column=column + found + len(word) - 1)
    return replace(at, column=column, last_column=column + max(1, len(raw.rstrip())) - 1)
