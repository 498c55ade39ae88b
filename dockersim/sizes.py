"""Bytes as docker writes and reads them: it writes decimal units and three digits, and reads binary units.

The real thing is github.com/docker/go-units, ``HumanSizeWithPrecision`` and ``RAMInBytes`` (size.go). It stands this
low in the house because the practice registry's page shows sizes too, and may not import ``views``.

>>> human_size(119_871_232), human_size(1234), human_size(0)
('120MB', '1.23kB', '0B')
>>> read_size("1.5kB"), read_size("2 m"), read_size("7")
(1536, 2097152, 7)
"""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_WRITTEN: Final = re.compile(r"([0-9]{0,15}(?:\.[0-9]{0,15})?) ?(?:([kmgtp])(?:i?b)?|b)?", re.IGNORECASE)


def human_size(size: float, digits: int = 3) -> str:
    """Write a number of bytes with ``digits`` significant digits: 3 as docker's tables, 4 as ``units.HumanSize``.

    As in docker, 999,600 bytes at three digits are "1e+03kB": the unit is chosen before rounding.
    """
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.{digits}g}{_UNITS[unit]}"


def read_size(text: str) -> int:
    """Read a number of bytes, as somebody wrote it. Raises ValueError."""
    match = _WRITTEN.fullmatch(text)
    if match is None or match[1] in ("", "."):
        raise ValueError(f"invalid size: '{text}'")
    return int(float(match[1]) * 1024 ** " kmgtp".index((match[2] or " ").lower()))
