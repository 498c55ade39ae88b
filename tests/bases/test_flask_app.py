"""The example app is the tutorial's, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockersim.bases import CATALOGUE

PROJECT = Path(__file__).parents[2]
APP = PROJECT / "lessons" / "flask-app"
TUTORIAL = PROJECT.parent / "shared" / "tutorial.md"


def test_the_dockerfile_is_the_tutorials() -> None:
    if not TUTORIAL.exists():
        pytest.skip(f"{TUTORIAL} is not here")
    assert (APP / "Dockerfile").read_text() == TUTORIAL.read_text().split("```dockerfile\n")[1].split("```")[0]


def test_the_starter_dockerfile_differs_in_its_base_only() -> None:
    tutorial = (APP / "Dockerfile").read_text().splitlines()
    starter = (APP / "Dockerfile.starter").read_text().splitlines()
    assert [line for line in starter if line.startswith("FROM")] == ["FROM dockersim/starter:python"]
    assert "dockersim/starter:python" in {base.name for base in CATALOGUE}
    from_step_3 = [line.startswith("# Step 3") for line in tutorial].index(True)
    assert starter[-len(tutorial) + from_step_3 :] == tutorial[from_step_3:]
