"""What a learner on macOS or Windows can do, told in one process: ``python -m tests.portable.story FOLDER``.

Prints each command, what it printed, and its exit code. Run it with the variables of ``pretend.environment``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from dockersim import Engine, replay
from dockersim.cli.main import main

DOCKERFILE = """\
FROM scratch AS app
COPY --chmod=0640 . /app
WORKDIR /app/data
FROM app
ARG GREETING=hällo
ENV GREETING=$GREETING
CMD ["/app/hello"]
"""


def tell(folder: Path) -> None:
    """Go through the commands, in an empty root below ``folder``."""
    context = folder / "context"
    context.mkdir()
    for name, text in {"Dockerfile": DOCKERFILE, "hello": "hi\n", "a.log": "-\n", ".dockerignore": "*.log\n"}.items():
        (context / name).write_text(text, encoding="utf-8")
    os.environ["DOCKERSIM_HOME"] = str(folder / "root")
    os.chdir(context)
    before = ("build --check .", "plan .", "context .", "build -t mine .", "plan .", "images", "history mine")
    shipped = (
        "login -u learner -p secret",
        "tag mine learner/mine:1",
        "push learner/mine:1",
        "rmi mine learner/mine:1",
    )
    after = ("pull learner/mine:1", "inspect learner/mine:1", "save -o mine.tar learner/mine:1", "load -i mine.tar")
    for line in (*before, *shipped, *after, "ps -a", "info", "version"):
        say(line)
    tell_replay(context)
    (context / "Dockerfile").write_text("FROM learner/mine:1\nRUN echo never\n", encoding="utf-8")
    for line in ("plan .", "build .", "run learner/mine:1", "base add dockersim/starter:shell", "image prune -a -f"):
        say(line)
    say("registry stop")


def say(line: str) -> None:
    """Run one command."""
    print(f"$ dockersim {line}", flush=True)
    code = main(line.split(), prog_name="dockersim", standalone_mode=False)
    print(f"= {code}", flush=True)


def tell_replay(context: Path) -> None:
    """Record a build, and replay it with nothing but the document."""
    engine = Engine(context.parent / "root")
    build = engine.build(context)
    build.finish()
    replayed = replay(json.dumps(engine.trace(build)))
    replayed.finish()
    print("$ replay", *(f"{step.line}:{step.keyword}" for step in replayed.steps))
    print("= 0")
    engine.close()


if __name__ == "__main__":
    sys.stderr = sys.stdout
    tell(Path(sys.argv[1]))
