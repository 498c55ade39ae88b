"""Who has the image that FROM names: the sources in their order, and one plain line when nobody does.

The order is the engine's to give: the local store; what is made from this machine; the practice registry; the
registry that the name says. This module knows no network: a source is asked, and answers with an image, with
None ("no such image here"), or with a RegistryError ("cannot be asked").
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from dockersim.errors import AccessDenied, ImageNotFound, RegistryError
from dockersim.oci import DOCKER_HUB, Reference

ImageT_co = TypeVar("ImageT_co", covariant=True)

STAND_IN_LABEL = "org.dockersim.stand-in"
"""The label of an image that is not the one its name promises; its value says what it is."""

TITLE_LABEL = "org.opencontainers.image.title"
"""The label with the name that a base was made under."""

CONNECT_SECONDS = 3.0
"""How long the practice registry, which need not have the image, may take to accept a connection of FROM."""

REMEMBERED_SECONDS = 60.0
"""How long a registry that was out of reach is not asked again, so that not every build waits for it."""


class ImageSource(Protocol[ImageT_co]):
    """One place that may have an image."""

    @property
    def name(self) -> str:
        """How a learner calls it: "the local store", "the practice registry", "Docker Hub"."""

    def find(self, reference: Reference) -> ImageT_co | None:
        """Return the image, None if there is none of that name. Raises RegistryError if it cannot be asked."""


class Resolution(Struct, Generic[ImageT_co], frozen=True):
    """The image, the name of the source that had it, and what the learner should know about that."""

    image: ImageT_co
    answered_by: str
    notes: tuple[str, ...] = ()


def resolve(
    reference: Reference, sources: Sequence[ImageSource[ImageT_co]], *, hint: str = ""
) -> Resolution[ImageT_co]:
    """Ask ``sources`` in order; the first that has ``reference`` answers.

    A source that cannot be asked is passed over, with a note. When nobody has the image, ImageNotFound tells what
    those sources said and what the last one did, which is the registry that the name means; ``hint`` is what to do.
    """
    unasked: list[str] = []
    answer = "nobody has it"
    for source in sources:
        try:
            image = source.find(reference)
        except AccessDenied as error:
            unasked.append(answer := f"{source.name} does not give it ({error.message})")
        except RegistryError as error:
            unasked.append(answer := f"{source.name} cannot be reached ({error.message})")
        else:
            if image is not None:
                return Resolution(image, source.name, tuple(unasked))
            answer = f"{source.name} has no such image"
    # That the first ones have it not is no news; but whoever could not be asked may have it.
    said = "; ".join(dict.fromkeys([*unasked, answer]))
    raise ImageNotFound(f"{reference.familiar()} cannot be had: {said}", hint=hint)


def stand_in_note(labels: Mapping[str, str]) -> str | None:
    """Tell from an image's labels that it is a stand-in, in words for the step; None if it is not."""
    said = labels.get(STAND_IN_LABEL)
    return f"a stand-in: {said}" if said else None


def registry_title(registry: str) -> str:
    """Return how a learner calls a registry.

    >>> registry_title("docker.io"), registry_title("ghcr.io")
    ('Docker Hub', 'ghcr.io')
    """
    return "Docker Hub" if registry == DOCKER_HUB else registry


class Unreachable(Protocol):
    """A memory of the registries that are out of reach."""

    def reason(self, registry: str) -> str | None:
        """Return why ``registry`` is remembered to be out of reach, else None."""

    def remember(self, registry: str, reason: str) -> None:
        """Note that ``registry`` is out of reach now."""


class UnreachableRegistries:
    """Remembers for a minute which registries were out of reach, on disk: each build is a process of its own.

    ``path`` is a small JSON file, ``clock`` tells the time in seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock

    def reason(self, registry: str) -> str | None:
        """Return why ``registry`` was out of reach within the last minute, else None."""
        known = self._read().get(registry)
        if known is None:
            return None
        since, reason = known
        age = self._clock() - since
        return f"{reason}; tried {age:.0f} seconds ago" if 0 <= age < REMEMBERED_SECONDS else None

    def remember(self, registry: str, reason: str) -> None:
        """Note that ``registry`` is out of reach now."""
        self._write(self._read() | {registry: (self._clock(), reason)})

    def forget(self, registry: str) -> None:
        """Note that ``registry`` answers. Repeatable."""
        known = self._read()
        if known.pop(registry, None) is not None:
            self._write(known)

    def _read(self) -> dict[str, tuple[float, str]]:
        try:
            known = json.loads(self._path.read_text())
            return {str(name): (float(since), str(reason)) for name, (since, reason) in known.items()}
        except (OSError, ValueError, TypeError, AttributeError):  # no file yet, or one that was damaged
            return {}

    def _write(self, known: Mapping[str, tuple[float, str]]) -> None:
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            fresh.write_text(json.dumps(known))
            fresh.replace(self._path)
        except OSError:  # then the next build asks again: slower, not wrong
            return


class UnreachableNow:
    """Remembers which registries were out of reach for as long as it lives: a build, say."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def reason(self, registry: str) -> str | None:
        """Return why ``registry`` was out of reach, else None."""
        return self._known.get(registry)

    def remember(self, registry: str, reason: str) -> None:
        """Note that ``registry`` is out of reach."""
        self._known[registry] = reason


class AskedOnce(Generic[ImageT_co]):
    """A registry as a source that is not asked again while it is remembered to be out of reach."""

    def __init__(self, source: ImageSource[ImageT_co], registry: str, unreachable: Unreachable) -> None:
        self._source = source
        self._registry = registry
        self._unreachable = unreachable

    @property
    def name(self) -> str:
        """The name of the source that is asked."""
        return self._source.name

    def find(self, reference: Reference) -> ImageT_co | None:
        """Ask, unless it is known that there is no answer."""
        reason = self._unreachable.reason(self._registry)
        if reason is not None:
            raise RegistryError(reason)
        try:
            image = self._source.find(reference)
        except AccessDenied:
            raise
        except RegistryError as error:
            self._unreachable.remember(self._registry, error.message)
            raise
        return image
