"""Bytes as docker writes them: decimal units, three digits.

The real thing is github.com/docker/go-units, ``HumanSizeWithPrecision`` (size.go). It stands this low in the house
because the practice registry's page shows sizes too, and may not import ``views``.

>>> human_size(119_871_232), human_size(1234), human_size(0)
('120MB', '1.23kB', '0B')
"""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")


def human_size(size: float, digits: int = 3) -> str:
    """Write a number of bytes with ``digits`` significant digits: 3 as docker's tables, 4 as ``units.HumanSize``.

    As in docker, 999,600 bytes at three digits are "1e+03kB": the unit is chosen before rounding.
    """
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.{digits}g}{_UNITS[unit]}"
