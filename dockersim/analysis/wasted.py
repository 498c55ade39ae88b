"""Bytes that an image carries and nobody can see: files that a later layer replaced or deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct

from dockersim.filesystem import Change, Kind

Step: TypeAlias = tuple[int, Sequence[Change]]
"""The number of a step and what it changed; steps of one stage, in order."""


class Waste(Struct, frozen=True):
    """A file's ``size`` in bytes that step ``written`` put into the image and step ``hidden`` hid again."""

    path: str
    size: int
    written: int
    hidden: int


def wasted(steps: Iterable[Step]) -> tuple[Waste, ...]:
    """List every file that a later step hides, the largest first.

    A file that is rewritten is in the image twice; one that is deleted, also below a deleted directory, is still
    there once. What a single step writes and deletes itself never reaches a layer and is not counted.
    """
    written: dict[str, tuple[int, int]] = {}
    found: list[Waste] = []
    for number, changes in steps:
        for change in changes:
            found += _hidden(change, number, written)
            if change.after is not None and change.after.kind is Kind.FILE:
                written[change.path] = (number, change.after.size)
    return tuple(sorted((one for one in found if one.size), key=lambda one: (-one.size, one.path)))


def _hidden(change: Change, number: int, written: dict[str, tuple[int, int]]) -> list[Waste]:
    """Take out of ``written`` what ``change`` hides."""
    if change.before is None:
        return []
    paths = [change.path]
    if change.before.kind is Kind.DIRECTORY and (change.after is None or change.after.kind is not Kind.DIRECTORY):
        paths += [path for path in written if path.startswith(f"{change.path}/")]
    gone = [(path, *written.pop(path)) for path in paths if path in written]
    return [Waste(path, size, since, number) for path, since, size in gone]
