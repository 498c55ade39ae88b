"""The build cache: which step made which layer, found by its key.

BuildKit keeps this in a bolt database (solver/bboltcachestorage). Here it is a table of keys and results. What BuildKit
does not keep, and we do, is where in which Dockerfile a step stood: a miss is compared with the step that stood there.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from dockersim.content import Database
from dockersim.digest import DiffID
from dockersim.solver import CacheAnswer, CacheKey, StepPlan, StepResult, result_from_json, result_to_json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS step (
    key TEXT PRIMARY KEY,
    parent TEXT NOT NULL,
    fields BLOB NOT NULL,
    result TEXT NOT NULL,
    dockerfile TEXT NOT NULL,
    stage INTEGER NOT NULL,
    keyword TEXT NOT NULL,
    instruction TEXT NOT NULL,
    line INTEGER NOT NULL,
    used INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS step_place ON step (dockerfile, stage, keyword, used);
CREATE INDEX IF NOT EXISTS step_used ON step (used);
"""

_MOST = 20_000
"""So many steps are remembered; the ones made longest ago are forgotten first."""

_EVERY = 1_000
"""After so many new steps it is seen to that there are not too many."""


class StepRecords:
    """Steps that have been built, by the digest of their key. ``has`` tells whether a layer is still there."""

    def __init__(self, database: Database, has: Callable[[DiffID], bool]) -> None:
        self._database = database
        self._has = has
        database.register(_SCHEMA)

    def look_up(self, key: CacheKey, step: StepPlan, dockerfile: str) -> CacheAnswer:
        """Look for a step; where it is not known, find the earlier one it is best compared with."""
        rows = self._database.query("SELECT result FROM step WHERE key = ?", (key.digest,))
        if rows:
            result = result_from_json(json.loads(rows[0][0]))
            if result.layer is None or self._has(result.layer):
                return CacheAnswer(result)
            return CacheAnswer(None, lost=True)
        return CacheAnswer(None, self._nearest(key, step, dockerfile))

    def remember(self, key: CacheKey, step: StepPlan, dockerfile: str, result: StepResult) -> None:
        """Keep what a step came to. Repeatable; the last result counts."""
        fields = zlib.compress(json.dumps(key.to_json()).encode(), 1)
        row = (key.digest, key.parent, fields, json.dumps(result_to_json(result)), _text(dockerfile), step.stage,
               step.keyword, _text(step.instruction), step.at.line)  # fmt: skip
        with self._database.transaction() as connection:
            used = connection.execute("SELECT coalesce(max(used), 0) + 1 FROM step").fetchone()[0]
            connection.execute("INSERT OR REPLACE INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, used))
            if used % _EVERY == 0:
                connection.execute("DELETE FROM step WHERE used <= ?", (used - _MOST,))

    def forget(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Forget steps by the digests of their keys; return those of them that were known."""
        with self._database.transaction() as connection:
            return tuple(key for key in keys if connection.execute("DELETE FROM step WHERE key = ?", (key,)).rowcount)

    def steps(self) -> list[tuple[str, DiffID | None]]:
        """List every step that the cache knows: the digest of its key, and its layer if it made one."""
        rows = self._database.query("SELECT key, result FROM step ORDER BY used")
        return [(key, json.loads(result)["layer"]) for key, result in rows]

    def layers(self) -> list[DiffID]:
        """List every layer that the cache knows."""
        return [layer for _, layer in self.steps() if layer]

    def _nearest(self, key: CacheKey, step: StepPlan, dockerfile: str) -> CacheKey | None:
        """Find the step of the same Dockerfile that this one most likely was: same text, same line, same parent."""
        rows = self._database.query(
            "SELECT fields, instruction, line, parent FROM step WHERE dockerfile = ? AND stage = ? AND keyword = ?"
            " ORDER BY used DESC LIMIT 100",
            (_text(dockerfile), step.stage, step.keyword),
        )

        def likeness(row: tuple[Any, ...]) -> tuple[bool, bool, bool]:
            return row[1] == _text(step.instruction), row[3] == key.parent, row[2] == step.at.line

        best = max(rows, key=likeness, default=None)
        if best is None or not any(likeness(best)):
            return None
        return CacheKey.from_json(json.loads(zlib.decompress(best[0])))


def _text(words: str) -> str:
    """Write a path or an instruction as text: neither has to be UTF-8, and what SQLite keeps as TEXT has."""
    return words.encode("utf-8", "backslashreplace").decode()
