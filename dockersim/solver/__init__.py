"""The solver: from a Dockerfile to steps, without doing anything itself.

It plans a build (``lower``: BuildKit's dockerfile2llb), makes a cache key for each step (``key``: BuildKit's
solver and contenthash), and goes through the steps as a generator (``solve``) that yields what happened
(``Event``) and what it needs done (``Request``). Three drivers in ``dockersim.engine`` pump it: one does what is
asked, one only looks, one reads a recording.

The law of this package: no I/O, no clock, no chance. Sent the same outcomes it yields the same events.

>>> from dockersim.dockerfile import parse
>>> steps = solve(parse("FROM scratch\\nENV GREETING=hello"), BuildOptions())
>>> [type(next(steps)).__name__ for _ in range(4)]
['PlanMade', 'StepStarted', 'CacheDecided', 'StepFinished']
"""

from __future__ import annotations

from typing import TypeGuard, get_args

from dockersim.solver.contexts import NamedContext, named_contexts
from dockersim.solver.events import (
    BuildFinished,
    CacheDecided,
    CacheDecision,
    CacheMoved,
    Event,
    ImageAwaited,
    OutputWritten,
    PlanMade,
    SourceAwaited,
    State,
    StepFinished,
    StepStarted,
    Verdict,
)
from dockersim.solver.key import CacheKey, Difference, Input, differences
from dockersim.solver.names import url_file_name
from dockersim.solver.plan import (
    BuildOptions,
    ContextSource,
    CopyOp,
    FromOp,
    ImageSource,
    NamedSource,
    Op,
    Plan,
    RunMount,
    RunOp,
    Source,
    StagePlan,
    StageSource,
    StepPlan,
    VariableUse,
    WorkdirOp,
)
from dockersim.solver.requests import (
    CacheAnswer,
    CommitImage,
    DigestInputs,
    Execute,
    ImageCommitted,
    Inputs,
    LookUpCache,
    Outcome,
    Request,
    ResolvedImage,
    ResolveImage,
    StepResult,
    outcome_from_json,
    outcome_to_json,
    result_from_json,
    result_to_json,
)
from dockersim.solver.solve import Solver, solve

_REQUESTS = get_args(Request)


def is_request(item: Event | Request) -> TypeGuard[Request]:
    """Tell a request from an event."""
    return isinstance(item, _REQUESTS)


__all__ = [
    "BuildFinished",
    "BuildOptions",
    "CacheAnswer",
    "CacheDecided",
    "CacheDecision",
    "CacheKey",
    "CacheMoved",
    "CommitImage",
    "ContextSource",
    "CopyOp",
    "Difference",
    "DigestInputs",
    "Event",
    "Execute",
    "FromOp",
    "ImageAwaited",
    "ImageCommitted",
    "ImageSource",
    "Input",
    "Inputs",
    "LookUpCache",
    "NamedContext",
    "NamedSource",
    "Op",
    "Outcome",
    "OutputWritten",
    "Plan",
    "PlanMade",
    "Request",
    "ResolveImage",
    "ResolvedImage",
    "RunMount",
    "RunOp",
    "Solver",
    "Source",
    "SourceAwaited",
    "StagePlan",
    "StageSource",
    "State",
    "StepFinished",
    "StepPlan",
    "StepResult",
    "StepStarted",
    "VariableUse",
    "Verdict",
    "WorkdirOp",
    "differences",
    "is_request",
    "named_contexts",
    "outcome_from_json",
    "outcome_to_json",
    "result_from_json",
    "result_to_json",
    "solve",
    "url_file_name",
]
