"""Here-documents: ``<<NAME`` in a RUN, COPY or ADD, whose text stands in the lines below the instruction.

``<<-NAME`` strips leading tabs; a quoted name (``<<"NAME"``) keeps ``$`` in the text as it is.
BuildKit: the here-document functions of frontend/dockerfile/parser/parser.go.

>>> parse_heredoc("<<-'EOF'")
Heredoc(name='EOF', expand=False, chomp=True, descriptor=0, content='')
>>> [heredoc.name for heredoc in heredocs_in_line("COPY <<one.txt <<two.txt /")]
['one.txt', 'two.txt']
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from dockersim.dockerfile.words import Lexing, expand_words
from dockersim.errors import DockerfileError

_WORD: Final = re.compile(r"([0-9]*)<<(-?)[\t\n\f\r ]*+([^<]*)")
_LEADING_TABS: Final = re.compile(r"^\t+", re.MULTILINE)
_LINE: Final = Lexing(keep_quotes=True, keep_escapes=True, keep_unset=True)
_NAME: Final = Lexing(keep_unset=True)
_NAME_AS_WRITTEN: Final = Lexing(keep_quotes=True, keep_unset=True)


class Heredoc(Struct, frozen=True):
    """A here-document: the name that ends it, whether its text is expanded, and the text as written."""

    name: str
    expand: bool = True
    chomp: bool = False
    descriptor: int = 0
    content: str = ""

    @property
    def body(self) -> str:
        """The text as a program or a file gets it: without leading tabs if ``<<-`` asked for that."""
        return chomp(self.content) if self.chomp else self.content


def chomp(text: str) -> str:
    """Take the leading tabs off every line."""
    return _LEADING_TABS.sub("", text)


def parse_heredoc(word: str) -> Heredoc | None:
    """Read one word as the start of a here-document; None if it is none, DockerfileError on an open quote."""
    match = _WORD.fullmatch(word)
    if match is None or not match[3]:
        return None
    names = expand_words(match[3], {}, lexing=_NAME)
    if len(names) != 1:
        return None
    as_written = "".join(expand_words(match[3], {}, lexing=_NAME_AS_WRITTEN))
    # Longer descriptors than a machine word has are as good as none.
    descriptor = int(match[1]) if 0 < len(match[1]) < 20 else 0
    return Heredoc(names[0], _quotes(names[0]) == _quotes(as_written), match[2] == "-", descriptor)


def is_heredoc(word: str) -> bool:
    """Say whether a word starts a here-document."""
    try:
        return parse_heredoc(word) is not None
    except DockerfileError:
        return False


def heredocs_in_line(line: str) -> list[Heredoc]:
    """List the here-documents that an instruction's line starts, in order, their text still empty."""
    try:
        # The escape directive does not reach here: BuildKit always splits this line with a backslash.
        words = expand_words(line, {}, lexing=_LINE)
    except DockerfileError:
        return []
    return [heredoc for word in words if (heredoc := parse_heredoc(word)) is not None]


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')
