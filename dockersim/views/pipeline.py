"""What stands in an action of a Go template: values and functions, with ``|`` between them.

>>> evaluate('.Names | len', {".": {"Names": ["a", "b"]}})
2
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from dockersim.printable import printable_json

Scope = Mapping[str, Any]
"""What can be named: "." is the value at hand, "$" the first one, "$name" what a range has called so."""


class NotUnderstood(Exception):
    """Something in a template is wrong."""


def as_json(value: Any) -> str:
    """Write a value in one line of JSON."""
    return printable_json(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


_TOKEN: Final = re.compile(r"""\s*("(?:\\.|[^"\\])*"|'[^']*'|`[^`]*`|[()|]|[^\s|()]+)""")

_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _index(values: Any, at: Any) -> Any:
    if isinstance(values, Mapping):
        return values.get(at, "")
    if int(at) < 0:
        raise IndexError(f"index out of range: {at}")
    return values[int(at)]


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "json": as_json,
    "upper": lambda value: _text(value).upper(),
    "lower": lambda value: _text(value).lower(),
    "len": len,
    "join": lambda values, joint: joint.join(values),
    "index": _index,
    "split": lambda text, joint: text.split(joint),
    "eq": lambda value, *others: value in others,
    "ne": lambda value, other: value != other,
    "not": lambda value: not value,
    "println": lambda value: f"{value}\n",
}


def evaluate(pipeline: str, scope: Scope) -> Any:
    """Give what stands between ``{{`` and ``}}`` its value. Raises NotUnderstood."""
    tokens = _TOKEN.findall(pipeline)
    value = _pipe(tokens, scope)
    if tokens:
        raise NotUnderstood(f"unexpected {tokens[0]!r}")
    return value


def _pipe(tokens: list[str], scope: Scope) -> Any:
    """Take commands with ``|`` between them from the tokens; each gets what the one before gave as its last word."""
    value = _command(tokens, scope, [])
    while tokens[:1] == ["|"]:
        del tokens[0]
        value = _command(tokens, scope, [value])
    return value


def _command(tokens: list[str], scope: Scope, piped: list[Any]) -> Any:
    if tokens[:1] in ([], ["|"], [")"]):
        raise NotUnderstood("missing value for command")
    name = tokens.pop(0) if tokens[0] in _FUNCTIONS else ""
    words: list[Any] = []
    while tokens and tokens[0] not in ("|", ")"):
        words.append(_operand(tokens, scope))
    words += piped
    if name:
        try:
            return _FUNCTIONS[name](*words)
        except (TypeError, AttributeError) as error:
            raise NotUnderstood(f"{name}: not the number or kind of values that it takes") from error
        except (ValueError, IndexError) as error:
            raise NotUnderstood(f"{name}: {error}") from error
    if len(words) > 1:
        raise NotUnderstood("can't give arguments to what is no function")
    return words[0]


def _operand(tokens: list[str], scope: Scope) -> Any:
    word = tokens.pop(0)
    if word == "(":
        value = _pipe(tokens, scope)
        if not tokens or tokens.pop(0) != ")":
            raise NotUnderstood("unclosed left paren")
        path = tokens.pop(0) if tokens and tokens[0].startswith(".") else ""
        return _field(value, path)
    if word[0] in "\"'`":
        if len(word) < 2 or word[-1] != word[0]:
            raise NotUnderstood("unterminated quoted string")
        return word[1:-1]
    if _NUMBER.fullmatch(word):
        return int(word)
    start, dot, path = word.partition(".")
    if (start or ".") not in scope:
        raise NotUnderstood(f'undefined variable "{start}"' if start[:1] == "$" else f'function "{word}" not defined')
    return _field(scope[start or "."], dot + path)


def _field(value: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        if not isinstance(value, Mapping) or name not in value:
            raise NotUnderstood(f"can't evaluate field {name}")
        value = value[name]
    return value
