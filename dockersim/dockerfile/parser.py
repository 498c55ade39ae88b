"""From text to nodes: directives, comments, continued lines, here-documents.

BuildKit: Parse in frontend/dockerfile/parser/parser.go. The odd corners are its own: a comment or an empty
line inside a continued instruction is skipped (with a warning for the empty one), and blanks before a
continued line are kept.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from dockersim.dockerfile.arguments import BLANKS, arguments_of, split_flags
from dockersim.dockerfile.directives import BYTE_ORDER_MARK, Directive, DirectiveReader
from dockersim.dockerfile.gotext import SPACE
from dockersim.dockerfile.heredoc import Heredoc, heredocs_in_line
from dockersim.dockerfile.node import Node, point_out
from dockersim.errors import DockerfileError
from dockersim.source import At

# bufio.MaxScanTokenSize, less the line end.
_LONGEST_LINE: Final = 64 * 1024 - 1
# The escape character at the end of a line, but for blanks; two of them are a character, not a continuation.
_CONTINUED: Final = {mark: re.compile(rf"(?<!{re.escape(mark)}){re.escape(mark)}[ \t]*\Z") for mark in "\\`"}
# One is allowed; a few more still parse, so that the error can say what is wrong.
_DEEPEST_ONBUILD: Final = 5
_WITH_HEREDOCS: Final = ("ADD", "COPY", "RUN")


class ContinuationWarning(Struct, frozen=True):
    """An empty line inside a continued instruction, which one day will be an error."""

    message: str
    line: int
    url: str = "https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/"


class Parser:
    """Reads one file from top to bottom; `nodes`, `directives`, `warnings` and `escape` hold the outcome."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.lines, self.too_long = _lines(text.removeprefix(BYTE_ORDER_MARK))
        self.read = 0  # how many lines were taken; so also the number of the last one
        self.escape = "\\"
        self.nodes: list[Node] = []
        self.warnings: list[ContinuationWarning] = []
        self.comments: list[str] = []
        self.reader = DirectiveReader()

    @property
    def directives(self) -> tuple[Directive, ...]:
        return tuple(self.reader.found)

    def run(self) -> None:
        while self.read < len(self.lines):
            self.instruction()
        if not self.nodes:
            raise self.problem("file with no instructions", hint="a Dockerfile begins with FROM")
        if self.too_long:
            raise self.problem(f"dockerfile line greater than max allowed size of {_LONGEST_LINE}")

    def problem(self, message: str, *, hint: str = "") -> DockerfileError:
        return DockerfileError(message, at=At(self.file, max(1, self.read)), hint=hint)

    def take(self) -> str:
        self.read += 1
        return self.lines[self.read - 1]

    def instruction(self) -> None:
        """Read one logical line, which may turn out to be empty or a comment."""
        indented = self.lines[self.read].rstrip("\r\n")
        text = indented.lstrip(SPACE)
        column = len(indented) - len(text) + 1
        self.directive(text)
        self.read += 1
        start = self.read
        if not text or _is_comment(text):
            return
        line = self.continued(text)
        at = At(self.file, start, self.read)
        try:
            node = parse_line(line, self.escape, at, tuple(self.comments))
            heredocs = [self.heredoc(heredoc) for heredoc in _heredocs(node)]
        except DockerfileError as error:
            at = point_out(error.message, At(self.file, start, self.read), line, column)
            raise DockerfileError(error.message, at=at, hint=error.hint) from None
        at = At(self.file, start, self.read)
        self.nodes.append(replace(node, heredocs=tuple(heredocs), at=at, column=column))
        self.comments = []

    def directive(self, text: str) -> None:
        """Note what a comment line says: a directive, or a description of the instruction below it."""
        try:
            directive = self.reader.feed(text)
        except DockerfileError as error:
            raise self.problem(error.message, hint="remove one of them") from None
        if directive is None:
            self.comment(text)
        elif directive.name == "escape":
            if directive.value not in _CONTINUED:
                raise self.problem(f"invalid escape token '{directive.value}' does not match ` or \\")
            self.escape = directive.value

    def comment(self, text: str) -> None:
        if _is_comment(text):
            # Of an indented comment the mark itself stays, as in BuildKit.
            indented = self.lines[self.read][:1] != "#"
            comment = text.strip(SPACE) if indented else text[1:].strip(SPACE)
            if comment:
                self.comments.append(comment)
            else:
                self.comments = []

    def continued(self, text: str) -> str:
        """Join the lines of one instruction, without escape characters and line ends, but with indentation."""
        pieces: list[str] = []
        skipped_empty = False
        mark = _CONTINUED[self.escape]
        while True:
            end = mark.search(text)
            pieces.append(text[: end.start()] if end else text)
            if end is None:
                break
            following, skipped = self.following()
            skipped_empty |= skipped
            if following is None:
                break
            text = following
        line = "".join(pieces)
        if skipped_empty:
            self.warnings.append(ContinuationWarning(f"Empty continuation line found in: {line}", self.read))
        return line

    def following(self) -> tuple[str | None, bool]:
        """Take the next line of a continued instruction, passing over comments and empty lines."""
        empty = False
        while self.read < len(self.lines):
            text = self.take().rstrip("\r\n")
            if _is_comment(text):
                continue
            if text.strip(SPACE):
                return text, empty
            empty = True
        return None, empty

    def heredoc(self, heredoc: Heredoc) -> Heredoc:
        """Take the lines of a here-document, up to the one that is its name."""
        content: list[str] = []
        while self.read < len(self.lines):
            line = self.take()
            end = line.rstrip("\r\n")
            if (end.lstrip("\t") if heredoc.chomp else end) == heredoc.name:
                return replace(heredoc, content="".join(content))
            content.append(line)
        raise DockerfileError("unterminated heredoc", hint=f"it ends at a line that is just {heredoc.name}")


def parse_line(line: str, escape: str, at: At, comments: tuple[str, ...] = (), *, depth: int = 0) -> Node:
    """Parse one logical line; the text of its here-documents is not in it and stays to be read."""
    keyword, *rest = BLANKS.split(line.strip(SPACE), maxsplit=1)
    flags, text = split_flags(rest[0], escape) if rest else ((), "")
    text = text.strip(SPACE)
    if keyword.upper() == "ONBUILD":
        if depth > _DEEPEST_ONBUILD:
            raise DockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
        child = parse_line(text, escape, at, depth=depth + 1) if text else None
        return Node(keyword, line, at, flags, comments=comments, child=child)
    arguments, is_json = arguments_of(keyword, text, escape)
    return Node(keyword, line, at, flags, arguments, is_json, comments=comments)


def _heredocs(node: Node) -> list[Heredoc]:
    carrier = node.child if node.child else node
    if carrier.name not in _WITH_HEREDOCS or carrier.json or "<<" not in node.raw:
        return []
    return heredocs_in_line(node.raw)


def _lines(text: str) -> tuple[list[str], bool]:
    """Cut into lines that keep their ends, up to the first that is too long; say whether there was one."""
    lines = text.split("\n")
    rows = [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    for index, row in enumerate(rows):
        if len(row) > _LONGEST_LINE // 4 and len(row.rstrip("\n").encode(errors="replace")) > _LONGEST_LINE:
            return rows[:index], True
    return rows, False


def _is_comment(text: str) -> bool:
    return text.lstrip(SPACE).startswith("#")
