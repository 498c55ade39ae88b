"""The parts of the README that are made by programs, each between two comments."""

from __future__ import annotations


def rewritten(readme: str, begin: str, end: str, text: str) -> str:
    """Return ``readme`` with ``text`` between the comments ``begin`` and ``end``."""
    before, _, rest = readme.partition(begin)
    return f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"
