"""Stages and what they need of each other: which are built for a target, and why.

BuildKit does not build a stage that nothing needed uses (dockerfile2llb, ``resolveReachableStages``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from dockersim.dockerfile import Copy, Dockerfile, Instruction, Run, expand
from dockersim.dockerfile.suggest import nearest
from dockersim.errors import DockerfileError, InvalidReference
from dockersim.oci import parse_reference
from dockersim.solver.contexts import NamedContext, look_up
from dockersim.solver.scope import Scope
from dockersim.source import At

SCRATCH = "scratch"
NO_CONTEXTS: Mapping[str, NamedContext] = {}

_SHOWN = 4
"""So many lines of a circle are told in words; all of them are marked."""

_PLATFORM = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){0,2}")
"""containerd, platforms.go: at most operating system, architecture and variant."""


class StageNode(Struct):
    """One stage: its base is another stage (``base_stage``) or an image (``base``, in full, or "scratch").

    A context of files stands on scratch.
    """

    index: int
    name: str
    base: str
    base_stage: int | None
    at: At
    platform: str
    instructions: list[tuple[Instruction, bool]]
    """The instructions behind FROM; True marks one that an ONBUILD trigger put there."""
    context: NamedContext | None = None
    """What stands in for the base, or, if it is ``replaced``, for the stage as a whole."""
    replaced: bool = False
    needs: dict[int, str] = field(default_factory=dict)
    """The stages that this one needs, each with the reason in words."""
    needed_at: dict[int, At] = field(default_factory=dict)
    """Where the instructions stand that need them; a stage that is only the base has none."""

    @property
    def files(self) -> NamedContext | None:
        """The context of files that the stage begins with, if it does."""
        return self.context if self.context is not None and not self.context.image else None

    @property
    def label(self) -> str:
        """The name BuildKit shows: the given one or ``stage-N``."""
        return self.name or f"stage-{self.index}"


class Stages:
    """All stages of a Dockerfile, and the images that COPY --from names besides.

    ``contexts`` stand in for stages and images of their names. That the ``target`` is not there comes before stages
    that need each other.
    """

    def __init__(
        self, dockerfile: Dockerfile, scope: Scope, contexts: Mapping[str, NamedContext] = NO_CONTEXTS, target: str = ""
    ) -> None:
        self.escape = dockerfile.escape
        self._contexts = contexts
        self.nodes: list[StageNode] = []
        self.images: dict[str, At] = {}
        """Images that only a COPY --from or a mount names, in full."""
        self._others: set[str] = set()
        """Further sources: scratch, and contexts that are files."""
        self._by_name: dict[str, int] = {}
        for stage in dockerfile.stages:
            self._add(stage.index, stage.from_.name, stage.from_.image, stage.from_.platform, stage.from_.at,
                      list(stage.instructions), scope)  # fmt: skip
        self.target(target)
        for node in self.nodes:
            for instruction, _ in node.instructions:
                self.connect(node, instruction)
        self._refuse_circles()
        self.single = len(self.nodes) + len(self.images) + len(self._others) == 1
        """Whether there is but one source, so that step names need no stage name.

        As in BuildKit that is settled before the triggers of base images are known.
        """

    def __len__(self) -> int:
        return len(self.nodes)

    def target(self, name: str) -> int:
        """Find the stage that is wanted: the last one, or the named one."""
        if not name:
            return len(self.nodes) - 1
        found = self._by_name.get(name.lower())
        if found is None:
            near = nearest(name, [node.label for node in self.nodes])
            hint = f"did you mean {near}?" if near else ""
            raise DockerfileError(f'target stage "{name}" could not be found', hint=hint)
        return found

    def source(self, origin: str, at: At, *, numbered: bool = True) -> int | str | NamedContext:
        """Find what ``--from=origin`` means: the index of a stage, an image's name in full, or a context of files.

        A stage may be ``numbered`` in a COPY; a mount knows stages by their names only.
        """
        if "$" in origin:
            message = (
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from global"
            )
            raise DockerfileError(f"{message} scope as a workaround", at=at)
        if origin.lower() in self._by_name:
            return self._by_name[origin.lower()]
        if numbered and origin.isascii() and origin.isdigit():
            index = int(origin)
            if index >= len(self.nodes):
                raise DockerfileError(f"invalid stage index {index}", at=at)
            return index
        name = image_name(origin, at)
        context = look_up(self._contexts, origin)
        return name if context is None else context.image or context

    def connect(self, node: StageNode, instruction: Instruction) -> None:
        """Note what ``instruction`` needs of other stages and images."""
        for origin in _origins(instruction):
            found = self.source(origin, instruction.at, numbered=isinstance(instruction, Copy))
            if isinstance(found, int):
                reason = f"line {instruction.at.line} ({instruction.keyword}) takes files from it"
                node.needs.setdefault(found, reason)
                node.needed_at[found] = instruction.at  # of several BuildKit tells the last
            elif isinstance(found, NamedContext):
                self._others.add(found.vertex)
            elif found == SCRATCH:
                self._others.add(SCRATCH)
            else:
                self.images.setdefault(found, instruction.at)

    def needed(self, targets: Iterable[int]) -> dict[int, str]:
        """Give every stage that ``targets`` need, themselves included, with the reason in words."""
        reasons = dict.fromkeys(targets, "it is the target")
        todo = list(reasons)
        while todo:
            node = self.nodes[todo.pop()]
            for index, reason in node.needs.items():
                if index not in reasons:
                    reasons[index] = f"stage {node.label} needs it: {reason}"
                    todo.append(index)
        return reasons

    def _add(
        self, index: int, name: str, image: str, platform: str, at: At, instructions: list[Instruction], scope: Scope
    ) -> None:
        expanded = expand(image, scope.values, self.escape, at=at).text
        if not expanded:
            raise DockerfileError(f"base name ({image}) should not be blank", at=at)
        base_stage = self._by_name.get(expanded.lower()) if expanded in self._by_name else None
        base = SCRATCH if expanded == SCRATCH else expanded
        context = look_up(self._contexts, name) if name else None
        replaced = context is not None
        if replaced:
            base_stage, instructions = None, []  # the stage is not built at all
        elif base_stage is None and base != SCRATCH:
            base = image_name(expanded, at)
            context = look_up(self._contexts, expanded)
        if context is not None:
            base = context.image or SCRATCH
        wanted = expand(platform, scope.values, self.escape, at=at).text
        _check_platform(platform, wanted, at)
        body = [(instruction, False) for instruction in instructions]
        node = StageNode(index, name, base, base_stage, at, wanted, body, context, replaced)
        if base_stage is not None:
            node.needs[base_stage] = "its FROM names it"
        self.nodes.append(node)
        if name:
            self._by_name[name.lower()] = index

    def _refuse_circles(self) -> None:
        done: set[int] = set()
        for node in self.nodes:
            self._walk(node.index, done)

    def _walk(self, start: int, done: set[int]) -> None:
        """Go from stage to stage along what each needs, however many there are; ``done`` are those without circle."""
        path: dict[int, None] = {}  # where the walk stands, and how it came there
        waiting = [(start, 0)]
        while waiting:
            index, depth = waiting.pop()
            while len(path) > depth:
                done.add(path.popitem()[0])
            if index in path:
                raise self._circle(tuple(path), index)
            if index not in done:
                path[index] = None
                waiting += [(needed, len(path)) for needed in reversed(self.nodes[index].needs)]
        done.update(path)

    def _circle(self, path: tuple[int, ...], end: int) -> DockerfileError:
        """Name the stage where the walk began, and every instruction on its way, as BuildKit does."""
        ways = zip(path, (*path[1:], end), strict=True)
        places = [at for one, needed in ways if (at := self.nodes[one].needed_at.get(needed)) is not None]
        *others, last = places or [self.nodes[end].at]
        at = replace(last, also=tuple(line for other in others for line in other.lines))
        lines = " and ".join(str(place.line) for place in places[:_SHOWN])
        lines += f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
        hint = f"lines {lines} need each other" if len(places) > 1 else ""
        return DockerfileError(f"circular dependency detected on stage: {self.nodes[path[0]].label}", at=at, hint=hint)


def _check_platform(written: str, platform: str, at: At) -> None:
    if written and not platform:
        raise DockerfileError(f"empty platform value from expression {written}", at=at)
    if platform and not _PLATFORM.fullmatch(platform):
        message = f'failed to parse platform {written}: "{platform}": cannot parse platform specifier: invalid argument'
        raise DockerfileError(message, at=at, hint="write it like linux/amd64")


def image_name(text: str, at: At) -> str:
    """Give an image's name in full: ``docker.io/library/busybox:latest``. Raises DockerfileError."""
    if text == SCRATCH:
        return text
    try:
        return parse_reference(text).canonical()
    except InvalidReference as error:
        raise DockerfileError(f'failed to parse stage name "{text}": {error.message}', at=at) from error


def _origins(instruction: Instruction) -> Iterable[str]:
    """List what ``--from`` names in an instruction and its mounts.

    A mount without ``from=`` counts as one of scratch, as in BuildKit, where it is not known yet what it is.
    """
    if isinstance(instruction, Copy) and instruction.from_:
        yield instruction.from_
    if isinstance(instruction, Run):
        yield from (mount.from_ or SCRATCH for mount in instruction.mounts)
