"""A rebuild of the Flask image in which every step is cached, from the start of the program to its end."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.benchmarks.contestants import DOCKERSIM, Dockersim, contestants, interleaved, table, timed, workplace

FLASK_APP = Path(__file__).parents[2] / "lessons" / "flask-app"


def main(times: int = 15) -> None:
    """Measure the three builders, a plan, and what a Python that does nothing takes."""
    with workplace() as folder, contestants(folder) as builders:
        context = folder / "context"
        shutil.copytree(FLASK_APP, context)
        maker = Dockersim(folder / "maker")
        maker("base", "add", "dockersim/starter:python")
        maker("save", "-o", folder / "base.tar", "dockersim/starter:python")
        measures = {}
        for builder in builders:
            builder.take_base(folder / "base.tar")
            command, environment = builder.build(context, context / "Dockerfile.starter"), builder.environment
            timed(command, environment)
            measures[builder.name] = lambda command=command, environment=environment: timed(command, environment)
        plan = [str(DOCKERSIM), "plan", "-f", str(context / "Dockerfile.starter"), str(context)]
        measures["dockersim plan"] = lambda: timed(plan, builders[0].environment)
        measures["python -c pass"] = lambda: timed([sys.executable, "-c", "pass"], builders[0].environment)
        table("Cached rebuild of the Flask image, whole process", interleaved(measures, times), 1000)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
