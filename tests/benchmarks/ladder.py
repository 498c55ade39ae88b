"""Every rung of the ladder that works here, in one run: the whole demo, a RUN of nothing, and one of many programs.

Needs no network: the bases are made from this machine. Started as root all rungs can be had; the first of them, which
the others are compared with, is then root's namespaces.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

from dockersim import Engine
from tests.benchmarks.contestants import interleaved, table, timed, workplace

PROGRAMS = 300
DEMO = [sys.executable, "-m", "dockersim.cli", "demo"]

_numbers = itertools.count()


def main(times: int = 3) -> None:
    """Measure each rung that can run something."""
    with workplace() as folder:
        rungs = [rung.name for rung in Engine(folder / "probe").rungs() if rung.works and rung.name != "none"]
        table("dockersim demo, whole process", interleaved({name: _demo(name) for name in rungs}, times))
        engines = {name: Engine(folder / name, sandbox=name) for name in rungs}
        for title, command in {
            "RUN true": "true",
            f"RUN touch, {PROGRAMS} times": f"for n in $(seq {PROGRAMS}); do touch /file-$n; done",
        }.items():
            measures = {name: _step(engine, command) for name, engine in engines.items()}
            for measure in measures.values():
                measure()  # the base is made and laid out
            table(f"{title}, the step alone", interleaved(measures, times), 1000)


def _demo(name: str) -> Callable[[], float]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("DOCKERSIM_")}
    return lambda: timed(DEMO, kept | {"DOCKERSIM_SANDBOX": name})


def _step(engine: Engine, command: str) -> Callable[[], float]:
    def measure() -> float:
        text = f"FROM dockersim/starter:shell\nRUN {command} # {next(_numbers)}\n"
        build = engine.build(Path(__file__).parent, text=text)
        build.finish()
        return build.steps[-1].seconds

    return measure


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
