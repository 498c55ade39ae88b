"""Numbers as docker writes them: sizes in decimal units, times in round words.

The real thing is github.com/docker/go-units: ``HumanSizeWithPrecision`` (size.go) and ``HumanDuration``
(duration.go).

>>> human_size(119_871_232), human_size(1234), human_size(0)
('120MB', '1.23kB', '0B')
>>> human_time(90), human_time(3700), human_time(86400 * 3)
('About a minute ago', 'About an hour ago', '3 days ago')
"""

from __future__ import annotations

from typing import Final

from dockersim.sizes import human_size as human_size

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 24
"""Hours, as go-units counts from here on in hours."""


def human_duration(seconds: float) -> str:
    """Write a length of time in words, as docker's STATUS and CREATED columns do."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < _MINUTE:
        return f"{whole} seconds"
    minutes = int(seconds / _MINUTE)
    if minutes == 1:
        return "About a minute"
    if minutes < _MINUTE:
        return f"{minutes} minutes"
    return _long(int(seconds / _HOUR + 0.5), int(seconds / _HOUR))


def human_time(seconds: float) -> str:
    """Write how long ago something was: "5 minutes ago"."""
    return f"{human_duration(seconds)} ago"


def seconds_words(seconds: float) -> str:
    """Write a step's duration as BuildKit's progress does: "0.4s"."""
    return f"{seconds:.1f}s"


def _long(rounded: int, hours: int) -> str:
    """Write a length from an hour on; go-units rounds the hours, but years are counted from whole ones."""
    if rounded == 1:
        return "About an hour"
    for limit, divisor, word in (
        (48, 1, "hours"),
        (_DAY * 7 * 2, _DAY, "days"),
        (_DAY * 30 * 2, _DAY * 7, "weeks"),
        (_DAY * 365 * 2, _DAY * 30, "months"),
    ):
        if rounded < limit:
            return f"{rounded // divisor} {word}"
    return f"{hours // _DAY // 365} years"
