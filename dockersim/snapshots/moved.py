"""Find what a file was called before it was moved, which is all that tells its owner on an ordinary user's disk.

A move leaves no trace but these: the old name is gone, or is another file's now, as when `adduser` keeps /etc/shadow as
/etc/shadow-; and under the new one stands a file of the same content and time. (A copy with ``cp -p`` and the old one
deleted looks the same, and as root has the same owner.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from dockersim.filesystem import Entry, Kind, Tree
from dockersim.snapshots.disk import hash_file

_Looks: TypeAlias = tuple[Kind, int, int, str]
_SECOND = 1_000_000_000  # a layer's times are whole seconds
_LAG = 10_000_000  # the clock that files get their times from ticks this slowly at most


class Moved:
    """What was gone from ``before`` at the paths ``gone``, and below them; a file may stand there again."""

    def __init__(self, before: Tree, gone: Iterable[str]) -> None:
        self._before = before
        self._gone = gone
        self._found: dict[_Looks, list[Entry]] | None = None

    def origin(self, entry: Entry, where: str, began_ns: int) -> Entry | None:
        """Give what ``entry``, which is new and stands at ``where`` on disk, was before; None for something new.

        What has a time since ``began_ns``, when the process began that may have moved it, was made by that.
        None also where several files come into question that did not have the same owner.
        """
        if began_ns and entry.mtime_ns >= began_ns - _LAG:
            return None
        if self._found is None:
            self._found = defaultdict(list)
            for one in self._entries():
                self._found[_looks(one)].append(one)
        alike = self._found.get(_looks(entry), [])
        if alike and entry.kind is Kind.FILE:
            digest = hash_file(where)
            alike = [one for one in alike if one.digest == digest]
        return alike[0] if len({(one.uid, one.gid) for one in alike}) == 1 else None

    def _entries(self) -> Iterator[Entry]:
        for path in self._gone:
            node = self._before.get(path)
            if node is not None:
                yield node.entry
                yield from (below.entry for below in self._before.walk(path))


def _looks(entry: Entry) -> _Looks:
    return entry.kind, entry.size, entry.mtime_ns // _SECOND, entry.link
