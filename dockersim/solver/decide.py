"""The cache's verdict in words a learner can act on."""

from __future__ import annotations

from dockersim.digest import short
from dockersim.solver.events import CacheDecision, Verdict
from dockersim.solver.key import CacheKey, Difference, differences
from dockersim.solver.plan import FromOp, StepPlan
from dockersim.solver.requests import CacheAnswer

_SHOWN = 3
"""So many differences are told in a reason; all of them stand in ``CacheDecision.differences``."""


def decide(key: CacheKey, answer: CacheAnswer) -> CacheDecision:
    """Turn the cache's answer into a verdict with a reason."""
    if answer.found is not None:
        return CacheDecision(Verdict.HIT, _why_hit(key, answer.origin), key)
    if answer.lost:
        return CacheDecision(Verdict.MISS, "it was built before, but its layer has been removed from the store", key)
    if answer.nearest is None:
        return CacheDecision(Verdict.MISS, "never built before", key)
    found = differences(answer.nearest, key)
    return CacheDecision(Verdict.MISS, _why_miss(key, answer.nearest, found), key, answer.nearest.digest, found)


def nothing_to_decide(step: StepPlan) -> CacheDecision:
    """Say why the cache is not asked about ``step``."""
    if isinstance(step.op, FromOp):
        because = "FROM takes layers that are there already; nothing is run"
    else:
        because = "it only changes the image's config; nothing is run and no layer is made"
    return CacheDecision(Verdict.NOT_NEEDED, because)


def disabled(key: CacheKey, option: str) -> CacheDecision:
    """Say that ``option`` has the step run, whatever the cache knows."""
    which = "every step of this stage" if "=" in option else "every step"
    return CacheDecision(Verdict.DISABLED, f"{option}: {which} is run", key)


def on_top_of_disabled(key: CacheKey, option: str) -> CacheDecision:
    """Say that the step is run since one below it was: what the cache knows was made on top of another layer.

    BuildKit, solver/edge.go: a vertex with ``IgnoreCache`` shows no cache keys to those that build on it.
    """
    return CacheDecision(Verdict.MISS, f"a step below was run anew ({option}), so this one is, too", key)


def _why_hit(key: CacheKey, origin: str) -> str:
    reasons = ["same instruction", "same step below"]
    if key.inputs:
        count = sum(entry.kind == "file" for entry in key.inputs)
        reasons.append(f"same content of {count} file{'s' * (count != 1)}")
    if key.instruction.startswith("RUN"):
        reasons.append("same environment")
    where = f"found in the imported cache {origin}" if origin else "built before"
    return f"{where}: {', '.join(reasons)} (key {short(key.digest)})"


def _why_miss(key: CacheKey, nearest: CacheKey, found: tuple[Difference, ...]) -> str:
    if not found:
        return "built before, but not kept"
    own = [difference for difference in found if difference.field != "parent"]
    if not own:
        return "the step below missed, so every later step of this stage misses"
    told = [_say(key, nearest, difference) for difference in own[:_SHOWN]]
    if len(own) > _SHOWN:
        told.append(f"and {len(own) - _SHOWN} more differences")
    same = len(key.inputs) - sum(difference.field.startswith("input:") for difference in own)
    if any(difference.field.startswith("input:") for difference in own) and same > 0:
        told.append(f"{same} other path{'s are' if same > 1 else ' is'} the same")
    if len(own) < len(found):
        told.append("and the step below is another one")
    return "; ".join(told)


def _say(key: CacheKey, nearest: CacheKey, difference: Difference) -> str:
    if difference.field == "instruction":
        return f"the instruction is {key.instruction!r} now, it was {nearest.instruction!r}"
    return difference.words()
