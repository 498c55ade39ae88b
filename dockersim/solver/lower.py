"""From a Dockerfile to a plan: BuildKit's dockerfile2llb.

Everything that can be wrong without running anything is found here: stages are connected, base images resolved,
words expanded, configs computed. The only requests are for base images.
"""

from __future__ import annotations

import posixpath
from collections.abc import Generator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from dockersim.dockerfile import (
    HEREDOC_BODY,
    STEP_NAME,
    Add,
    Arg,
    Copy,
    Dockerfile,
    From,
    Instruction,
    Lexing,
    Mount,
    MountType,
    Run,
    Workdir,
    expand,
)
from dockersim.errors import DockerfileError
from dockersim.oci import History, ImageConfig
from dockersim.solver.bases import Lowering, resolve
from dockersim.solver.configure import (
    Draft,
    changes_config_only,
    configure,
    empty_config,
    with_path,
    working_directory,
)
from dockersim.solver.contexts import NamedContext, named_contexts
from dockersim.solver.frontend import check_frontend
from dockersim.solver.names import copy_history, run_history, vertex_name
from dockersim.solver.operations import copy_op, run_op
from dockersim.solver.plan import (
    BuildOptions,
    ContextSource,
    CopyOp,
    FromOp,
    ImageSource,
    NamedSource,
    Op,
    Plan,
    Source,
    StagePlan,
    StageSource,
    StepPlan,
    VariableUse,
    WorkdirOp,
)
from dockersim.solver.requests import Outcome, Request, ResolvedImage
from dockersim.solver.scope import Scope, global_scope
from dockersim.solver.stages import SCRATCH, StageNode, Stages
from dockersim.source import At

COMMENT = "buildkit.dockerfile.v0"
"""The comment of every history entry, as BuildKit writes it."""

EXPORTER_COMMENT = "buildkit.exporter.image.v0"
"""The comment of entries for layers that no instruction has made (BuildKit, ``normalizeLayersAndHistory``)."""


class _Stage(Struct):
    """A stage in the making: its config and variables, and how far its steps are numbered."""

    node: StageNode
    draft: Draft
    total: int
    index: int = 0
    steps: list[StepPlan] = field(default_factory=list)


def lower(
    dockerfile: Dockerfile, options: BuildOptions
) -> Generator[Request, Outcome | None, tuple[Plan, dict[str, ResolvedImage]]]:
    """Plan the build of ``dockerfile``; return the plan and the images it starts from, by name in full."""
    check_frontend(dockerfile, options)
    if not dockerfile.stages:
        raise DockerfileError("dockerfile contains no stages to build", hint="begin with FROM")
    scope = global_scope(dockerfile, options)
    stages = Stages(dockerfile, scope, named_contexts(options.contexts), options.target)
    lowering = Lowering(dockerfile, options, scope, stages)
    target = lowering.stages.target(options.target)
    needed = yield from resolve(lowering, range(len(stages.nodes)) if options.every_stage else (target,))
    planned = []
    for node in stages.nodes:
        if node.index in needed:
            planned.append(_lower_stage(lowering, node, needed[node.index]))
        else:
            because = "nothing that is needed uses it"
            planned.append(StagePlan(node.index, node.name, node.base, node.at, False, because))
    return Plan(dockerfile.file, tuple(planned), target), lowering.images


# ---------------------------------------------------------------- one stage


def _lower_stage(lowering: Lowering, node: StageNode, because: str) -> StagePlan:
    config, scope = _begin(lowering, node)
    stage = _Stage(node, Draft(config, scope, lowering.dockerfile.escape), _total(node))
    lowering.drafts[node.index] = stage.draft
    _add_from(lowering, stage)
    # Quirk of BuildKit: FROM is named before the triggers are known, and then every trigger counts as a step.
    stage.total += sum(trigger for _, trigger in node.instructions)
    for instruction, trigger in node.instructions:
        try:
            _lower_step(lowering, stage, instruction, trigger=trigger)
        except DockerfileError as error:
            error.at = error.at or instruction.at
            raise
    return StagePlan(node.index, node.name, node.base, node.at, True, because, tuple(stage.steps))


def _begin(lowering: Lowering, node: StageNode) -> tuple[ImageConfig, Scope]:
    """Give the config and the variables that a stage starts with."""
    if node.base_stage is not None:
        base = lowering.drafts[node.base_stage]
        return replace(base.config, config=replace(base.config.config, on_build=())), base.scope.copy()
    if node.base == SCRATCH:
        config = empty_config(lowering.options.platform)
    else:
        found = lowering.images[node.base].config
        config = replace(found, created="", config=replace(found.config, on_build=()))
    config = with_path(config)
    scope = Scope()
    for pair in config.config.env:
        name, _, value = pair.partition("=")
        scope.set(name, value, "base image", None)
    return config, scope


def _total(node: StageNode) -> int:
    """Count the steps that BuildKit numbers in a stage, without those that triggers bring."""
    own = sum(isinstance(one, Run | Copy | Add | Workdir) for one, trigger in node.instructions if not trigger)
    return own + (node.base_stage is None and (node.base != SCRATCH or node.context is not None))


def _add_from(lowering: Lowering, stage: _Stage) -> None:
    node = stage.node
    from_ = lowering.dockerfile.stages[node.index].from_
    if node.files is not None:
        _add_files(lowering, stage, from_, node.files)
        return
    if node.base_stage is not None:
        op = FromOp(lowering.stages.nodes[node.base_stage].label, stage=node.base_stage)
    elif node.base == SCRATCH:
        op = FromOp(SCRATCH)
    else:
        op = FromOp(node.base, lowering.images[node.base].layers)
    shown = node.base_stage is None and node.base != SCRATCH
    vertex = _vertex(lowering, stage, f"FROM {node.base}", trigger=False) if shown and not node.context else None
    if shown and node.context is not None:
        vertex = node.context.vertex
    _append(lowering, stage, from_, op, vertex, before=stage.draft.config, expanded=f"FROM {op.reference}")


def _add_files(lowering: Lowering, stage: _Stage, from_: From, context: NamedContext) -> None:
    """Begin a stage with the files of a context, which become its first layer."""
    # Deviation: BuildKit's exporter writes a history entry of the layer that a named context makes behind those of
    # the instructions; here it stands where the layer does, first.
    _append(lowering, stage, from_, CopyOp(NamedSource(context.name), ("",), "/"), context.vertex,
            before=stage.draft.config, created_by=f"local source for {context.name}", comment=EXPORTER_COMMENT,
            expanded=f"FROM {context.name}")  # fmt: skip


def _lower_step(lowering: Lowering, stage: _Stage, instruction: Instruction, *, trigger: bool) -> None:
    before = stage.draft.config
    if changes_config_only(instruction):
        variables = stage.draft.scope.uses(instruction.raw, lowering.dockerfile.escape)
        created_by = configure(stage.draft, instruction)
        _append(lowering, stage, instruction, None, None, before=before, created_by=created_by,
                expanded=created_by, trigger=trigger, variables=variables)  # fmt: skip
        return
    match instruction:
        case Arg():
            _lower_arg(lowering, stage, instruction, trigger=trigger)
        case Workdir():
            _lower_workdir(lowering, stage, instruction, trigger=trigger)
        case Run():
            _lower_run(lowering, stage, instruction, trigger=trigger)
        case Copy() | Add():
            _lower_copy(lowering, stage, instruction, trigger=trigger)
        case _:
            raise TypeError(f"{instruction.keyword} is not handled")


def _lower_arg(lowering: Lowering, stage: _Stage, arg: Arg, *, trigger: bool) -> None:
    draft, before = stage.draft, stage.draft.config
    variables = draft.scope.uses(arg.raw, lowering.dockerfile.escape)
    words = []
    for one in arg.declarations:
        value, origin, line = _arg_value(lowering, stage, one.name, one.default, arg.at)
        if value is not None:
            draft.scope.set(one.name, value, origin, line)
        draft.scope.arguments[one.name] = value
        words.append(one.name if value is None else f"{one.name}={value}")
    created_by = f"ARG {' '.join(words)}"
    _append(lowering, stage, arg, None, None, before=before, created_by=created_by, expanded=created_by,
            trigger=trigger, variables=variables)  # fmt: skip


def _arg_value(
    lowering: Lowering, stage: _Stage, name: str, default: str | None, at: At
) -> tuple[str | None, str, int | None]:
    """Find an ARG's value: --build-arg, else its default, else a global ARG of that name."""
    if name in lowering.build_args:
        return lowering.build_args[name], "--build-arg", None
    if default is not None:
        return stage.draft.scope.word(lowering.dockerfile.escape, at)(default), "ARG", at.line
    if name in lowering.globals.values:
        origin, line = lowering.globals.origins[name]
        return lowering.globals.values[name], origin, line
    return None, "unset", None


def _lower_workdir(lowering: Lowering, stage: _Stage, workdir: Workdir, *, trigger: bool) -> None:
    draft, before = stage.draft, stage.draft.config
    path = draft.scope.word(lowering.dockerfile.escape, workdir.at)(workdir.path)
    draft.change(working_dir=working_directory(draft.container.working_dir, path))
    directory = draft.container.working_dir
    name = _filled_in(lowering, stage, workdir.raw)
    op = WorkdirOp(posixpath.normpath(directory), draft.container.user) if directory != "/" else None
    vertex = _vertex(lowering, stage, name, trigger=trigger) if op else None
    _append(lowering, stage, workdir, op, vertex, before=before, created_by=f"WORKDIR {directory}",
            expanded=name, trigger=trigger)  # fmt: skip


def _lower_run(lowering: Lowering, stage: _Stage, run: Run, *, trigger: bool) -> None:
    op = run_op(run, stage.draft, lowering.options, lambda name, mount: _mount_source(lowering, name, mount, run.at))
    name = run.raw
    if run.script:
        name += f" ({run.summary})"
    hidden = {one.mount.env: "****" for one in op.mounts if one.mount.type is MountType.SECRET and one.mount.env}
    name = _filled_in(lowering, stage, name, STEP_NAME, hidden)
    history = run_history(op.argv, stage.draft.scope.in_history())
    vertex = _vertex(lowering, stage, name, trigger=trigger)
    _append(lowering, stage, run, op, vertex, before=stage.draft.config, created_by=history, expanded=name,
            trigger=trigger)  # fmt: skip


def _lower_copy(lowering: Lowering, stage: _Stage, copy: Copy | Add, *, trigger: bool) -> None:
    source = _source(lowering, stage, copy)
    op, sources, destination = copy_op(copy, source, stage.draft, HEREDOC_BODY)
    name = _filled_in(lowering, stage, copy.raw)
    history = copy_history(copy.keyword, op, sources, destination)
    vertex = _vertex(lowering, stage, name, trigger=trigger)
    _append(lowering, stage, copy, op, vertex, before=stage.draft.config, created_by=history, expanded=name,
            trigger=trigger)  # fmt: skip


def _source(lowering: Lowering, stage: _Stage, copy: Copy | Add) -> Source:
    if isinstance(copy, Add) or not copy.from_:
        return ContextSource()
    found = lowering.stages.source(copy.from_, copy.at)
    if isinstance(found, int) and (found not in lowering.drafts or found == stage.node.index):
        text = f'cannot copy from stage "{copy.from_}", it needs to be defined before current stage'
        raise DockerfileError(f'{text} "{stage.node.label}"', at=copy.at)
    return _found_source(lowering, found)


def _mount_source(lowering: Lowering, name: str, mount: Mount, at: At) -> Source | None:
    found = lowering.stages.source(name, at, numbered=False)
    if isinstance(found, int) and found not in lowering.drafts:
        text = f'cannot mount from stage "{name}" to "{mount.target}", stage needs to be defined before current command'
        raise DockerfileError(text, at=at)
    return None if found == SCRATCH else _found_source(lowering, found)


def _found_source(lowering: Lowering, found: int | str | NamedContext) -> Source:
    if isinstance(found, int):
        return StageSource(found)
    if isinstance(found, NamedContext):
        return NamedSource(found.name)
    return ImageSource(found, () if found == SCRATCH else lowering.images[found].layers)


# ---------------------------------------------------------------- steps


def _filled_in(
    lowering: Lowering, stage: _Stage, text: str, lexing: Lexing | None = None, more: Mapping[str, str] | None = None
) -> str:
    """Fill the values in that are known, for the name of a step; a text that cannot be expanded stays as it is."""
    values = {**stage.draft.scope.values, **more} if more else stage.draft.scope.values
    try:
        filled = expand(text, values, lowering.dockerfile.escape, lexing=lexing or Lexing()).text
    except DockerfileError:
        filled = text
    keyword, space, rest = filled.partition(" ")
    return keyword.upper() + space + rest


def _vertex(lowering: Lowering, stage: _Stage, text: str, *, trigger: bool) -> str:
    stage.index += 1
    label = "" if lowering.stages.single else stage.node.label
    return vertex_name(text, stage.index, stage.total, label, trigger=trigger)


def _append(
    lowering: Lowering,
    stage: _Stage,
    instruction: Instruction,
    op: Op | None,
    vertex: str | None,
    *,
    before: ImageConfig,
    created_by: str | None = None,
    expanded: str | None = None,
    trigger: bool = False,
    variables: tuple[VariableUse, ...] | None = None,
    comment: str = COMMENT,
) -> None:
    draft = stage.draft
    empty = op is None
    if created_by is not None:
        entry = History(created_by=created_by, comment=comment, empty_layer=empty)
        draft.config = replace(draft.config, history=(*draft.config.history, entry))
    if variables is None:
        scope = lowering.globals if instruction.keyword == "FROM" else draft.scope
        variables = scope.uses(instruction.raw, lowering.dockerfile.escape)
    lowering.number += 1
    stage.steps.append(
        StepPlan(
            lowering.number,
            stage.node.index,
            instruction.keyword.upper(),
            instruction.raw,
            expanded or instruction.raw,
            instruction.at,
            vertex,
            op,
            variables,
            before,
            draft.config,
            created_by,
            empty,
            trigger,
        )
    )
