"""What ``--chmod`` means: an octal mode, or letters as chmod(1) takes them.

BuildKit parses the letters with dchapes/mode; the language is POSIX chmod's: ``[ugoa]* [-+=] [rwxXst]*``,
several with commas between. Without a letter before the sign all three are meant, whatever the umask.

>>> change = parse_chmod("u=rwX,go=rX")
>>> oct(change(0o600, is_directory=False)), oct(change(0o600, is_directory=True))
('0o644', '0o755')
>>> oct(parse_chmod("640")(0o777, is_directory=False))
'0o640'
"""

from __future__ import annotations

import re
from typing import Protocol

from dockersim.errors import DockerfileError

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)\Z")
_ACTION = re.compile(r"([-+=])([rwxXstugo]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_SPECIAL = {"u": 0o4000, "g": 0o2000, "o": 0o1000}
_OCTAL = re.compile(r"[0-7]{1,5}\Z")


class Chmod(Protocol):
    """Turns the mode that a file had into the one it gets."""

    def __call__(self, mode: int, *, is_directory: bool) -> int:
        """Return the new mode, of twelve bits."""


def parse_chmod(text: str) -> Chmod:
    """Read the value of ``--chmod``; raise DockerfileError for what is no mode."""
    if _OCTAL.match(text) and int(text, 8) <= 0o7777:
        return _octal(int(text, 8))
    clauses = [_CLAUSE.match(clause) for clause in text.split(",")]
    if None in clauses:
        raise DockerfileError(
            f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777",
            hint="or letters as chmod takes them, such as u=rwX,go=rX",
        )
    return _symbolic([(clause[1] or "a", clause[2]) for clause in clauses if clause])


def _octal(value: int) -> Chmod:
    def change(mode: int, *, is_directory: bool) -> int:
        return value

    return change


def _symbolic(clauses: list[tuple[str, str]]) -> Chmod:
    def change(mode: int, *, is_directory: bool) -> int:
        for who, actions in clauses:
            for sign, letters in _ACTION.findall(actions):
                mode = _act(mode, "ugo" if "a" in who else who, sign, letters, is_directory)
        return mode

    return change


def _act(mode: int, who: str, sign: str, letters: str, is_directory: bool) -> int:
    """Carry out one action for the classes in ``who``."""
    given = taken = 0
    for one in who:
        bits = _bits(mode, letters, is_directory) << _SHIFT[one]
        if "s" in letters and one != "o":
            bits |= _SPECIAL[one]
        given |= bits
        taken |= (7 << _SHIFT[one]) | (_SPECIAL[one] if one != "o" else 0)
    if "t" in letters:
        given |= _SPECIAL["o"]
    if sign == "+":
        return mode | given
    if sign == "-":
        return mode & ~given
    return (mode & ~taken) | given


def _bits(mode: int, letters: str, is_directory: bool) -> int:
    """Return the three bits that ``letters`` ask for; ``u``, ``g`` and ``o`` copy those of a class."""
    bits = 0
    for letter in letters:
        if letter in _SHIFT:
            bits |= mode >> _SHIFT[letter] & 7
        elif letter == "X":
            bits |= 1 if is_directory or mode & 0o111 else 0
        else:
            bits |= {"r": 4, "w": 2, "x": 1}.get(letter, 0)
    return bits
