"""Inputs for tests/fuzz.py that hypothesis draws: ``python -m tests.fuzz TARGET --hypothesis``.

Where tests/fuzz.py mutates the recorded texts, this puts texts together: of their lines, of what means something to a
parser, and of any letters there are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from tests.fuzz import PIECES

BATCH = 5_000
"""So many are drawn with one seed: hypothesis remembers all that it has drawn, and begins anew with the next seed."""


def drawn(seeds: Sequence[str], seed: int, batch: int = BATCH) -> Iterator[str]:
    """Draw texts for ever, the same ones from the same seed."""
    strategy = _texts(seeds)
    for number in itertools.count():
        yield from _batch(strategy, seed << 40 | number, batch)


def _texts(seeds: Sequence[str]) -> st.SearchStrategy[str]:
    """Draw any letters, or bytes each pair of which names a line or a piece.

    Bytes are one choice for hypothesis where a list is many: so a million texts take minutes and not hours.
    """
    lines = sorted({f"{line}\n" for text in seeds for line in text.split("\n")})
    table = [*lines, *PIECES * (1 + len(lines) // len(PIECES))]

    def put_together(chosen: bytes) -> str:
        pairs = (one << 8 | other for one, other in zip(chosen[::2], chosen[1::2], strict=False))
        return "".join(table[pair % len(table)] for pair in pairs)

    return st.one_of(st.text(), *(st.binary(min_size=few, max_size=4 * few).map(put_together) for few in (4, 16)))


def _batch(strategy: st.SearchStrategy[str], seed: int, size: int) -> list[str]:
    texts: list[str] = []

    @seeded(seed)
    @settings(max_examples=size, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def note(text: str) -> None:
        texts.append(text)

    note()
    return texts
