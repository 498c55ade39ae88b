"""Whole builds against what BuildKit recorded; every case of oracle.json, those not met yet by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.ordinary_user import expect
from tests.fidelity import ORACLE, Fidelity, cases
from tests.outside import FidelityOutside

NOT_YET: dict[str, set[str]] = {}
"""Cases that are not met, by reason. Each must really fail: one that passes has to be taken out."""


def _recorded() -> list[Any]:
    return cases() if ORACLE.exists() else []


@pytest.fixture(scope="module")
def fidelity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fidelity]:
    yield Fidelity(tmp_path_factory.mktemp("fidelity"))


def reason(case: dict[str, Any]) -> str:
    """Say why a case is not met yet; empty where it is."""
    return next((why for why, names in NOT_YET.items() if case["name"] in names), "")


@pytest.mark.skipif(not ORACLE.exists(), reason="../shared/conformance is not here")
@pytest.mark.parametrize("recorded", _recorded(), ids=lambda one: one["case"]["name"])
def test_build_is_what_buildkit_recorded(recorded: dict[str, Any], fidelity: Fidelity) -> None:
    outcome = fidelity.run(recorded)
    if reason(recorded["case"]):
        assert not outcome.passed, f"{outcome.name} passes now: take it out of NOT_YET"
    else:
        expect(outcome.name, outcome.differences, fidelity.sandbox)


def test_the_oracle_script_finds_differences(fidelity: Fidelity) -> None:
    """A comparison that cannot fail would prove nothing: a falsified recording must be found out."""
    if not ORACLE.exists():
        pytest.skip("../shared/conformance is not here")
    recorded = next(one for one in cases() if one["case"]["name"] == "copy-replace-file")
    falsified = {**recorded, "expected": {**recorded["expected"], "config": {"Env": ["PATH=/elsewhere"]}}}
    assert any(text.startswith("config") for text in fidelity.run(falsified).differences)


OUTSIDE = (
    "copy-hardlinks", "run-delete-dir", "heredoc-run-interpreter", "mount-secret-target-mode", "label-override",
    "cache-stage-shared-steps", "stage-target-missing", "run-multiline-error-lines",
)  # fmt: skip
"""One case of each kind, from outside as well; ``python -m tests.fidelity`` runs all in this way."""


@pytest.mark.skipif(not ORACLE.exists(), reason="../shared/conformance is not here")
def test_the_command_line_says_the_same(tmp_path: Path) -> None:
    chosen = [one for one in cases() if one["case"]["name"] in OUTSIDE]
    assert len(chosen) == len(OUTSIDE)
    fidelity = FidelityOutside(tmp_path)
    for recorded in chosen:
        outcome = fidelity.run(recorded)
        expect(outcome.name, outcome.differences, fidelity.sandbox)
