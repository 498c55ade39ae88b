"""From a Dockerfile to a plan: BuildKit's dockerfile2llb.

Everything that can be wrong without running anything is found here: stages are connected, base images resolved,
words expanded, configs computed. The only requests are for base images.
"""

from __future__ import annotations

import posixpath
from collections.abc import Generator

from msgspec import Struct, field
from msgspec.structs import replace

from dockersim.dockerfile import (
    HEREDOC_BODY,
    STEP_NAME,
    Add,
    Arg,
    Copy,
    Dockerfile,
    Instruction,
    Lexing,
    Mount,
    Run,
    Workdir,
    expand,
    parse_instruction,
)
from dockersim.errors import DockerfileError
from dockersim.oci import History, ImageConfig
from dockersim.solver.configure import (
    Draft,
    changes_config_only,
    configure,
    empty_config,
    with_path,
    working_directory,
)
from dockersim.solver.frontend import check_frontend
from dockersim.solver.names import copy_history, run_history, vertex_name
from dockersim.solver.operations import copy_op, run_op
from dockersim.solver.plan import (
    BuildOptions,
    ContextSource,
    FromOp,
    ImageSource,
    Op,
    Plan,
    Source,
    StagePlan,
    StageSource,
    StepPlan,
    VariableUse,
    WorkdirOp,
)
from dockersim.solver.requests import Outcome, Request, ResolvedImage, ResolveImage
from dockersim.solver.scope import Scope, global_scope
from dockersim.solver.stages import SCRATCH, StageNode, Stages
from dockersim.source import At

COMMENT = "buildkit.dockerfile.v0"
"""The comment of every history entry, as BuildKit writes it."""


class _Stage(Struct):
    """A stage in the making: its config and variables, and how far its steps are numbered."""

    node: StageNode
    draft: Draft
    total: int
    index: int = 0
    steps: list[StepPlan] = field(default_factory=list)


class _Lowering(Struct):
    dockerfile: Dockerfile
    options: BuildOptions
    globals: Scope
    stages: Stages
    images: dict[str, ResolvedImage] = field(default_factory=dict)
    drafts: dict[int, Draft] = field(default_factory=dict)
    number: int = 0

    @property
    def build_args(self) -> dict[str, str]:
        return dict(self.options.build_args)


def lower(
    dockerfile: Dockerfile, options: BuildOptions
) -> Generator[Request, Outcome | None, tuple[Plan, dict[str, ResolvedImage]]]:
    """Plan the build of ``dockerfile``; return the plan and the images it starts from, by name in full."""
    check_frontend(dockerfile, options)
    if not dockerfile.stages:
        raise DockerfileError("dockerfile contains no stages to build", hint="begin with FROM")
    scope = global_scope(dockerfile, options)
    lowering = _Lowering(dockerfile, options, scope, Stages(dockerfile, scope))
    target = lowering.stages.target(options.target)
    needed = yield from _resolve(lowering, target)
    stages = []
    for node in lowering.stages.nodes:
        if node.index in needed:
            stages.append(_lower_stage(lowering, node, needed[node.index]))
        else:
            because = "nothing that is needed uses it"
            stages.append(StagePlan(node.index, node.name, node.base, node.at, False, because))
    return Plan(dockerfile.file, tuple(stages), target), lowering.images


# ---------------------------------------------------------------- base images and triggers


def _resolve(lowering: _Lowering, target: int) -> Generator[Request, Outcome | None, dict[int, str]]:
    """Resolve every image that is needed; triggers of a base may need further stages, so until nothing is new."""
    triggered: set[int] = set()
    while True:
        needed = lowering.stages.needed(target)
        for node in lowering.stages.nodes:
            if node.index in needed and node.base_stage is None and node.base != SCRATCH:
                yield from _resolve_image(lowering, node.base, node.at, node.platform)
        for name, at in lowering.stages.images.items():
            yield from _resolve_image(lowering, name, at, "")
        fresh = [node for node in lowering.stages.nodes if node.index in needed and node.index not in triggered]
        if not fresh:
            return needed
        for node in fresh:
            triggered.add(node.index)
            _pull_triggers(lowering, node)


def _resolve_image(lowering: _Lowering, name: str, at: At, platform: str) -> Generator[Request, Outcome | None, None]:
    if name in lowering.images:
        return
    image = yield ResolveImage(name, platform or lowering.options.platform, at)
    if not isinstance(image, ResolvedImage):
        raise TypeError(f"ResolveImage was answered with {type(image).__name__}")
    lowering.images[name] = image


def _pull_triggers(lowering: _Lowering, node: StageNode) -> None:
    """Put the ONBUILD triggers of the base at the head of a stage; they stand where its FROM stands."""
    instructions = []
    for trigger in _triggers(lowering, node):
        instruction = replace(parse_instruction(trigger, file=lowering.dockerfile.file), at=node.at)
        lowering.stages.connect(node, instruction)
        instructions.append((instruction, True))
    node.instructions[:0] = instructions


def _triggers(lowering: _Lowering, node: StageNode) -> tuple[str, ...]:
    if node.base_stage is not None:
        base = lowering.stages.nodes[node.base_stage]
        draft = Draft(ImageConfig(architecture=""), Scope())
        for instruction, _ in base.instructions:
            if instruction.keyword == "ONBUILD":
                configure(draft, instruction)
        return draft.container.on_build
    if node.base == SCRATCH:
        return ()
    return lowering.images[node.base].config.config.on_build


# ---------------------------------------------------------------- one stage


def _lower_stage(lowering: _Lowering, node: StageNode, because: str) -> StagePlan:
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


def _begin(lowering: _Lowering, node: StageNode) -> tuple[ImageConfig, Scope]:
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
    return own + (node.base_stage is None and node.base != SCRATCH)


def _add_from(lowering: _Lowering, stage: _Stage) -> None:
    node = stage.node
    if node.base_stage is not None:
        op = FromOp(lowering.stages.nodes[node.base_stage].label, stage=node.base_stage)
    elif node.base == SCRATCH:
        op = FromOp(SCRATCH)
    else:
        op = FromOp(node.base, lowering.images[node.base].layers)
    shown = node.base_stage is None and node.base != SCRATCH
    vertex = _vertex(lowering, stage, f"FROM {node.base}", trigger=False) if shown else None
    from_ = lowering.dockerfile.stages[node.index].from_
    _append(lowering, stage, from_, op, vertex, before=stage.draft.config, expanded=f"FROM {op.reference}")


def _lower_step(lowering: _Lowering, stage: _Stage, instruction: Instruction, *, trigger: bool) -> None:
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


def _lower_arg(lowering: _Lowering, stage: _Stage, arg: Arg, *, trigger: bool) -> None:
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
    lowering: _Lowering, stage: _Stage, name: str, default: str | None, at: At
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


def _lower_workdir(lowering: _Lowering, stage: _Stage, workdir: Workdir, *, trigger: bool) -> None:
    draft, before = stage.draft, stage.draft.config
    path = draft.scope.word(lowering.dockerfile.escape, workdir.at)(workdir.path)
    draft.change(working_dir=working_directory(draft.container.working_dir, path))
    directory = draft.container.working_dir
    name = _filled_in(lowering, stage, workdir.raw)
    op = WorkdirOp(posixpath.normpath(directory), draft.container.user) if directory != "/" else None
    vertex = _vertex(lowering, stage, name, trigger=trigger) if op else None
    _append(lowering, stage, workdir, op, vertex, before=before, created_by=f"WORKDIR {directory}",
            expanded=name, trigger=trigger)  # fmt: skip


def _lower_run(lowering: _Lowering, stage: _Stage, run: Run, *, trigger: bool) -> None:
    op = run_op(run, stage.draft, lowering.options, lambda name, mount: _mount_source(lowering, name, mount, run.at))
    name = run.raw
    if run.summary:
        name += f" ({run.summary})"
    name = _filled_in(lowering, stage, name, STEP_NAME)
    history = run_history(op.argv, stage.draft.scope.in_history())
    vertex = _vertex(lowering, stage, name, trigger=trigger)
    _append(lowering, stage, run, op, vertex, before=stage.draft.config, created_by=history, expanded=name,
            trigger=trigger)  # fmt: skip


def _lower_copy(lowering: _Lowering, stage: _Stage, copy: Copy | Add, *, trigger: bool) -> None:
    source = _source(lowering, stage, copy)
    op, sources, destination = copy_op(copy, source, stage.draft, HEREDOC_BODY)
    name = _filled_in(lowering, stage, copy.raw)
    history = copy_history(copy.keyword, op, sources, destination)
    vertex = _vertex(lowering, stage, name, trigger=trigger)
    _append(lowering, stage, copy, op, vertex, before=stage.draft.config, created_by=history, expanded=name,
            trigger=trigger)  # fmt: skip


def _source(lowering: _Lowering, stage: _Stage, copy: Copy | Add) -> Source:
    if isinstance(copy, Add) or not copy.from_:
        return ContextSource()
    found = lowering.stages.source(copy.from_, copy.at)
    if isinstance(found, int) and (found not in lowering.drafts or found == stage.node.index):
        text = f'cannot copy from stage "{copy.from_}", it needs to be defined before current stage'
        raise DockerfileError(f'{text} "{stage.node.label}"', at=copy.at)
    return _found_source(lowering, found)


def _mount_source(lowering: _Lowering, name: str, mount: Mount, at: At) -> Source | None:
    found = lowering.stages.source(name, at)
    if isinstance(found, int) and found not in lowering.drafts:
        text = f'cannot mount from stage "{name}" to "{mount.target}", stage needs to be defined before current command'
        raise DockerfileError(text, at=at)
    return None if found == SCRATCH else _found_source(lowering, found)


def _found_source(lowering: _Lowering, found: int | str) -> Source:
    if isinstance(found, int):
        return StageSource(found)
    return ImageSource(found, () if found == SCRATCH else lowering.images[found].layers)


# ---------------------------------------------------------------- steps


def _filled_in(lowering: _Lowering, stage: _Stage, text: str, lexing: Lexing | None = None) -> str:
    """Fill the values in that are known, for the name of a step; a text that cannot be expanded stays as it is."""
    escape = lowering.dockerfile.escape
    try:
        filled = expand(text, stage.draft.scope.values, escape, lexing=lexing or Lexing()).text
    except DockerfileError:
        filled = text
    keyword, space, rest = filled.partition(" ")
    return keyword.upper() + space + rest


def _vertex(lowering: _Lowering, stage: _Stage, text: str, *, trigger: bool) -> str:
    stage.index += 1
    label = "" if lowering.stages.single else stage.node.label
    return vertex_name(text, stage.index, stage.total, label, trigger=trigger)


def _append(
    lowering: _Lowering,
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
) -> None:
    draft = stage.draft
    empty = op is None
    if created_by is not None:
        entry = History(created_by=created_by, comment=COMMENT, empty_layer=empty)
        draft.config = replace(draft.config, history=(*draft.config.history, entry))
    if variables is None:
        scope = lowering.globals if isinstance(op, FromOp) else draft.scope
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
