"""Finds the recorded cases of the real tools, which lie beside the project and are not copied into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2].parent / "shared" / "conformance"


def cases(file: str, *kinds: str) -> Any:
    """Parametrise a test with the cases of these kinds; skip it, visibly, where the folder is not there."""
    path = FOLDER / file
    if not path.exists():
        return pytest.mark.parametrize("case", [pytest.param({}, marks=pytest.mark.skip(f"no {path}"))])
    found = [case for case in json.loads(path.read_text("utf-8"))["cases"] if case["kind"] in kinds]
    assert found, kinds
    return pytest.mark.parametrize("case", found, ids=[case["name"] for case in found])


def kinds(file: str) -> set[str]:
    """Every kind of case in a file; empty where the folder is not there."""
    path = FOLDER / file
    return {case["kind"] for case in json.loads(path.read_text("utf-8"))["cases"]} if path.exists() else set()
