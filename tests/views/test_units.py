"""Sizes and times, against what docker's go-units says (its own size_test.go and duration_test.go)."""

from __future__ import annotations

import pytest

from dockersim.views import human_duration, human_size, human_time

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("size", "four", "three"),
    [
        (0, "0B", "0B"),
        (999, "999B", "999B"),
        (1000, "1kB", "1kB"),
        (1024, "1.024kB", "1.02kB"),
        (1_000_000, "1MB", "1MB"),
        (1_048_576, "1.049MB", "1.05MB"),
        (2_000_000, "2MB", "2MB"),
        (3.42 * 1000**3, "3.42GB", "3.42GB"),
        (5.372 * 1000**4, "5.372TB", "5.37TB"),
        (2.22 * 1000**5, "2.22PB", "2.22PB"),
        (119_871_232, "119.9MB", "120MB"),
        (999_600, "999.6kB", "1e+03kB"),
    ],
)
def test_sizes(size: float, four: str, three: str) -> None:
    assert (human_size(size, 4), human_size(size)) == (four, three)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.45, "Less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (46, "46 seconds"),
        (59, "59 seconds"),
        (MINUTE, "About a minute"),
        (90, "About a minute"),
        (3 * MINUTE, "3 minutes"),
        (35 * MINUTE + 40, "35 minutes"),
        (45 * MINUTE, "45 minutes"),
        (59 * MINUTE, "59 minutes"),
        (HOUR, "About an hour"),
        (HOUR + 29 * MINUTE, "About an hour"),
        (HOUR + 31 * MINUTE, "2 hours"),
        (3 * HOUR, "3 hours"),
        (3 * HOUR + 29 * MINUTE, "3 hours"),
        (3 * HOUR + 31 * MINUTE, "4 hours"),
        (24 * HOUR, "24 hours"),
        (36 * HOUR, "36 hours"),
        (2 * DAY, "2 days"),
        (7 * DAY, "7 days"),
        (13 * DAY + 5 * HOUR, "13 days"),
        (2 * 7 * DAY, "2 weeks"),
        (3 * 30 * DAY, "3 months"),
        (5 * 7 * DAY, "5 weeks"),
        (2 * 365 * DAY - DAY, "24 months"),
        (2 * 365 * DAY, "2 years"),
        (3 * 365 * DAY + 60 * DAY, "3 years"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words
    assert human_time(seconds) == f"{words} ago"
