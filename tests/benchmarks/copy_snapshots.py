"""What stands around a RUN where there is no overlayfs: laying a base out, taking in what changed, changing stages.

Both snapshotters do the same deeds in one run, on one disk, as whoever runs this; no command is run, so that nothing
else is measured. ``python -m tests.benchmarks.ladder`` measures whole builds.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dockersim.content import ContentStore, LayerStore
from dockersim.digest import DiffID
from dockersim.filesystem import Entry, Kind
from dockersim.sandbox import OverlayRoot
from dockersim.snapshots import CopySnapshotter, OverlaySnapshotter, SnapshotKey, Snapshotter
from tests.benchmarks.contestants import interleaved, table, workplace

FILES = 15_000
"""As many as Debian with Python and pip has."""

_numbers = itertools.count()


def main(times: int = 5) -> None:
    """Measure each deed with each snapshotter."""
    with workplace() as folder:
        layers = LayerStore(ContentStore(folder / "store"))
        base = _store_base(layers)
        stages = [(base, _store_file(layers, f"stage-{number}")) for number in range(2)]
        kept: dict[str, Snapshotter] = {
            "overlay": OverlaySnapshotter(folder / "overlay", layers),
            "copy": CopySnapshotter(folder / "copy", layers),
        }
        first = {name: _laying_out(kind, folder, layers, base) for name, kind in kept.items()}
        table(f"lay out a base of {FILES:,} files", interleaved(first, times), 1000)
        for title, deed in {
            "a step that changes nothing": lambda kind: _take(kind, (base,)),
            "a step that writes a file and fails": lambda kind: _take(kind, (base,), writes=True),
            "a step in another stage, and one back here": lambda kind: [_take(kind, stage) for stage in stages],
        }.items():
            for kind in kept.values():
                deed(kind)
            table(title, interleaved({name: _timed(deed, kind) for name, kind in kept.items()}, times), 1000)


def _timed(deed: Callable[[Snapshotter], object], kind: Snapshotter) -> Callable[[], float]:
    def measure() -> float:
        started = time.perf_counter()
        deed(kind)
        return time.perf_counter() - started

    return measure


def _laying_out(kind: Snapshotter, folder: Path, layers: LayerStore, base: DiffID) -> Callable[[], float]:
    def measure() -> float:
        fresh = type(kind)(folder / f"fresh-{next(_numbers)}", layers)  # type: ignore[call-arg]
        os.sync()
        seconds = _timed(lambda one: one.prepare(SnapshotKey("first"), (base,)), fresh)()
        fresh.discard(SnapshotKey("first"))
        fresh.remove(base)
        return seconds

    return measure


def _take(kind: Snapshotter, layers: tuple[DiffID, ...], *, writes: bool = False) -> None:
    """Do what stands around the command of a RUN; what it writes is thrown away, so that it can be done again."""
    key = SnapshotKey(f"step-{next(_numbers)}")
    root = kind.prepare(key, layers)
    if writes:
        (root.upper if isinstance(root, OverlayRoot) else root.path).joinpath("new").write_text(
            "new\n", encoding="ascii"
        )
    kind.changes(key)
    if writes:
        kind.discard(key)
    else:
        kind.commit(key, None)


def _store_base(layers: LayerStore) -> DiffID:
    """Store files of up to three kilobytes, a hundred in a directory."""
    with layers.new_layer() as new:
        for number in range(FILES):
            if number % 100 == 0:
                new.add(Entry(f"d{number // 100}", Kind.DIRECTORY, 0o755))
            content = f"{number}\n".encode() * (100 + number % 500)
            new.add(Entry(f"d{number // 100}/f{number}", Kind.FILE, 0o644, size=len(content)), content)
        return new.commit().diff_id


def _store_file(layers: LayerStore, name: str) -> DiffID:
    with layers.new_layer() as new:
        new.add(Entry(name, Kind.FILE, 0o644, size=4), b"here")
        return new.commit().diff_id


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
