"""The X-ray of a build context, taken: the scan, the files that each COPY and ADD takes, the keys among them.

What is found is described in `dockersim.analysis.context`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from msgspec.structs import replace

from dockersim.analysis.cautions import holds_key, may_be_key
from dockersim.analysis.context import ContextFile, ContextXray, Missing, Use, listed
from dockersim.dockerfile import Decision, Dockerfile
from dockersim.engine.context import Context, kind_of
from dockersim.engine.sources import ContextOrigin, taken
from dockersim.errors import ContextError, DockersimError, ImageError
from dockersim.filesystem import Kind
from dockersim.solver import (
    BuildOptions,
    ContextSource,
    CopyOp,
    Plan,
    PlanMade,
    ResolvedImage,
    ResolveImage,
    RunMount,
    RunOp,
    StepPlan,
    solve,
)
from dockersim.solver.configure import empty_config

_HEAD: Final = 65_536
"""So many bytes of a file are read to see whether it is a key: certificates may stand before it."""

FindImage = Callable[[ResolveImage], ResolvedImage]


def examine(context: Context, plan: Callable[[], Plan], *, everything: bool) -> ContextXray:
    """Take the X-ray of ``context``; ``plan`` makes the plan of the build that uses it.

    Raises ContextError where the directory cannot be read. Where there is no plan, the X-ray says why.
    """
    found = _found(context, everything=everything)
    uses: dict[str, list[Use]] = {}
    missing: list[Missing] = []
    unknown = ""
    try:
        for step in plan().steps:
            missing += _note_uses(context, step, uses)
    except DockersimError as error:
        unknown = str(error)
    return ContextXray(listed(found, uses, everything=everything), tuple(missing), context.ignore_file, unknown)


def private_keys(context: Context, xray: ContextXray) -> frozenset[str]:
    """Look which of the kept files whose names leave it open are private keys."""
    doubtful = (file.path for file in xray.files if file.kept and file.kind is Kind.FILE and may_be_key(file.path))
    return frozenset(path for path in doubtful if _is_key(context, path))


def plan_without_images(dockerfile: Dockerfile, options: BuildOptions, find: FindImage) -> Plan:
    """Plan a build; a base image that is not here counts as an empty one, for files hardly depend on it."""
    solver = solve(dockerfile, options)
    item = next(solver)
    while not isinstance(item, PlanMade):
        if not isinstance(item, ResolveImage):
            raise DockersimError("the build has no plan")  # nothing else is asked for before it
        item = solver.send(_found_or_empty(item, find))
    return item.plan


def _found_or_empty(request: ResolveImage, find: FindImage) -> ResolvedImage:
    try:
        return find(request)
    except ImageError:
        return ResolvedImage(empty_config(request.platform), (), (), "nobody")


# ---------------------------------------------------------------- the files


def _found(context: Context, *, everything: bool) -> list[ContextFile]:
    """List every path of the directory with its decision, those below a pruned directory too."""
    found: list[ContextFile] = []
    pruned: list[tuple[str, Decision]] = []

    def witness(path: str, status: os.stat_result, decision: Decision) -> None:
        kind = kind_of(status)
        if kind is not None:
            found.append(ContextFile(path, kind, status.st_size if kind is Kind.FILE else 0, decision))
        if decision.excluded and kind is Kind.DIRECTORY and context.rules.may_prune(path):
            pruned.append((path, decision))

    context.survey(witness)
    for folder, decision in pruned:
        for path, kind, size in _below(context, folder):
            # Where one row stands for all of them, nobody reads which line decided about each.
            found.append(ContextFile(path, kind, size, context.rules.decide(path) if everything else decision))
    return found


def _below(context: Context, folder: str) -> Iterator[tuple[str, Kind, int]]:
    """Give (path, kind, size) of what is below a pruned directory; what may not be read is no matter there."""
    waiting = [folder]
    while waiting:
        above = waiting.pop()
        try:
            with os.scandir(context.root / above) as listing:
                items = [(f"{above}/{item.name}", item.stat(follow_symlinks=False)) for item in listing]
        except OSError:
            continue
        for path, status in items:
            kind = kind_of(status)
            if kind is not None:
                yield path, kind, status.st_size if stat.S_ISREG(status.st_mode) else 0
            if kind is Kind.DIRECTORY:
                waiting.append(path)


def _is_key(context: Context, path: str) -> bool:
    try:
        with context.open(path) as stream:
            return holds_key(stream.read(_HEAD))
    except (ContextError, OSError):
        return True  # what nobody may read is more likely a key than a certificate


# ---------------------------------------------------------------- the uses


def _note_uses(context: Context, step: StepPlan, uses: dict[str, list[Use]]) -> Iterator[Missing]:
    """Note what one step takes from the context; give what it looks for there in vain."""
    use = Use(step.at.line, step.keyword)
    for op in _reading(step):
        try:
            for _, entry in taken(op, ContextOrigin(context)):
                if entry.kind is not Kind.DIRECTORY:
                    uses.setdefault(entry.path, []).append(use)
        except ContextError as error:
            name = op.mount.source if isinstance(op, RunMount) else op.patterns[0]
            yield Missing(use, error.message, context.rules.decide(name))


def _reading(step: StepPlan) -> Iterator[CopyOp | RunMount]:
    """Give the parts of a step that read from the context, each with one source: so one can miss and the next not."""
    match step.op:
        case CopyOp(source=ContextSource(), patterns=patterns) as op:
            yield from (replace(op, patterns=(pattern,)) for pattern in patterns)
        case RunOp(mounts=mounts):
            yield from (mount for mount in mounts if isinstance(mount.source, ContextSource))
        case _:
            return
