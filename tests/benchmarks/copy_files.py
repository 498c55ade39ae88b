"""COPY of 20,000 small files: the first time, when nothing has changed, and when one file has."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from pathlib import Path

from tests.benchmarks.contestants import Contestant, contestants, interleaved, save_busybox, table, timed, workplace

FILES = 20_000
_round = itertools.count()


def make_files(folder: Path, seed: str) -> None:
    """Make 200 directories of 100 files of 200 to 2,000 bytes."""
    for number in range(FILES):
        directory = folder / f"d{number // 100}"
        if number % 100 == 0:
            directory.mkdir(parents=True)
        (directory / f"f{number}.txt").write_bytes(f"{seed} {number}\n".encode() * (10 + number % 90))


def main(times: int = 3) -> None:
    """Measure each builder on a fresh context, then again."""
    with workplace() as folder, contestants(folder) as builders:
        base = save_busybox(folder)
        for builder in builders:
            builder.take_base(base)
        cold, cached, changed = {}, {}, {}
        for builder in builders:
            cold[builder.name] = _cold(builder, folder)
            cached[builder.name] = _again(builder, folder, change=False)
            changed[builder.name] = _again(builder, folder, change=True)
        table("COPY of 20,000 files, cold", interleaved(cold, times))
        table("COPY of 20,000 files, cached", interleaved(cached, times))
        table("COPY of 20,000 files, one of them changed", interleaved(changed, times))


def _cold(builder: Contestant, folder: Path):  # type: ignore[no-untyped-def]
    def measure() -> float:
        context = folder / f"files-{builder.name}"
        shutil.rmtree(context, ignore_errors=True)
        make_files(context / "files", f"{builder.name} {next(_round)}")
        os.sync()
        return _build(builder, context)

    return measure


def _again(builder: Contestant, folder: Path, *, change: bool):  # type: ignore[no-untyped-def]
    def measure() -> float:
        context = folder / f"files-{builder.name}"
        if change:
            (context / "files" / "d7" / "f700.txt").write_text(f"changed {next(_round)}\n")
        return _build(builder, context)

    return measure


def _build(builder: Contestant, context: Path) -> float:
    file = context / "Dockerfile"
    if not file.exists():
        file.write_text("FROM busybox\nCOPY files /files\n")
    return timed(builder.build(context, file), builder.environment)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
