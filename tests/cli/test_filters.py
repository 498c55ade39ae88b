"""``--filter``: what each condition means, and what is no condition."""

from __future__ import annotations

import time

import pytest

from dockersim.cli.filters import IMAGES, PRUNED, before, labelled, read_filters, read_moment
from dockersim.errors import DockersimError


def test_conditions_by_key() -> None:
    assert read_filters(["label=a=b", "LABEL = c", "until=1h"], PRUNED) == {"label": ["a=b", "c"], "until": ["1h"]}
    assert read_filters([], IMAGES) == {}


@pytest.mark.parametrize(
    ("conditions", "passes"),
    [
        ([], True),
        (["label=a"], True),
        (["label=a=1"], True),
        (["label=a="], False),
        (["label=a=2"], False),
        (["label=b"], False),
        (["label=a", "label=c=x=y"], True),
        (["label=a", "label=b"], False),
        (["label!=a"], False),
        (["label!=a=2"], True),
        (["label!=b", "label=a"], True),
    ],
)
def test_labels(conditions: list[str], passes: bool) -> None:
    assert labelled(read_filters(conditions, PRUNED), {"a": "1", "c": "x=y"}) is passes


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0", 0.0),
        ("1700000000", 1.7e9),
        ("1700000000.25", 1_700_000_000.25),
        ("2023-11-14T22:13:20Z", 1.7e9),
        ("2023-11-14T23:13:20.000000001+01:00", 1.7e9),
    ],
)
def test_moments(text: str, moment: float) -> None:
    assert read_moment(text) == moment


@pytest.mark.parametrize(("text", "seconds"), [("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("0s", 0), ("90s", 90)])
def test_how_long_ago(text: str, seconds: float) -> None:
    first = time.time()
    found = read_moment(text) + seconds
    assert first <= found <= time.time() + 1e-3


def test_the_earliest_moment_counts() -> None:
    assert before(read_filters(["until=100", "until=50"], PRUNED)) == 50.0
    assert before({}) == float("inf")


@pytest.mark.parametrize("text", ["soon", "", "1x", "h", "2023-99-01", "-5m"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(DockersimError, match="failed to parse value as time or duration"):
        read_moment(text)
