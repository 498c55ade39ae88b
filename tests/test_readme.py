"""The README is true: its two commands, its table of deviations, its figures and its links."""

from __future__ import annotations

import re

import pytest

from tests import conformance
from tests.deviations import README, ROOT, deviations, written
from tests.fidelity import ORACLE


def test_the_first_two_blocks_are_the_two_commands() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    assert "dockersim demo" in blocks[0] and "pytest" in blocks[1]


def test_the_table_of_deviations_is_what_the_code_says() -> None:
    assert README.read_text() == written(README.read_text()), "run python -m tests.deviations --write"
    assert all(text.endswith(".") for _, text in deviations()), "a deviation is told in whole sentences"


def test_the_table_of_recorded_cases_is_what_the_tests_say() -> None:
    if not ORACLE.exists():
        pytest.skip("../shared/conformance is not here")
    found = conformance.findings(quick=True)
    assert README.read_text() == conformance.written(README.read_text(), found), (
        "run python -m tests.conformance --write"
    )


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!https?:)[^)]+)\)", README.read_text()))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
