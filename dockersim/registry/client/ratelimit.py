"""How often one may ask, and when again: what a registry says of its limit, in words.

Docker Hub tells of its limit with ``ratelimit-limit: 100;w=21600``, 100 pulls within six hours (docs.docker.com,
"Pull usage and limits"); when one may ask again stands in Retry-After, which may be seconds or a date (RFC 9110), or
in one of the headers that have grown around it.

>>> limit = read_limit({"ratelimit-limit": "100;w=21600", "retry-after": "90"}, now=1_700_000_000)
>>> limit.wait, limit.words()
(90, '100 pulls within 6 hours are allowed')
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from msgspec import Struct

_LONGEST = 30 * 24 * 3600
_EPOCH = 1_000_000_000
"""A number beyond this is not so many seconds from now but a time in seconds since 1970."""


class Limit(Struct, frozen=True):
    """``count`` requests within ``window`` seconds; the next one is good in ``wait`` seconds. 0: it is not said."""

    count: int = 0
    window: int = 0
    wait: int = 0

    def words(self) -> str:
        """Say what is allowed, "" if that is not known."""
        if not self.count:
            return ""
        return f"{self.count} pulls" + (f" within {length(self.window)}" if self.window else "") + " are allowed"

    def when(self, now: float) -> str:
        """Say when to try again: the time of day, and how long that is."""
        if self.wait:
            at = time.strftime("%H:%M", time.localtime(now + self.wait + 59))
            return f"try again in {length(self.wait)}, at {at}"
        return f"try again later, in {length(self.window)} at most" if self.window else "try again later"


def read_limit(headers: Mapping[str, str], now: float) -> Limit:
    """Read the headers of an answer, their names in lower case; ``now`` in seconds since 1970."""
    count, _, rest = headers.get("ratelimit-limit", headers.get("x-ratelimit-limit", "")).partition(";")
    window = rest.strip().removeprefix("w=")
    said = ("retry-after", "x-retry-after", "ratelimit-reset", "x-ratelimit-reset")
    waits = (_seconds(headers[name], now) for name in said if name in headers)
    return Limit(_number(count), min(_number(window), _LONGEST), next(filter(None, waits), 0))


def length(seconds: int) -> str:
    """Write how long something is, to the next whole unit.

    >>> length(1), length(30), length(90), length(21600)
    ('1 second', '30 seconds', '2 minutes', '6 hours')
    """
    for size, unit, most in ((1, "second", 59), (60, "minute", 59), (3600, "hour", 48)):
        number = -(-seconds // size)
        if number <= most:
            return f"{number} {unit}{'s' * (number != 1)}"
    return f"{-(-seconds // 86400)} days"


def _seconds(text: str, now: float) -> int:
    if text.strip().isdigit():
        number = _number(text)
        return max(0, min(number - int(now) if number > _EPOCH else number, _LONGEST))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter from a time zone that is years away
        return 0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, min(int(moment.timestamp() - now), _LONGEST))


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isdigit() and text.isascii() and len(text) < 16 else 0
