"""The X-ray of a build context: which files go to the builder, which line decided it, and what uses them.

``docker build`` shows of its context one line, ``transferring context: 35MB``. What is in these megabytes decides how
fast a build starts, when the cache misses, and which secrets end up in an image.

A file is *kept* if .dockerignore leaves it in. Of these BuildKit's client sends only what an instruction uses (moby's
classic builder sent them all), but any later ``COPY . .`` may.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from dockersim.dockerfile import Decision
from dockersim.filesystem import Kind


class Use(Struct, frozen=True, order=True):
    """An instruction that takes a file: its line in the Dockerfile, and its keyword."""

    line: int
    keyword: str


class ContextFile(Struct, frozen=True):
    """One path of a context, ``size`` in bytes, with the decision of the ignore file.

    A directory stands for the ``files`` below it, ``size`` being their sum.
    """

    path: str
    kind: Kind
    size: int
    decision: Decision
    uses: tuple[Use, ...] = ()
    files: int = 1

    @property
    def kept(self) -> bool:
        """Whether the ignore file leaves it in."""
        return not self.decision.excluded


class Missing(Struct, frozen=True):
    """A source that is not in the context; ``decision`` tells whether it was left out."""

    use: Use
    message: str
    decision: Decision


class Total(Struct, frozen=True):
    """So many files, so many bytes."""

    files: int
    size: int


class ContextXray(Struct, frozen=True):
    """A whole context: its files in order, and the sources that are missing.

    ``ignore_file`` names the file that decided. ``uses_unknown`` says why no file has uses; "" where they are known.
    """

    files: tuple[ContextFile, ...]
    missing: tuple[Missing, ...] = ()
    ignore_file: str = ".dockerignore"
    uses_unknown: str = ""

    @property
    def kept(self) -> Total:
        """What the ignore file leaves in."""
        return _total(file for file in self.files if file.kept)

    @property
    def left_out(self) -> Total:
        """What the ignore file leaves out."""
        return _total(file for file in self.files if not file.kept)

    @property
    def used(self) -> Total:
        """What an instruction takes: all that BuildKit sends."""
        return _total(file for file in self.files if file.uses)


_NO_USES: Final[Mapping[str, Sequence[Use]]] = {}


def listed(
    found: Iterable[ContextFile], uses: Mapping[str, Sequence[Use]] = _NO_USES, *, everything: bool = False
) -> tuple[ContextFile, ...]:
    """List the files of a context in order, each with its uses.

    ``found`` are all paths, directories too. A directory that is left out with all that is below it becomes one row,
    unless ``everything`` is asked for; other directories have none.
    """
    ordered = sorted(found, key=lambda one: one.path.split("/"))
    rows = (one for one in ordered if one.kind is not Kind.DIRECTORY) if everything else _folded(ordered)
    return tuple(replace(row, uses=_unique(uses[row.path])) if row.path in uses else row for row in rows)


def _folded(ordered: Sequence[ContextFile]) -> Iterator[ContextFile]:
    """Put each directory of which nothing is kept in the place of what is below it."""
    holding = _directories_above(one.path for one in ordered if one.kept)
    folder: ContextFile | None = None
    for one in ordered:
        if folder is not None and one.path.startswith(f"{folder.path}/"):
            if one.kind is not Kind.DIRECTORY:
                folder = replace(folder, size=folder.size + one.size, files=folder.files + 1)
            continue
        if folder is not None:
            yield folder
            folder = None
        if one.kind is not Kind.DIRECTORY:
            yield one
        elif not one.kept and one.path not in holding:
            folder = replace(one, size=0, files=0)
    if folder is not None:
        yield folder


def _directories_above(paths: Iterable[str]) -> set[str]:
    above: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in above:
            above.add(parent)
            parent = parent.rpartition("/")[0]
    return above


def _unique(uses: Sequence[Use]) -> tuple[Use, ...]:
    return tuple(sorted(set(uses))) if len(uses) > 1 else tuple(uses)


def _total(files: Iterable[ContextFile]) -> Total:
    count = size = 0
    for file in files:
        count += file.files
        size += file.size
    return Total(count, size)
