"""The nearest word to a misspelt one, for "did you mean".

>>> nearest("FORM", ["FROM", "RUN", "COPY"])
'FROM'
>>> nearest("hello", ["FROM", "RUN"])
''
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Final

# BuildKit suggests up to two edits away (util/suggest).
_FARTHEST: Final = 2
# Deviation: BuildKit compares with every name there is; here with the first 200, so that the time stays in bounds.
_MOST: Final = 200


def nearest(word: str, options: Iterable[str]) -> str:
    """Return the option at most two edits away, or nothing; an exact match is not a suggestion."""
    best, best_distance = "", _FARTHEST + 1
    letters, length = frozenset(word), len(word)
    for option, theirs in _with_letters(tuple(islice(options, _MOST))):
        if option == word:
            return ""
        # An edit adds one letter at most and takes one away at most: this settles most pairs without counting edits.
        if (
            abs(len(option) - length) < best_distance
            and len(letters - theirs) < best_distance
            and len(theirs - letters) < best_distance
        ):
            distance = _edits(word, option)
            if distance < best_distance:
                best, best_distance = option, distance
    return best


@lru_cache(maxsize=8)
def _with_letters(options: tuple[str, ...]) -> tuple[tuple[str, frozenset[str]], ...]:
    """Sort the options, each with its letters; a file with many mistakes asks about the same ones again and again."""
    return tuple((option, frozenset(option)) for option in sorted(options))


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Phrase the suggestion as a hint; empty where nothing is near."""
    match = nearest(word, options)
    return f"did you mean {match}?" if match else ""


def _edits(one: str, other: str) -> int:
    """Count insertions, deletions and substitutions (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (left != right))
    return row[-1]
