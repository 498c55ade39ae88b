"""What a build lends to its commands: of the machine to every RUN, of the caller to those that ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from dockersim.sandbox import BindMount


class Host(Struct, frozen=True):
    """What of the learner's machine every RUN is given: variables and files, never part of key, history or layer."""

    environment: tuple[tuple[str, str], ...] = ()
    mounts: tuple[BindMount, ...] = ()
    because: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what the step was given, if anything."""
        return (f"{self.because}; not part of the image, its history or the cache key",) if self.because else ()


class Given(Struct, frozen=True):
    """What the caller of a build lends to its commands: secrets by id, and sockets of ssh agents by id."""

    secrets: Mapping[str, bytes] = field(default_factory=dict)
    agents: Mapping[str, Path] = field(default_factory=dict)
