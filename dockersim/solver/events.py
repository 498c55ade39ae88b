"""What happened: the events that the solver yields, in the past tense, each as a frozen value.

They carry everything a view needs, so that the terminal, the widget and the trace show the same build.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from dockersim.digest import DiffID
from dockersim.oci import ImageConfig
from dockersim.solver.key import CacheKey, Difference
from dockersim.solver.plan import Plan, StepPlan
from dockersim.solver.requests import ImageCommitted, StepResult


class Verdict(Enum):
    """What the cache had to say about a step. The values are the words of the trace document."""

    HIT = "hit"
    MISS = "miss"
    UNKNOWN = "unknown"
    """Only when predicting: it depends on files that another stage has yet to make."""
    DISABLED = "disabled"
    """--no-cache, or --no-cache-filter with the name of the stage."""
    NOT_NEEDED = "not-needed"
    """The instruction only changes the config (or is FROM): there is nothing to run, so nothing to look up."""


class State(Enum):
    """How a step ended. The values are the words of the trace document."""

    DONE = "done"
    CACHED = "cached"
    ERROR = "error"
    NOT_RUN = "not-run"


class CacheDecision(Struct, frozen=True):
    """The cache's verdict on one step, in words (``because``) and in fields.

    ``compared_with`` is the digest of the earlier step's key that a miss was compared with, ``differences`` are the
    fields in which they differ.
    """

    verdict: Verdict
    because: str
    key: CacheKey | None = None
    compared_with: str = ""
    differences: tuple[Difference, ...] = ()


class PlanMade(Struct, frozen=True):
    """The Dockerfile was read and every step is known."""

    plan: Plan


class StepStarted(Struct, frozen=True):
    """A step was begun."""

    step: StepPlan


class CacheDecided(Struct, frozen=True):
    """The cache was asked about a step."""

    step: StepPlan
    decision: CacheDecision


class OutputWritten(Struct, frozen=True):
    """The command of a step wrote something; ``stream`` is "stdout" or "stderr"."""

    step: StepPlan
    stream: str
    text: str


class ImageAwaited(Struct, frozen=True):
    """Something is being done to get an image: it is pulled, or made; ``text`` is one line of progress."""

    reference: str
    text: str


class SourceAwaited(Struct, frozen=True):
    """A context is being fetched; ``vertex`` is BuildKit's name for that, ``text`` a line of progress, if any."""

    vertex: str
    text: str = ""


class CacheMoved(Struct, frozen=True):
    """A cache is being imported or exported; ``title`` is BuildKit's name for it, ``text`` one line of progress."""

    title: str
    text: str


class StepFinished(Struct, frozen=True):
    """A step was ended, well or not.

    ``layers`` and ``image_size`` (bytes) are those of the stage after the step; ``error`` is the message of a failure.
    """

    step: StepPlan
    state: State
    decision: CacheDecision
    result: StepResult
    layers: tuple[DiffID, ...]
    image_size: int
    error: str = ""


class BuildFinished(Struct, frozen=True):
    """The build was ended; ``image`` is None if it failed, was only predicted, or has yet to be committed."""

    ok: bool
    config: ImageConfig | None = None
    layers: tuple[DiffID, ...] = ()
    image: ImageCommitted | None = None


Event: TypeAlias = (
    ImageAwaited
    | SourceAwaited
    | CacheMoved
    | PlanMade
    | StepStarted
    | CacheDecided
    | OutputWritten
    | StepFinished
    | BuildFinished
)
