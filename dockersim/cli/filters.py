"""``--filter``: what the conditions of docker's listing and pruning commands mean.

The real thing is moby's ``daemon/images/images.go`` and ``daemon/prune.go``, and for the build cache
``toBuildkitPruneInfo`` in ``daemon/internal/builder-next/builder.go``. Conditions of different keys must all
hold; of several references one must, of several labels all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from dockersim.dockerfile.gotext import parse_duration
from dockersim.engine.cached import Cached
from dockersim.errors import DockersimError
from dockersim.images import Image, ImageStore
from dockersim.images.image import moment
from dockersim.oci import Reference

Filters = Mapping[str, list[str]]
"""The conditions by key."""

IMAGES: Final = ("dangling", "label", "before", "since", "reference", "until")
PRUNED: Final = ("until", "label", "label!")
# Deviation: docker's builder prune also takes the filters inuse=, shared=, private=, parent= and description=, by which
# it never finds a thing, and label=, which it overlooks; here they are refused.
CACHE: Final = ("until", "unused-for", "id", "type")
_WORDS: Final = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d*)?(?:h|m|s|ms|us|µs|ns))+")
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def read_filters(words: Iterable[str], known: Collection[str]) -> Filters:
    """Read ``KEY=VALUE`` words. Raises DockersimError, in docker's words, for a key that is not known."""
    found: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise DockersimError(f'invalid filter "{word}": bad format of filter (expected name=value)')
        key = key.strip().lower()
        if key not in known:
            raise DockersimError(f"invalid filter '{key}'", hint=f"there are {', '.join(f'{one}=' for one in known)}")
        found.setdefault(key, []).append(value.strip())
    return found


def choose_images(store: ImageStore, filters: Filters) -> list[Image]:
    """List the images that pass. Raises DockersimError for a bad value, ImageNotFound.

    Of the names of an image those are left that ``reference=`` fits. One that is known by digest alone passes
    ``dangling=`` either way, as in docker.
    """
    found: Iterable[Image] = store.list()
    if patterns := filters.get("reference"):
        fitting = [_fitting(image, patterns) for image in found]
        found = [image for image in fitting if image.names or image.digests]
    if values := filters.get("dangling"):
        wanted = _truth("dangling", values)
        found = [image for image in found if (image.dangling if wanted else image.names or image.digests)]
    for name in filters.get("before", ()):
        limit = moment(store.get(name).created)
        found = [image for image in found if moment(image.created) < limit]
    for name in filters.get("since", ()):
        limit = moment(store.get(name).created)
        found = [image for image in found if moment(image.created) > limit]
    limit = before(filters)
    return [image for image in found if moment(image.created) < limit and labelled(filters, image.config.config.labels)]


def _fitting(image: Image, patterns: list[str]) -> Image:
    """Leave an image those of its names that one of the patterns fits."""

    def chosen(names: tuple[Reference, ...]) -> tuple[Reference, ...]:
        return tuple(name for name in names if any(name.matches(one) for one in patterns))

    return replace(image, names=chosen(image.names), digests=chosen(image.digests))


def labelled(filters: Filters, labels: Mapping[str, str]) -> bool:
    """Say whether something with these labels passes ``label=`` and ``label!=``."""
    return all(_has(labels, one) for one in filters.get("label", ())) and not any(
        _has(labels, one) for one in filters.get("label!", ())
    )


def before(filters: Filters) -> float:
    """Give the moment before which things must have been made, in seconds since 1970; infinity for no ``until=``."""
    return min(map(read_moment, filters.get("until", ())), default=float("inf"))


def unused_since(limit: float) -> Callable[[Cached], bool]:
    """Choose what was last used before that moment, in seconds since 1970; what has no time is not chosen."""
    return lambda one: one.used is not None and one.used < limit


def choose_cache(filters: Filters) -> Callable[[Cached], bool] | None:
    """Choose what passes of the build cache; None for no conditions. Raises DockersimError for a bad value."""
    if "until" in filters and "unused-for" in filters:
        raise DockersimError('conflicting filters: "until" and "unused-for"')
    if any(len(values) > 1 for values in filters.values()):
        raise DockersimError("filters expect only one value")
    conditions = [_of_cache(key, value) for key, (value,) in filters.items()]
    return (lambda one: all(passes(one) for passes in conditions)) if conditions else None


def _of_cache(key: str, value: str) -> Callable[[Cached], bool]:
    if key in ("until", "unused-for"):
        try:
            return unused_since(time.time() - parse_duration(value) / 1e9)
        except ValueError as error:
            raise DockersimError(f"\"{key}\" filter expects a duration (e.g., '24h'): {error}") from None
    if not value:
        raise DockersimError(f"invalid filter '{key}='", hint="give it a value")
    return lambda one: value in one.id if key == "id" else one.kind == value


def read_moment(text: str) -> float:
    """Read what ``until=`` takes: how long ago (``1h30m``), seconds since 1970, or a date (api/types/time).

    >>> read_moment("1970-01-02T00:00:00Z"), read_moment("86400.5")
    (86400.0, 86400.5)
    """
    if _DURATION.fullmatch(text):
        pieces = re.findall(r"([\d.]+)(h|ms|us|µs|ns|m|s)", text)
        return time.time() - sum(float(number) * _UNITS[unit] for number, unit in pieces)
    try:
        if re.fullmatch(r"\d+(\.\d*)?", text):
            return float(text)
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()
    except ValueError:
        raise DockersimError(
            f'failed to parse value as time or duration: "{text}"', hint="write it as 10m, 24h or 2024-01-31"
        ) from None


def _truth(key: str, values: list[str]) -> bool:
    found = {_WORDS.get(value.lower()) for value in values}
    if len(found) != 1 or None in found:
        raise DockersimError(f"invalid filter '{key}=[{' '.join(values)}]'", hint="write true or false")
    return found == {True}


def _has(labels: Mapping[str, str], condition: str) -> bool:
    name, equals, wanted = condition.partition("=")
    return name in labels and (not equals or labels[name] == wanted)
