"""Where in a Dockerfile something stands.

>>> At("Dockerfile", 3, 5)
At(file='Dockerfile', line=3, last_line=5)
>>> str(At("Dockerfile", 3, 5))
'Dockerfile:3'
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import force_setattr


class At(Struct, frozen=True, repr_omit_defaults=True):
    """A range of lines in a file; lines and columns count from 1, the last ones are included.

    ``last_line`` is ``line`` where it is left out. Columns are None where only the lines are known. ``also`` are
    lines elsewhere that it takes as well: a circle of stages stands in two places at least.
    """

    file: str
    line: int
    last_line: int = 0
    column: int | None = None
    last_column: int | None = None
    also: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.line < 1:
            raise ValueError(f"lines count from 1, not {self.line}")
        if self.last_line < self.line:
            force_setattr(self, "last_line", self.line)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def lines(self) -> Sequence[int]:
        """Every line number, in order."""
        lines = range(self.line, self.last_line + 1)
        return sorted({*lines, *self.also}) if self.also else lines


def excerpt(text: str, at: At) -> str:
    """Show the lines of ``at`` with ``>>>`` before them, and what stands around them.

    As in BuildKit (solver/errdefs/source.go) that is two lines either side, but one around several lines.
    """
    lines = text.split("\n")
    around = 2 if len(at.lines) == 1 else 1
    first, last = max(1, at.lines[0] - around), min(len(lines), at.lines[-1] + around)
    rows = [
        f"{number:4d} | {'>>>' if number in at.lines else '   '} {lines[number - 1]}".rstrip()
        for number in range(first, last + 1)
    ]
    rule = "-" * 20
    return "\n".join([f"{at.file}:{at.line}", rule, *rows, rule])
