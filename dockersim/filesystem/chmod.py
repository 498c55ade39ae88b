"""What ``--chmod`` means: an octal mode, or letters as chmod(1) takes them.

BuildKit reads the letters with dchapes/mode, which goes by BSD's chmod: ``[ugoa]* ([-+=] [rwxXstugo]*)+``, several with
commas between. Without a letter before the sign all three are meant, whatever the umask.

>>> change = parse_chmod("u=rwX,go=rX")
>>> oct(change(0o600, is_directory=False)), oct(change(0o600, is_directory=True))
('0o644', '0o755')
>>> oct(parse_chmod("640")(0o777, is_directory=False))
'0o640'
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from dockersim.errors import DockerfileError

_OCTAL = re.compile(r"[0-7]+\Z")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXstugo]*)+)\Z")
_ACTION = re.compile(r"([-+=])([rwxXstugo]*)")
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o0007, "a": 0o6777}
"""Which bits of a mode belong to a class."""
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}
_SHIFT = {"u": 6, "g": 3, "o": 0}


class Step(Struct, frozen=True):
    """One change of a mode: ``bits`` are given (``+``), taken (``-``), or given where anybody may execute (``X``).

    With ``source`` the three bits of that class are given to or taken from ``classes``, or (``=``) replace theirs.
    """

    sign: str
    bits: int = 0
    source: str = ""
    classes: str = ""


class Chmod(Struct, frozen=True):
    """Turns the mode that a file had into the one it gets: the ``octal`` one, or changed step by step."""

    octal: int | None = None
    steps: tuple[Step, ...] = ()

    def __call__(self, mode: int, *, is_directory: bool) -> int:
        """Return the new mode, of twelve bits."""
        if self.octal is not None:
            return self.octal
        executable = is_directory or mode & 0o111
        for step in self.steps:
            if step.source:
                mode = _copied(mode, step)
            elif step.sign == "-":
                mode &= ~step.bits
            elif step.sign == "+" or executable:
                mode |= step.bits
        return mode

    @property
    def made_mode(self) -> int:
        """The mode of directories that have to be made on the way: the rwx of an octal mode; letters do not count.

        So it is in tonistiigi/fsutil (copy/copy.go ``prepareTargetDir``, copy/mkdir.go).
        """
        return 0o755 if self.octal is None else self.octal & 0o777


def parse_chmod(text: str) -> Chmod:
    """Read the value of ``--chmod``; raise DockerfileError for what is no mode."""
    if _OCTAL.match(text) and int(text, 8) <= 0o7777:
        return Chmod(int(text, 8))
    if text[:1].isdecimal():
        message = f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
        raise DockerfileError(message, hint="or letters as chmod takes them, such as u=rwX,go=rX")
    clauses = [_CLAUSE.match(clause) for clause in text.split(",")]
    if None in clauses:
        raise DockerfileError("invalid syntax", hint=f"--chmod={text}: write an octal mode, or such as u=rwX,go=rX")
    return Chmod(steps=tuple(step for clause in clauses if clause for step in _clause(clause[1], clause[2])))


def _clause(who: str, actions: str) -> Iterator[Step]:
    mask = 0
    for one in who:
        mask |= _WHO[one]
    for sign, letters in _ACTION.findall(actions):
        yield from _action(mask, sign, letters)


def _action(mask: int, sign: str, letters: str) -> Iterator[Step]:
    """List the steps of one sign; a letter of a class among the others ends what stands before it."""
    bits = where_executable = 0
    cleared = False
    for letter in letters:
        if letter in _SHIFT:
            yield from _given(mask, sign, bits)
            yield from _given(mask, "X", where_executable)
            bits = where_executable = 0
            cleared = sign == "="
            classes = "".join(one for one in _SHIFT if not mask or mask & 4 << _SHIFT[one])
            yield Step(sign, source=letter, classes=classes)
        elif letter == "X" and sign != "-":
            where_executable = _BITS["x"]
        elif letter not in "st" or not mask or mask & ~_WHO["o"]:
            mask |= _BITS["t"] if letter == "t" else 0
            bits |= _BITS[letter.lower()]
    if sign == "=" and not cleared and not bits:
        yield Step("-", mask or _WHO["a"])
    yield from _given(mask, sign, bits)
    yield from _given(mask, "X", where_executable)


def _given(mask: int, sign: str, bits: int) -> Iterator[Step]:
    if bits and sign == "=":
        yield Step("-", mask or _WHO["a"])
    if bits:
        yield Step("+" if sign == "=" else sign, bits & mask if mask else bits)


def _copied(mode: int, step: Step) -> int:
    value = mode >> _SHIFT[step.source] & 7
    for one in step.classes:
        if step.sign != "+":
            mode &= ~((7 if step.sign == "=" else value) << _SHIFT[one])
        if step.sign != "-":
            mode |= value << _SHIFT[one]
    return mode
