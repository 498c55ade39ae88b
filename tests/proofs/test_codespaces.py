"""What Codespaces reads: the container, what is installed into it, what is opened.

The file is valid by containers.dev's schema (devcontainers/spec, ``schemas/devContainer.base.schema.json``).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dockersim.containers import Publish

ROOT = Path(__file__).parents[2]


@pytest.fixture
def described() -> dict[str, Any]:
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text()
    found: dict[str, Any] = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    return found


def test_the_lessons_are_opened(described: dict[str, Any]) -> None:
    opened = described["customizations"]["codespaces"]["openFiles"]
    assert opened and all((ROOT / name).is_file() for name in opened)


def test_it_installs_the_systems_packages_that_binder_does(described: dict[str, Any]) -> None:
    lines = (ROOT / "binder" / "apt.txt").read_text().splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert described["onCreateCommand"].endswith(f"--no-install-recommends {' '.join(packages)}")


def test_the_ports_of_the_readme_and_the_lessons_are_forwarded(described: dict[str, Any]) -> None:
    texts = [ROOT / "README.md", *(ROOT / "lessons").glob("*.ipynb")]
    shown = {match for text in texts for match in re.findall(r"-p (\d+:\d+)", text.read_text(encoding="utf-8"))}
    assert {Publish.parse(one).host_port for one in shown} <= set(described["forwardPorts"])
    assert {str(port) for port in described["forwardPorts"]} <= described["portsAttributes"].keys()
