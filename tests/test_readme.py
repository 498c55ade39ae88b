"""The README is true: its two commands, its table of deviations, its figures and its links."""

from __future__ import annotations

import re

import pytest

from tests.deviations import README, ROOT, deviations, written
from tests.engine.test_oracle import NOT_YET
from tests.fidelity import ORACLE, cases


def test_the_first_two_blocks_are_the_two_commands() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    assert "dockersim demo" in blocks[0] and "pytest" in blocks[1]


def test_the_table_of_deviations_is_what_the_code_says() -> None:
    assert README.read_text() == written(README.read_text()), "run python -m tests.deviations --write"
    assert all(text.endswith(".") for _, text in deviations()), "a deviation is told in whole sentences"


def test_the_figure_of_recorded_builds_is_the_tests() -> None:
    if not ORACLE.exists():
        pytest.skip("../shared/conformance is not here")
    named = {name for names in NOT_YET.values() for name in names}
    recorded = [one["case"] for one in cases()]
    met = [one for one in recorded if one["name"] not in named]
    said = re.search(r"Of (\d+) whole builds that were recorded from BuildKit, (\d+) agree", README.read_text())
    assert said is not None and (int(said[1]), int(said[2])) == (len(recorded), len(met))


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!https?:)[^)]+)\)", README.read_text()))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
