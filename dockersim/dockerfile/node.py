"""One instruction as the parser leaves it: the keyword, flags and arguments, before anyone asks what they
mean.

BuildKit: parser.Node in frontend/dockerfile/parser/parser.go; `dump` writes what Node.Dump() writes.
"""

from __future__ import annotations

from dataclasses import dataclass

from dockersim.dockerfile.gotext import quote
from dockersim.dockerfile.heredoc import Heredoc
from dockersim.source import At


@dataclass(frozen=True, slots=True)
class Node:
    """A parsed instruction.

    ``raw`` is the logical line, continuations joined; ``json`` says that the arguments stood in a JSON array;
    ``comments`` are the comment lines right above; ``child`` is the instruction that an ONBUILD carries.
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
        parts = [self.keyword.lower()]
        if self.flags:
            parts.append(f"[{' '.join(map(quote, self.flags))}]")
        parts += [self.child.dump()] if self.child else map(quote, self.arguments)
        return f"({' '.join(parts)})"
