"""The ``--flags`` of an instruction: which there are, and what was given.

BuildKit: frontend/dockerfile/instructions/bflag.go.

>>> flags = read_flags(("--link", "--chown=1:1"), {"chown": Kind.TEXT, "link": Kind.SWITCH})
>>> flags.text("chown"), flags.is_on("link"), flags.given
('1:1', True, ('link', 'chown'))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from msgspec import Struct

from dockersim.dockerfile.suggest import nearest
from dockersim.errors import DockerfileError


class Kind(Enum):
    """What a flag takes."""

    SWITCH = "switch"
    TEXT = "text"
    TEXTS = "texts"


class Switch(Enum):
    """A switch with a default of its own that depends on the source, such as ``ADD --unpack``."""

    UNSET = "unset"
    ON = "on"
    OFF = "off"


class Flags(Struct, frozen=True):
    """The values of an instruction's flags, in the order given."""

    values: tuple[tuple[str, str], ...]

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the flags that were given."""
        return tuple(dict.fromkeys(name for name, _ in self.values))

    def text(self, name: str, default: str = "") -> str:
        """The value of a flag that takes one text."""
        return next((value for given, value in self.values if given == name), default)

    def texts(self, name: str) -> tuple[str, ...]:
        """Every value of a flag that may be repeated."""
        return tuple(value for given, value in self.values if given == name)

    def switch(self, name: str) -> Switch:
        """How a switch stands, or that it was not given."""
        value = self.text(name)
        return Switch.UNSET if not value else Switch.ON if value == "true" else Switch.OFF

    def is_on(self, name: str) -> bool:
        """Say whether a switch that is off by default was turned on."""
        return self.switch(name) is Switch.ON


def read_flags(words: Iterable[str], known: Mapping[str, Kind]) -> Flags:
    """Check ``words`` such as ``--link=true`` against the ``known`` flags; a DockerfileError has no place yet."""
    values: list[tuple[str, str]] = []
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        if name not in known:
            match = nearest(name, known)
            raise DockerfileError(f"unknown flag: --{name}", hint=f"did you mean --{match}?" if match else "")
        if known[name] is not Kind.TEXTS and any(name == earlier for earlier, _ in values):
            raise DockerfileError(f"duplicate flag specified: --{name}")
        # A switch may stand alone; a text may be empty, but needs its "=".
        if (equals and not value) if known[name] is Kind.SWITCH else not equals:
            raise DockerfileError(f"missing a value on flag: --{name}")
        values.append((name, _switch_value(name, value) if known[name] is Kind.SWITCH else value))
    return Flags(tuple(values))


def _switch_value(name: str, value: str) -> str:
    lowered = value.lower() or "true"
    if lowered not in ("true", "false"):
        raise DockerfileError(f"expecting boolean value for flag --{name}, not: {value}")
    return lowered
