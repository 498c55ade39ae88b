"""The solver: a generator that takes a Dockerfile through its build without doing anything itself.

It yields events (what happened) and requests (what it needs done), and is sent the outcome of each request; the
errors of a driver are thrown into it. Written this way the very same code builds, predicts and replays.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from dockersim.digest import DiffID, chain_id
from dockersim.dockerfile import NO_RULES, Dockerfile, IgnoreRules
from dockersim.errors import BuildError, Cancelled, DockersimError, RunFailed
from dockersim.oci import ImageConfig
from dockersim.solver.decide import decide, disabled, nothing_to_decide, on_top_of_disabled
from dockersim.solver.events import (
    BuildFinished,
    CacheDecided,
    CacheDecision,
    Event,
    PlanMade,
    State,
    StepFinished,
    StepStarted,
    Verdict,
)
from dockersim.solver.key import CacheKey, Input
from dockersim.solver.lower import lower
from dockersim.solver.names import command_words, key_of, linked
from dockersim.solver.plan import (
    BuildOptions,
    ContextSource,
    CopyOp,
    FromOp,
    ImageSource,
    NamedSource,
    Plan,
    RunMount,
    RunOp,
    Source,
    StagePlan,
    StageSource,
    StepPlan,
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
    StepResult,
)

Solver: TypeAlias = Generator["Event | Request", "Outcome | None", "BuildFinished"]

_KILLED = 137
"""128 and the number of SIGKILL: what shells give for a command that was killed."""


class _Stage(Struct):
    """How far one stage has come: its layers, the key of its last step, and its size in bytes.

    ``times`` says for each history entry that the build has added when its step was done (RFC 3339, "" before the
    first layer). ``known`` is False once a step was only predicted: what lies in the stage is then not known.
    ``forced`` is the option for which a step was run although the cache may know it, "" while there was none.
    """

    layers: tuple[DiffID, ...] = ()
    key: str = ""
    size: int = 0
    times: tuple[str, ...] = ()
    known: bool = True
    forced: str = ""


class _Done(Struct, frozen=True):
    """A step that this very build has run; ``forced`` is what it left in its stage."""

    step: StepPlan
    result: StepResult
    forced: str


class _Build(Struct):
    options: BuildOptions
    plan: Plan
    images: dict[str, ResolvedImage]
    stages: dict[int, _Stage] = field(default_factory=dict)
    done: dict[str, _Done] = field(default_factory=dict)
    """The steps that this very build has run, by the digest of their key."""


def solve(dockerfile: Dockerfile, options: BuildOptions, ignore: IgnoreRules = NO_RULES) -> Solver:
    """Take ``dockerfile`` through its build; return how it finished. ``ignore`` are the rules of the context.

    Raises DockerfileError before anything has run where the text is wrong, or where it asks for build checks that
    stop the build; an error of a step is an event (``StepFinished`` with State.ERROR) and then raised.
    """
    plan, images = yield from lower(dockerfile, options)
    yield PlanMade(plan)
    _obey_checks(dockerfile, options, plan, ignore)
    build = _Build(options, plan, images)
    # Deviation: BuildKit builds stages that do not need each other at the same time, and looks at what several steps
    # take at the same time, too; here one step is taken after the other, in the order of the file, so that a build can
    # be stepped. Where several steps are wrong BuildKit tells of any of them, dockersim of the first.
    for stage in plan.stages:
        for step in stage.steps:
            yield from _take(build, step)
    finished = yield from _finish(build, plan)
    yield finished
    return finished


def _obey_checks(dockerfile: Dockerfile, options: BuildOptions, plan: Plan, ignore: IgnoreRules) -> None:
    """Raise what ``# check=error=true`` makes of the findings."""
    if dockerfile.check is None and "BUILDKIT_DOCKERFILE_CHECK" not in dict(options.build_args):
        return  # then the checks stop nothing, and a cached build need not even import them
    from dockersim.solver.checks import check_build

    report = check_build(dockerfile.text, dockerfile.file, options, plan, ignore)
    if report.error is not None:
        raise report.error


def _finish(build: _Build, plan: Plan) -> Generator[Event | Request, Outcome | None, BuildFinished]:
    target = plan.stages[plan.target]
    done = build.stages[plan.target]
    config = _dated(_final_config(target, build.options), done.times)
    if not done.known:
        return BuildFinished(True, config)
    config = replace(config, diff_ids=done.layers)
    image = yield CommitImage(config, done.layers, build.options.names)
    return BuildFinished(True, config, done.layers, image if isinstance(image, ImageCommitted) else None)


def _final_config(target: StagePlan, options: BuildOptions) -> ImageConfig:
    config = target.steps[-1].config_after
    if not options.labels:
        return config
    labels = {**dict(config.config.labels), **dict(options.labels)}
    return replace(config, config=replace(config.config, labels=labels))


def _dated(config: ImageConfig, times: tuple[str, ...]) -> ImageConfig:
    """Date the history entries that the build has added; the image is as old as its last layer.

    So an image that came from the cache as a whole is the very image of the first build, to the last byte.
    """
    kept = len(config.history) - len(times)
    dated = [replace(entry, created=time) for entry, time in zip(config.history[kept:], times, strict=True)]
    last = next((time for time in reversed(times) if time), "")
    return replace(config, history=(*config.history[:kept], *dated), created=last)


def _take(build: _Build, step: StepPlan) -> Generator[Event | Request, Outcome | None, None]:
    """Take one step: start it, ask the cache, execute it if need be, and say how it ended."""
    yield StepStarted(step)
    match step.op:
        case FromOp():
            yield from _begin_stage(build, step, step.op)
        case None:
            stage = build.stages[step.stage]
            decision = nothing_to_decide(step)
            yield CacheDecided(step, decision)
            _note_time(stage, step, "")
            yield _finished(step, State.DONE, decision, StepResult(None), stage)
        case _:
            yield from _work(build, step, step.op)


def _begin_stage(build: _Build, step: StepPlan, op: FromOp) -> Generator[Event, Outcome | None, None]:
    if op.stage is not None:
        stage = build.stages[step.stage] = replace(build.stages[op.stage])
        notes: tuple[str, ...] = ()
    elif op.reference == "scratch":
        stage, notes = _Stage(), ()
        build.stages[step.stage] = stage
    else:
        image = build.images[op.reference]
        stage = _Stage(image.layers, chain_id(image.layers), sum(image.sizes))
        build.stages[step.stage] = stage
        notes = (f"{op.reference} came from {image.answered_by}", *image.notes)
    decision = nothing_to_decide(step)
    yield CacheDecided(step, decision)
    yield _finished(step, State.DONE, decision, StepResult(None, notes=notes), stage)


def _work(
    build: _Build, step: StepPlan, op: RunOp | CopyOp | WorkdirOp
) -> Generator[Event | Request, Outcome | None, None]:
    stage = build.stages.setdefault(step.stage, _Stage())  # one that begins with files has no step before
    try:
        source, files = yield from _inputs(build, op, step)
        # A linked copy does not look at what is below it, so neither does its key (COPY --link).
        alone = isinstance(op, CopyOp) and op.link and not op.chmod
        key = key_of(op, "" if alone else stage.key, files or ())
        twin = build.done.get(key.digest)
        found: StepResult | None = None
        if twin is not None:
            decision = _shared(key, twin.step)
        else:
            decision, found = yield from _ask_cache(build, step, key, known=files is not None, alone=alone)
        yield CacheDecided(step, decision)
        result: Outcome | None = found or (twin.result if twin else None)
        if result is None:
            result = yield Execute(op, key, step, stage.layers, source)
    except Cancelled:
        raise
    except DockersimError as error:
        yield _finished(step, State.ERROR, nothing_to_decide(step), StepResult(None), stage, error.message)
        raise _placed(error, step) from error
    if not isinstance(result, StepResult):
        raise TypeError(f"Execute was answered with {type(result).__name__}")
    if result.exit_code:
        yield from _fail(step, op, decision, result, stage)
    if decision.verdict is Verdict.DISABLED:
        stage.forced = _option(build, step)
    elif twin is not None:
        stage.forced = stage.forced or twin.forced
    if result.done and not found:
        build.done.setdefault(key.digest, _Done(step, result, stage.forced))
    _advance(stage, linked(stage.key, key) if alone else key.digest, result)
    _note_time(stage, step, result.created)
    state = State.CACHED if found else (State.DONE if result.done else State.NOT_RUN)
    yield _finished(step, state, decision, result, stage)


def _fail(
    step: StepPlan, op: RunOp | CopyOp | WorkdirOp, decision: CacheDecision, result: StepResult, stage: _Stage
) -> Generator[Event, Outcome | None, None]:
    """Say that the command failed; what it had changed stays to be looked at, but is not kept in the cache."""
    words = command_words(op) if isinstance(op, RunOp) else step.expanded
    message = f'process "{words}" did not complete successfully: exit code: {result.exit_code}'
    failed = replace(stage)
    if result.layer is not None:
        failed.layers = (*stage.layers, result.layer)
    yield _finished(step, State.ERROR, decision, result, failed, message)
    hint = "it was killed (SIGKILL), as the kernel does when memory runs out" if result.exit_code == _KILLED else ""
    raise RunFailed(message, result.exit_code or 0, at=step.at, hint=hint)


def _shared(key: CacheKey, twin: StepPlan) -> CacheDecision:
    """Say that a step is one with another of this build; BuildKit too runs such a step once, for both."""
    because = f"the very same step ran in this build already, at line {twin.at.line}: it is done once for both"
    return CacheDecision(Verdict.HIT, because, key)


def _advance(stage: _Stage, key: str, result: StepResult) -> None:
    stage.key = key
    if result.layer is not None:
        stage.layers = (*stage.layers, result.layer)
        stage.size += result.added
    elif not result.done:
        stage.known = False


def _note_time(stage: _Stage, step: StepPlan, created: str) -> None:
    """Note when the history entry of ``step`` came about: with the layer, or with the layer below."""
    if step.created_by is not None:
        stage.times += (created or (stage.times[-1] if stage.times else ""),)


def _inputs(
    build: _Build, op: RunOp | CopyOp | WorkdirOp, step: StepPlan
) -> Generator[Request, Outcome | None, tuple[tuple[tuple[DiffID, ...], ...], tuple[Input, ...] | None]]:
    """Name the files that the step takes; None if they cannot be known, () if it takes none.

    The layers of each source come with them.
    """
    readers: tuple[CopyOp | RunMount, ...]
    match op:
        case CopyOp():
            readers = (op,)
        case RunOp():
            readers = op.mounts
        case WorkdirOp():
            readers = ()
    files: tuple[Input, ...] | None = ()
    layers: list[tuple[DiffID, ...]] = []
    for reader in readers:
        lowest = _layers_of(build, reader.source)
        layers.append(lowest or ())
        if lowest is None:
            files = None
        elif reader.source is not None and files is not None:
            answer = yield DigestInputs(reader, lowest, step.at)
            if not isinstance(answer, Inputs):
                raise TypeError(f"DigestInputs was answered with {type(answer).__name__}")
            files = None if answer.files is None else (*files, *answer.files)
    return tuple(layers), files


def _layers_of(build: _Build, source: Source | None) -> tuple[DiffID, ...] | None:
    """Give the layers of a source, none for the context; None if they are not known before a stage has run."""
    match source:
        case StageSource(index):
            return build.stages[index].layers if build.stages[index].known else None
        case ImageSource(_, layers):
            return layers
        case ContextSource() | NamedSource() | None:
            return ()


def _ask_cache(
    build: _Build, step: StepPlan, key: CacheKey, *, known: bool, alone: bool
) -> Generator[Request, Outcome | None, tuple[CacheDecision, StepResult | None]]:
    if not known:
        because = "it depends on files that are not here yet: an earlier stage has to run, or a download to be made"
        return CacheDecision(Verdict.UNKNOWN, because), None
    # Quirk of BuildKit: a WORKDIR is not marked for the option, so it is run only on top of a step that was.
    if (option := _option(build, step)) and not isinstance(step.op, WorkdirOp):
        return disabled(key, option), None
    if (option := build.stages[step.stage].forced) and not alone:
        return on_top_of_disabled(key, option), None
    answer = yield LookUpCache(key, step)
    if not isinstance(answer, CacheAnswer):
        raise TypeError(f"LookUpCache was answered with {type(answer).__name__}")
    return decide(key, answer), answer.found


def _option(build: _Build, step: StepPlan) -> str:
    """Give the option that keeps the step from coming out of the cache, "" if there is none."""
    return build.options.disabling(build.plan.stages[step.stage].name)


def _finished(
    step: StepPlan, state: State, decision: CacheDecision, result: StepResult, stage: _Stage, error: str = ""
) -> StepFinished:
    return StepFinished(step, state, decision, result, stage.layers, stage.size, error)


def _placed(error: DockersimError, step: StepPlan) -> DockersimError:
    """Give an error the place of the step, if it has none of its own."""
    if error.at is None:
        error.at = step.at
    return error if isinstance(error, DockersimError) else BuildError(str(error), at=step.at)
