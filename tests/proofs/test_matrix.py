"""What works on which machine: each row of the README's table, really done."""

from __future__ import annotations

import os
import re

import pytest

from tests.deviations import README
from tests.matrix import ROWS, WORKS, cells, row
from tests.peers import needs

# What is said where no command can be run, after BuildKit's words about the step.
REFUSED = re.compile(r"(ERROR|demo): .*commands cannot be run on this machine: .*; run 'dockersim info' to see why.*")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up what the others lack")
@needs("proot", "npm", "busybox", "mmdebstrap")
@pytest.mark.parametrize("profile", ROWS)
def test_it_works_or_says_in_one_line_why_not(profile: str) -> None:
    found = cells(profile)
    assert all(text == WORKS or REFUSED.fullmatch(text) for text in found.values()), found
    assert row(profile, found) in README.read_text(), "run python -m tests.matrix --write"
