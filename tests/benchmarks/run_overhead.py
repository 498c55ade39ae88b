"""What a RUN costs by itself: fifty steps that do next to nothing."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from tests.benchmarks.contestants import Contestant, contestants, interleaved, save_busybox, table, timed, workplace

STEPS = 50


def main(times: int = 3) -> None:
    """Measure builds of fifty steps, less a build of one, per step."""
    with workplace() as folder, contestants(folder) as builders:
        base = save_busybox(folder)
        for builder in builders:
            builder.take_base(base)
        for title, line in (("RUN true", "true"), ("RUN echo to a file", "echo {n} > /file-{n}")):
            measures = {one.name: _measure(one, folder, line) for one in builders}
            table(f"{title}, per step of {STEPS}", interleaved(measures, times), 1000, per=STEPS - 1)


_round = itertools.count()


def _measure(builder: Contestant, folder: Path, line: str):  # type: ignore[no-untyped-def]
    def measure() -> float:
        """Build the first step alone, then all: the difference is the steps and nothing else."""
        number = next(_round)
        context = folder / f"context-{number}"
        context.mkdir()
        steps = [f"RUN {line.format(n=n)} # {number}\n" for n in range(STEPS)]
        file = context / "Dockerfile"
        file.write_text(f"FROM busybox\n{steps[0]}")
        timed(builder.build(context, file), builder.environment)
        first = timed(builder.build(context, file), builder.environment)
        file.write_text(f"FROM busybox\n{''.join(steps)}")
        return timed(builder.build(context, file), builder.environment) - first

    return measure


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
