"""What a plan is made from: the stages, and the images that they begin with, resolved.

BuildKit: ``resolveStages`` in frontend/dockerfile/dockerfile2llb. A base image may bring ONBUILD triggers, and these
may need further stages and images.
"""

from __future__ import annotations

from collections.abc import Collection, Generator

from msgspec import Struct, field
from msgspec.structs import replace

from dockersim.dockerfile import Dockerfile, parse_instruction
from dockersim.oci import ImageConfig
from dockersim.solver.configure import Draft, configure
from dockersim.solver.plan import BuildOptions
from dockersim.solver.requests import Outcome, Request, ResolvedImage, ResolveImage
from dockersim.solver.scope import Scope
from dockersim.solver.stages import SCRATCH, StageNode, Stages
from dockersim.source import At


class Lowering(Struct):
    """A plan in the making; ``images`` by their names in full, ``drafts`` by the index of their stages."""

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


def resolve(lowering: Lowering, targets: Collection[int]) -> Generator[Request, Outcome | None, dict[int, str]]:
    """Resolve every image that is needed; triggers of a base may need further stages, so until nothing is new."""
    triggered: set[int] = set()
    while True:
        needed = lowering.stages.needed(targets)
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


def _resolve_image(lowering: Lowering, name: str, at: At, platform: str) -> Generator[Request, Outcome | None, None]:
    if name in lowering.images:
        return
    image = yield ResolveImage(name, platform or lowering.options.platform, at)
    if not isinstance(image, ResolvedImage):
        raise TypeError(f"ResolveImage was answered with {type(image).__name__}")
    lowering.images[name] = image


def _pull_triggers(lowering: Lowering, node: StageNode) -> None:
    """Put the ONBUILD triggers of the base at the head of a stage; they stand where its FROM stands."""
    if node.replaced:
        return
    instructions = []
    for trigger in _triggers(lowering, node):
        instruction = replace(parse_instruction(trigger, file=lowering.dockerfile.file), at=node.at)
        lowering.stages.connect(node, instruction)
        instructions.append((instruction, True))
    node.instructions[:0] = instructions


def _triggers(lowering: Lowering, node: StageNode) -> tuple[str, ...]:
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
