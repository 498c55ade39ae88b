"""The handful of Go's text functions whose results show in what BuildKit does: spaces, quoting, durations,
paths.

BuildKit is written in Go, so "white space", a quoted word in an error message and `--interval=1m30s` mean
what Go's `unicode`, `strconv`, `time` and `path` packages say they mean, and Python's own notions differ at
the edges.

>>> quote('say "hi"\\n')
'"say \\\\"hi\\\\"\\\\n"'
>>> parse_duration("1m30s")
90000000000
>>> clean_path("a/./b//../c/")
'a/c'
"""

from __future__ import annotations

import re
from typing import Final

# unicode.IsSpace; str.isspace() would also take the separators U+001C to U+001F.
SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)

_ESCAPES: Final = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    '"': r"\"",
    "\\": r"\\",
}

_UNITS: Final[dict[str, int]] = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_TERM: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")
_LONGEST: Final = 2**63 - 1


def quote(text: str) -> str:
    """Write ``text`` as Go's ``%q`` does."""
    return '"' + "".join(_quoted_character(character) for character in text) + '"'


def _quoted_character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def parse_duration(text: str) -> int:
    """Read a duration such as ``1h2m3.5s`` as nanoseconds; ValueError says what is wrong in Go's words."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {quote(text)}")
    total, position = 0, 0
    while position < len(rest):
        term = _TERM.match(rest, position)
        if term is None or not (term[1] or term[2]):
            raise ValueError(f"time: invalid duration {quote(text)}")
        total += _term_in_nanoseconds(term, text)
        position = term.end()
    if total > _LONGEST:
        raise ValueError(f"time: invalid duration {quote(text)}")
    return sign * total


def _term_in_nanoseconds(term: re.Match[str], text: str) -> int:
    whole, fraction, unit = term[1], term[2] or "", term[3]
    if not unit:
        raise ValueError(f"time: missing unit in duration {quote(text)}")
    if unit not in _UNITS:
        raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
    # More digits than these can only overflow, or lie below a nanosecond; this also bounds the work.
    if len(whole.lstrip("0")) > 19:
        raise ValueError(f"time: invalid duration {quote(text)}")
    fraction = fraction[:18]
    scale = _UNITS[unit]
    return int(whole.lstrip("0") or "0") * scale + int(fraction or "0") * scale // int("1" + "0" * len(fraction))


def parse_bool(text: str) -> bool:
    """Read what ``strconv.ParseBool`` takes for a truth value."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(f"not a truth value: {text}")


def clean_path(path: str) -> str:
    """Shorten a path as ``path.Clean`` does: no ``.``, no needless slash, ``..`` resolved by name alone."""
    rooted = path.startswith("/")
    names: list[str] = []
    for name in path.split("/"):
        if name in ("", "."):
            continue
        if name != "..":
            names.append(name)
        elif names and names[-1] != "..":
            names.pop()
        elif not rooted:
            names.append(name)
    return "/" + "/".join(names) if rooted else "/".join(names) or "."
