"""How the text behind a keyword is cut into flags and arguments; each instruction has one of a few ways.

BuildKit: frontend/dockerfile/parser/split_command.go and line_parsers.go. Nothing is expanded here and quotes
stay, but for flags: these lose their quotes at once.

>>> split_flags('--chown="1:1" --link a b', "\\\\")
(('--chown=1:1', '--link'), 'a b')
>>> arguments_of("ENV", 'A=1 B="two words"', "\\\\")
(('A', '1', '=', 'B', '"two words"', '='), False)
>>> arguments_of("CMD", '["echo", "hi"]', "\\\\")
(('echo', 'hi'), True)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

from dockersim.dockerfile.gotext import SPACE, quote
from dockersim.errors import DockerfileError

BLANKS: Final = re.compile(r"[\t\v\f\r ]+")
_SPACE: Final = frozenset(SPACE)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

Arguments = tuple[tuple[str, ...], bool]
"""The arguments, and whether they stood in a JSON array."""


def split_flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """Take the ``--flags`` off the front of ``text``; return them without quotes, and the rest."""
    flags: list[str] = []
    position = 0
    while True:
        while position < len(text) and text[position] in _SPACE:
            position += 1
        if not text.startswith("--", position):
            return tuple(flags), text[position:]
        flag, position = _flag(text, position, escape)
        if flag == "--":
            return tuple(flags), text[position:]
        flags.append(flag)


def _flag(text: str, position: int, escape: str) -> tuple[str, int]:
    # Deviation: BuildKit reads flags byte by byte and garbles letters beyond ASCII; here they stay what they
    # are.
    out: list[str] = []
    mark = ""
    while position < len(text):
        character = text[position]
        if not mark and character in _SPACE:
            break
        if not mark and character in "'\"":
            mark = character
        elif character == mark:
            mark = ""
        elif character != escape:
            out.append(character)
        elif position + 1 < len(text):
            position += 1
            out.append(text[position])
        position += 1
    return "".join(out), position


def split_words(text: str, escape: str) -> list[str]:
    """Cut at white space outside quotes; quotes and escapes stay in the words."""
    words: list[str] = []
    word: list[str] = []
    mark, position = "", 0
    while position < len(text):
        character = text[position]
        position += 1
        if not mark and character in _SPACE:
            if word:
                words.append("".join(word))
                word = []
            continue
        if not mark and character in "'\"":
            mark = character
        elif character == mark:
            mark = ""
        elif character == escape and mark != "'":
            if position == len(text):
                break  # an escape character at the very end is dropped
            word.append(character)
            character = text[position]
            position += 1
        word.append(character)
    return [*words, "".join(word)] if word else words


def string_array(text: str) -> tuple[str, ...] | None:
    """Read a JSON array of strings; None if it is no JSON array, DockerfileError if it holds something else."""
    text = text.lstrip(SPACE)
    if not text.startswith("["):
        return None
    try:
        items = json.loads(text, parse_float=_number, parse_int=_number, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in items):
        raise DockerfileError("when using JSON array syntax, arrays must be comprised of strings only")
    return tuple(_SURROGATE.sub("\ufffd", item) for item in items)


def _number(text: str) -> float:
    """Take the numbers Go takes: a number too large for a float makes the text no JSON for it."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("out of range")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _json_or_text(text: str, escape: str) -> Arguments:
    items = string_array(text) if text else ()
    if items is None:
        return (text,), False
    return items, bool(text)


def _json_or_words(text: str, escape: str) -> Arguments:
    items = string_array(text)
    return _blank_separated(text, escape) if items is None else (items, True)


def _blank_separated(text: str, escape: str) -> Arguments:
    return (tuple(BLANKS.split(text)) if text else ()), False


def _text(text: str, escape: str) -> Arguments:
    return ((text,) if text else ()), False


def _shell_words(text: str, escape: str) -> Arguments:
    return tuple(split_words(text, escape)), False


def _pairs(keyword: str) -> Callable[[str, str], Arguments]:
    """Cut ``NAME=value ...``, or the old ``NAME value``, into triples: name, value, what stood between."""

    def parse(text: str, escape: str) -> Arguments:
        words = split_words(text, escape)
        if words and "=" not in words[0]:
            pair = BLANKS.split(text, maxsplit=1)
            if len(pair) < 2:
                raise DockerfileError(f"{keyword} must have two arguments")
            return (*pair, ""), False
        triples: list[str] = []
        for word in words:
            name, delimiter, value = word.partition("=")
            if not delimiter:
                problem = f"Syntax error - can't find = in {quote(word)}. Must be of the form: name=value"
                raise DockerfileError(problem)
            triples += [name, value, delimiter]
        return tuple(triples), False

    return parse


def _health(text: str, escape: str) -> Arguments:
    """Cut off the type (NONE or CMD); what follows is a command."""
    end = next((index for index, character in enumerate(text) if character in _SPACE), len(text))
    if not end:
        return (), False
    command, is_json = _json_or_text(text[end:].lstrip(SPACE), escape)
    return (text[:end], *command), is_json


def _ignored(text: str, escape: str) -> Arguments:
    """Leave an unknown instruction to whoever asks what it means."""
    return ("",), False


_WAYS: Final[dict[str, Callable[[str, str], Arguments]]] = {
    "ADD": _json_or_words,
    "ARG": _shell_words,
    "CMD": _json_or_text,
    "COPY": _json_or_words,
    "ENTRYPOINT": _json_or_text,
    "ENV": _pairs("ENV"),
    "EXPOSE": _blank_separated,
    "FROM": _blank_separated,
    "HEALTHCHECK": _health,
    "LABEL": _pairs("LABEL"),
    "MAINTAINER": _text,
    "RUN": _json_or_text,
    "SHELL": _json_or_text,
    "STOPSIGNAL": _text,
    "USER": _text,
    "VOLUME": _json_or_words,
    "WORKDIR": _text,
}

#: All eighteen instructions.
KEYWORDS: Final = tuple(sorted([*_WAYS, "ONBUILD"]))


def arguments_of(keyword: str, text: str, escape: str) -> Arguments:
    """Cut the text behind ``keyword`` and its flags into arguments; DockerfileError has no place yet."""
    return _WAYS.get(keyword.upper(), _ignored)(text, escape)
