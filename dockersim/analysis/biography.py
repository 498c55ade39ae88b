"""The life of one path through a build: born, changed, moved out of sight."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from dockersim.analysis.wasted import Step
from dockersim.filesystem import Change, Entry, Kind, What


class LifeEvent(Struct, frozen=True):
    """What one step did to the path."""

    step: int
    change: Change

    def words(self) -> str:
        """Say it in one line."""
        before, after = self.change.before, self.change.after
        if after is None:
            kept = f"; its {before.size} bytes stay in the layer of an earlier step" if before and before.size else ""
            return f"step {self.step}: deleted{kept}"
        if before is None:
            size = f", {after.size} bytes" if after.kind is Kind.FILE else ""
            return f"step {self.step}: added{size}"
        return f"step {self.step}: {', '.join(_differences(before, after)) or 'written again'}"


def biography(steps: Iterable[Step], path: str) -> tuple[LifeEvent, ...]:
    """Tell what each step did to ``path`` (no slash first), or to a directory above it that it took away with it."""
    events = []
    for number, changes in steps:
        for change in changes:
            above = change.what is What.DELETED and path.startswith(f"{change.path}/")
            if change.path == path or above:
                events.append(LifeEvent(number, change))
    return tuple(events)


def _differences(before: Entry, after: Entry) -> list[str]:
    found = []
    if before.kind is not after.kind:
        found.append(f"was a {before.kind.value}, is a {after.kind.value}")
    if before.mode != after.mode:
        found.append(f"mode {before.mode:04o} → {after.mode:04o}")
    if (before.uid, before.gid) != (after.uid, after.gid):
        found.append(f"owner {before.uid}:{before.gid} → {after.uid}:{after.gid}")
    if before.digest != after.digest:
        found.append(f"overwritten, {before.size} → {after.size} bytes")
    if before.link != after.link:
        found.append(f"link {before.link} → {after.link}")
    return found
