"""The recorded cases of the real tools, which lie beside the project and are not copied into it.

A test of recorded cases is a function of one case under ``@cases(FILE, kinds...)``. pytest runs it for each case, and
so does ``python -m tests.conformance``, which counts them for the README.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

Case = dict[str, Any]
FOLDER = Path(__file__).resolve().parents[2] / "shared" / "conformance"


class Runner(NamedTuple):
    """A test, and which cases it is for."""

    takes: Callable[[Case], bool]
    test: Callable[[Case], None]


RUNNERS: dict[str, list[Runner]] = defaultdict(list)
"""Every test of recorded cases that was imported, by the name of the file of cases."""


def read(file: str) -> list[Case]:
    """Read the cases of one file; none where the folder is not there."""
    path = FOLDER / file
    if not path.exists():
        return []
    document = json.loads(path.read_text("utf-8"))
    found: list[Case] = document["cases"] if "cases" in document else document["rules"]
    return found


def cases(file: str, *kinds: str, having: str = "") -> Callable[[Callable[[Case], None]], Any]:
    """Make a test of the cases of these kinds, or of all, that have the key ``having``; skip it without the folder."""

    def takes(case: Case) -> bool:
        return (not kinds or case["kind"] in kinds) and (
            not having or having in case or having in case.get("observed", {})
        )

    def decorate(test: Callable[[Case], None]) -> Any:
        RUNNERS[file].append(Runner(takes, test))
        if not (FOLDER / file).exists():
            nothing = pytest.param({}, marks=pytest.mark.skip(f"no {FOLDER / file}"))
            return pytest.mark.parametrize("case", [nothing])(test)
        found = [case for case in read(file) if takes(case)]
        assert found, (file, kinds)
        return pytest.mark.parametrize("case", found, ids=[case["name"] for case in found])(test)

    return decorate


def kinds(file: str) -> set[str]:
    """Every kind of case in a file; empty where the folder is not there."""
    return {case["kind"] for case in read(file)}
