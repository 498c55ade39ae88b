"""What holds for every committed lesson: it reads well without a kernel, and shows nothing of the machine it ran on."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest

from .refresh import KERNEL, LESSONS, clean, notebooks

IGNORED = "nbval-ignore-output"
LINES_IN_A_CELL = 12
MACHINE = re.compile(r"(?<![\w./])/(?:root|home|tmp|work|opt|Users|var/tmp)/[\w.-]+")
"""An absolute path of the machine that ran the lesson; in a container there is no such folder with anything in it."""


@pytest.fixture(params=notebooks(), ids=lambda path: path.stem)
def lesson(request: pytest.FixtureRequest) -> Any:
    return nbformat.read(request.param, as_version=4)


def code(lesson: Any) -> list[Any]:
    return [cell for cell in lesson.cells if cell.cell_type == "code"]


def texts(cell: Any) -> str:
    """Give everything that a reader of a cell's outputs sees."""
    return "\n".join(
        str(output.get("text", "")) + "\n".join(map(str, output.get("data", {}).values()))
        for output in cell.get("outputs", ())
    )


def test_there_is_a_lesson() -> None:
    assert notebooks()


def test_it_is_a_valid_notebook(lesson: Any) -> None:
    nbformat.validate(lesson)


def test_cells_were_run_from_top_to_bottom(lesson: Any) -> None:
    assert [cell.execution_count for cell in code(lesson)] == list(range(1, len(code(lesson)) + 1))


def test_no_cell_is_long(lesson: Any) -> None:
    long = {cell.id: cell.source.count("\n") + 1 for cell in code(lesson)}
    assert {name: lines for name, lines in long.items() if lines > LINES_IN_A_CELL} == {}


def test_no_cell_failed(lesson: Any) -> None:
    for cell in code(lesson):
        assert all(output.output_type != "error" for output in cell.outputs), cell.source
        assert "Traceback" not in texts(cell), cell.source


def test_no_path_of_the_machine_is_shown(lesson: Any) -> None:
    for cell in lesson.cells:
        assert MACHINE.findall(cell.source + texts(cell)) == [], cell.source


def test_outputs_that_are_not_compared_are_followed_by_an_assertion(lesson: Any) -> None:
    """What varies from machine to machine is still checked: by the next code cells, before the next heading."""
    waiting: list[str] = []
    for cell in lesson.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            assert waiting == [], "no assertion in this part checks what was not compared"
        elif cell.cell_type == "code" and IGNORED in cell.metadata.get("tags", ()):
            waiting.append(cell.source)
        elif cell.cell_type == "code" and ("assert " in cell.source or cell.outputs):
            waiting.clear()


def test_what_is_not_compared_shows_something(lesson: Any) -> None:
    for cell in code(lesson):
        if IGNORED in cell.metadata.get("tags", ()):
            assert texts(cell).strip(), cell.source


def test_cells_that_print_have_outputs(lesson: Any) -> None:
    for cell in code(lesson):
        if "print(" in cell.source and "def " not in cell.source:
            assert texts(cell).strip(), cell.source


def test_it_is_clean(lesson: Any) -> None:
    before = json.dumps(lesson, sort_keys=True)
    clean(lesson)
    assert json.dumps(lesson, sort_keys=True) == before, "run python -m tests.lessons.refresh"
    assert lesson.metadata == {"kernelspec": KERNEL}


def test_it_has_objectives_a_summary_and_exercises_with_hidden_solutions(lesson: Any) -> None:
    prose = [cell.source for cell in lesson.cells if cell.cell_type == "markdown"]
    assert prose[0].startswith("# ") and "Afterwards you can" in prose[0]
    assert any("|---|" in text and "What you have seen" in text for text in prose)
    exercises = next(text for text in prose if text.startswith("## Exercises"))
    assert exercises.count("<details>") == exercises.count("</details>") == 3


def test_headings_go_down_one_at_a_time(lesson: Any) -> None:
    levels = [len(mark) for cell in lesson.cells for mark in re.findall(r"^(#+) ", prose_of(cell), re.M)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_links_to_files_lead_somewhere(lesson: Any) -> None:
    for cell in lesson.cells:
        for link in re.findall(r"\]\(((?!https?:)[^)]+)\)", prose_of(cell)):
            assert (LESSONS / link).exists(), link


def prose_of(cell: Any) -> str:
    """Give a Markdown cell's text without its code blocks; "" for other cells."""
    return re.sub(r"^```.*?^```", "", cell.source, flags=re.M | re.S) if cell.cell_type == "markdown" else ""


@pytest.mark.parametrize("command", ["build", "images", "run", "login", "tag", "push", "pull", "history"])
def test_the_first_lesson_uses_every_command_of_the_tutorial(command: str) -> None:
    first = nbformat.read(notebooks()[0], as_version=4)
    assert any(re.search(rf"^%%?docker {command}\b", cell.source, re.M) for cell in code(first))


def test_the_readme_lists_every_lesson() -> None:
    listed = re.findall(r"\]\(([^)]+\.ipynb)\)", (LESSONS / "README.md").read_text(encoding="utf-8"))
    assert listed == [path.name for path in notebooks()]


def test_the_app_is_the_tutorials() -> None:
    assert (LESSONS / "flask-app" / "Dockerfile").read_text(encoding="utf-8") in tutorial() or not TUTORIAL.exists()


TUTORIAL = Path(__file__).parents[3] / "shared" / "tutorial.md"


def tutorial() -> str:
    return TUTORIAL.read_text(encoding="utf-8") if TUTORIAL.exists() else ""
