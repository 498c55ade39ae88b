"""The exercises' solutions are true: each is done as its text tells, and the Dockerfiles are taken from the text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from dockersim.errors import DockersimError
from dockersim.jupyter import Scratch, scratch

from .refresh import notebooks


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scratch]:
    monkeypatch.setenv("DOCKERSIM_HOME", "")
    monkeypatch.chdir(tmp_path)
    lesson = scratch(within=tmp_path)
    try:
        lesson.engine.store.sandbox  # noqa: B018 - opening it is the question
    except DockersimError as error:
        pytest.skip(f"no command can be run on this machine: {error}")
    yield lesson
    os.chdir("/")
    assert lesson.clean_up()


def dockerfiles() -> list[str]:
    """Give the Dockerfiles in the text of the first lesson's exercises, in their order."""
    first = nbformat.read(notebooks()[0], as_version=4)
    exercises = next(cell.source for cell in first.cells if cell.source.startswith("## Exercises"))
    return re.findall(r"^```dockerfile\n(.*?)^```", exercises, re.M | re.S)


def test_without_dockerignore_a_comment_in_the_dockerfile_costs_the_cache(lesson: Scratch) -> None:
    file, lines = Path("Dockerfile"), "FROM dockersim/starter:shell\nCOPY . /app\n"
    for ignoring, cached in ((True, True), (False, False)):
        if not ignoring:
            Path(".dockerignore").unlink()
        file.write_text(lines)
        lesson.engine.build(".").finish()
        file.write_text(lines + "# a comment\n")
        build = lesson.engine.build(".")
        build.finish()
        assert build.step is not None and build.step.cached is cached
    assert build.step.cache.because.startswith("Dockerfile changed")


def test_a_deleted_secret_is_still_in_the_image(lesson: Scratch) -> None:
    build = lesson.engine.build(".", text=dockerfiles()[0])
    build.finish()
    assert not build.steps[2].files.exists("/secret")
    assert build.steps[1].files.text("/secret") == "my-password\n"
    assert build.steps[1].layers[-1] in build.steps[2].layers


def test_a_virtual_environment_is_not_concerned_by_the_mark(lesson: Scratch) -> None:
    mark = """RUN touch "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')/EXTERNALLY-MANAGED"\n"""
    before = f"FROM dockersim/starter:python\n{mark}WORKDIR /app\nCOPY . /app\n"
    build = lesson.engine.build(".", text=before + dockerfiles()[1])
    build.finish()
    assert build.step is not None
    said = build.step.run("/venv/bin/python -c 'import app; print(app.app.test_client().get(\"/\").text)'")
    assert "Hello from a container!" in said.output
    assert build.step.run("python3 -c 'import flask'").exit_code == 1
