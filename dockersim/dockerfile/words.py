"""Word expansion: what ``$NAME``, ``${NAME:-default}``, quotes and the escape character become.

The rules are those of BuildKit's shell lexer (frontend/dockerfile/shell/lex.go), which borrows most, but not
all, from the POSIX shell. `expand` also says which variables were used, for "where did this value come from".

>>> expand_word('"$GREETING, ${NAME:-world}"', {"GREETING": "Hello"})
'Hello, world'
>>> expand("$A$B", {"A": "1"}).unset
('B',)
>>> expand_words("a $B", {"B": "b c"})
['a', 'b', 'c']
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from dockersim.dockerfile.gotext import SPACE, quote
from dockersim.dockerfile.wildcard import LONGEST_GROWTH, TOO_LONG, Wildcard, backwards
from dockersim.errors import DockerfileError
from dockersim.source import At

_PLAIN: Final = re.compile(r"""[^$<'"\\`/}]+""")
_SPACES: Final = re.compile(f"[{SPACE}]+")
_SPECIAL_PARAMETERS: Final = frozenset("@*#?-$!0")
_END: Final = "\ufffd"  # how Go prints the "character" at the end of the text
# Deviation: BuildKit nests ${...} as deep as its memory allows; here 50 levels are the most.
_DEEPEST: Final = 50


class Lexing(Struct, frozen=True, kw_only=True):
    """What the lexer is to leave alone.

    ``keep_quotes`` and ``keep_escapes`` obey quotes and escapes but leave them in the text; with
    ``plain_quotes`` a quote is a character like any other; with ``keep_unset`` a variable that is not set
    stays as it was written.
    """

    keep_quotes: bool = False
    keep_escapes: bool = False
    plain_quotes: bool = False
    keep_unset: bool = False


WORD: Final = Lexing()
#: The body of a here-document that COPY or ADD writes to a file.
HEREDOC_BODY: Final = Lexing(plain_quotes=True)
#: A RUN as BuildKit names its step: values filled in where known, everything else as written.
STEP_NAME: Final = Lexing(keep_quotes=True, keep_unset=True)


class ExpansionError(DockerfileError):
    """A word cannot be expanded; ``unset`` are the names without a value that were met before."""

    def __init__(self, message: str, unset: tuple[str, ...], *, at: At | None = None) -> None:
        super().__init__(message, at=at)
        self.unset = unset


class Expansion(Struct, frozen=True):
    """The outcome of an expansion: the text, and which of the names looked up were set and which not."""

    text: str
    used: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


def expand(
    word: str, env: Mapping[str, str], escape: str = "\\", *, lexing: Lexing = WORD, at: At | None = None
) -> Expansion:
    """Expand ``word`` to one text and say which variables that took; DockerfileError names ``at``."""
    lexer = _Lexer(word, env, escape, lexing)
    text = lexer.run(at)
    return Expansion(text, tuple(lexer.used), tuple(lexer.unset))


def expand_word(
    word: str, env: Mapping[str, str], escape: str = "\\", *, lexing: Lexing = WORD, at: At | None = None
) -> str:
    """Expand ``word`` to one text; white space in it stays."""
    if _PLAIN.fullmatch(word) and not word.startswith("\ufeff"):
        return word
    return _Lexer(word, env, escape, lexing).run(at)


def expand_words(
    word: str, env: Mapping[str, str], escape: str = "\\", *, lexing: Lexing = WORD, at: At | None = None
) -> list[str]:
    """Expand ``word`` and cut the outcome at white space that is not quoted; EXPOSE does this."""
    lexer = _Lexer(word, env, escape, lexing, cutting=True)
    lexer.run(at)
    return lexer.words


class _Lexer:
    """One pass over one word. Each method starts at ``position`` and leaves it behind what it has read."""

    def __init__(
        self, word: str, env: Mapping[str, str], escape: str, lexing: Lexing, *, cutting: bool = False
    ) -> None:
        self.word = word
        self.text = word.removeprefix("\ufeff")
        self.position = 0
        self.env = env
        self.escape = escape
        self.lexing = lexing
        self.keep_escapes = lexing.keep_escapes
        self.depth = 0
        self.cutting = cutting  # whether anybody asks for the words
        self.longest = len(word) + LONGEST_GROWTH
        self.used: dict[str, None] = {}
        self.unset: dict[str, None] = {}
        self.words: list[str] = []
        self._piece: list[str] = []

    def run(self, at: At | None) -> str:
        try:
            text = self.until("")
        except DockerfileError as error:
            message = f"failed to process {quote(self.word)}: {error.message}"
            raise ExpansionError(message, tuple(self.unset), at=at) from None
        self._cut()
        return text

    # Reading characters; "" stands for the end.

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def next(self) -> str:
        character = self.peek()
        self.position += len(character)
        return character

    # Text, quotes and escapes.

    def until(self, stop: str) -> str:
        """Read up to ``stop`` and swallow it; with an empty ``stop`` read to the end."""
        out: list[str] = []
        length = 0
        while character := self.peek():
            if character == stop:
                self.position += 1
                return "".join(out)
            if character == "$":
                out.append(self.dollar())
                self._split(out[-1])
            elif character == "<":
                out.append(self.less_than())
                self._keep(out[-1])
            elif character in "'\"" and not self.lexing.plain_quotes:
                out.append(self.single_quoted() if character == "'" else self.double_quoted())
                self._keep(out[-1])
            elif character == self.escape:
                out.append(self.escaped())
                self._keep(out[-1])
            else:
                out.append(self.plain())
                self._split(out[-1])
            length = self._longer(length, out[-1])
        if stop:
            raise DockerfileError(f"unexpected end of statement while looking for matching {stop}")
        return "".join(out)

    def _longer(self, length: int, text: str) -> int:
        if length + len(text) > self.longest:
            raise DockerfileError(TOO_LONG)
        return length + len(text)

    def plain(self) -> str:
        run = _PLAIN.match(self.text, self.position)
        if run is None:
            return self.next()
        self.position = run.end()
        return run[0]

    def escaped(self) -> str:
        kept = self.next() if self.keep_escapes else self.next()[:0]
        return kept + self.next()

    def less_than(self) -> str:
        """Read ``<``, or ``<<`` with the blanks behind it: these belong to the name of a here-document."""
        start = self.position
        self.position += 1
        if self.peek() == "<":
            self.position += 1
            while self.peek() in ("\t", "\r", " "):
                self.position += 1
        return self.text[start : self.position]

    def single_quoted(self) -> str:
        end = self.text.find("'", self.position + 1)
        if end < 0:
            self.position = len(self.text)
            raise DockerfileError("unexpected end of statement while looking for matching single-quote")
        start, self.position = self.position, end + 1
        return self.text[start : end + 1] if self.lexing.keep_quotes else self.text[start + 1 : end]

    def double_quoted(self) -> str:
        mark = self.next() if self.lexing.keep_quotes else self.next()[:0]
        out = [mark]
        length = 0
        while (character := self.peek()) != '"':
            if not character:
                raise DockerfileError("unexpected end of statement while looking for matching double-quote")
            if character == "$":
                out.append(self.dollar())
            elif character == self.escape:
                out.append(self.escaped_in_double_quotes())
            else:
                out.append(self.plain())
            length = self._longer(length, out[-1])
        self.position += 1
        return "".join([*out, mark])

    def escaped_in_double_quotes(self) -> str:
        """Read an escape: only ``"``, ``$`` and the escape character lose it, before others it stays."""
        kept = self.next()
        out = kept if self.keep_escapes else ""
        following = self.peek()
        if not following:
            return out
        if following in ('"', "$", self.escape):
            return out + self.next()
        return out + kept

    # Variables.

    def dollar(self) -> str:
        self.position += 1
        if self.peek() != "{":
            name = self.name()
            return self.value(name, f"${name}") if name else "$"
        self.position += 1
        if not self.peek():
            raise DockerfileError("syntax error: missing '}'")
        if self.peek() in "{}:":
            raise DockerfileError("syntax error: bad substitution")
        return self.braced(self.name())

    def braced(self, name: str) -> str:
        """Read what follows ``${name``."""
        modifier = self.next()
        if modifier == "}":
            return self.value(name, f"${{{name}}}")
        if modifier == "/":
            return self.replaced(name)
        if modifier and modifier in "+-?#%":
            return self.modified(name, modifier, modifier)
        if modifier == ":":
            modifier = self.next()
            return self.modified(name, modifier, f":{modifier or _END}")
        raise DockerfileError(f"unsupported modifier ({modifier or _END}) in substitution")

    def name(self) -> str:
        """Read a name, a number or a special parameter such as ``@``; empty where there is none."""
        start = self.position
        first = self.peek()
        if first.isdecimal():
            while self.peek().isdecimal():
                self.position += 1
        elif first in _SPECIAL_PARAMETERS:
            self.position += 1
        else:
            while (character := self.peek()).isalpha() or character.isdecimal() or character == "_":
                self.position += 1
        return self.text[start : self.position]

    def look_up(self, name: str) -> str | None:
        value = self.env.get(name)
        (self.unset if value is None else self.used)[name] = None
        return value

    def value(self, name: str, as_written: str) -> str:
        value = self.look_up(name)
        if value is None:
            return as_written if self.lexing.keep_unset else ""
        return value

    def argument(self, stop: str, missing: str, *, keep_escapes: bool) -> str:
        """Read the word behind a modifier, which may hold variables itself."""
        if self.depth >= _DEEPEST:
            raise DockerfileError("substitutions are nested too deeply")
        before, self.keep_escapes = self.keep_escapes, keep_escapes
        self.depth += 1
        # Not a slip of ours: BuildKit's lexer has one buffer for all levels, and so EXPOSE 80${X:-80} is port
        # 80.
        self._piece.clear()
        words = self.words
        self.words = []
        try:
            return self.until(stop)
        except DockerfileError:
            if self.peek():
                raise
            raise DockerfileError(f"syntax error: missing {missing}") from None
        finally:
            self.depth -= 1
            self.keep_escapes = before
            self.words = words
            self._piece.clear()

    def modified(self, name: str, modifier: str, as_written: str) -> str:
        trims = modifier in ("#", "%")
        if trims and len(as_written) > 1:
            raise DockerfileError(f"unsupported modifier ({as_written}) in substitution")
        word = self.argument("}", "'}'", keep_escapes=trims)
        value = self.look_up(name)
        if self.lexing.keep_unset and value is None:
            return f"${{{name}{as_written}{word}}}"
        missing = value is None or (as_written[0] == ":" and value == "")
        if modifier == "-":
            return word if value is None or missing else value
        if modifier == "+":
            return "" if missing else word
        if modifier == "?":
            if value is None or missing:
                state = "unset" if value is None else "empty"
                raise DockerfileError(f"{name}: {word or f'is not allowed to be {state}'}")
            return value
        if trims:
            return _trimmed(value or "", modifier, word)
        raise DockerfileError(f"unsupported modifier ({as_written}) in substitution")

    def replaced(self, name: str) -> str:
        everywhere = self.peek() == "/"
        if everywhere:
            self.position += 1
        pattern = self.argument("/", "'/' in ${}", keep_escapes=True)
        replacement = self.argument("}", "'}'", keep_escapes=True)
        value = self.look_up(name)
        if self.lexing.keep_unset and value is None:
            return f"${{{name}/{pattern}/{replacement}}}"
        return _wildcard(pattern).replace(value or "", replacement, everywhere=everywhere)

    # Cutting into words.

    def _keep(self, text: str) -> None:
        if self.cutting and text:
            self._piece.append(text)

    def _split(self, text: str) -> None:
        if not self.cutting:
            return
        first, *others = _SPACES.split(text)
        self._keep(first)
        for other in others:
            self._cut()
            self._keep(other)

    def _cut(self) -> None:
        if self._piece:
            self.words.append("".join(self._piece))
            self._piece.clear()


def _wildcard(pattern: str) -> Wildcard:
    try:
        return Wildcard.parse(pattern)
    except DockerfileError as error:
        raise DockerfileError(f"invalid pattern ({pattern}) in substitution: {error.message}") from None


def _trimmed(value: str, modifier: str, pattern: str) -> str:
    """Cut a prefix (``#``) or suffix (``%``) off; the modifier written twice asks for the longest match."""
    longest = pattern.startswith(modifier)
    pattern = pattern[1:] if longest else pattern
    if modifier == "#":
        return _wildcard(pattern).without_prefix(value, longest=longest)
    # A suffix is a prefix of the text read backwards; that the messages show the pattern so is BuildKit's way.
    return _wildcard(backwards(pattern)).without_prefix(value[::-1], longest=longest)[::-1]
