"""A whole Dockerfile: its nodes, and the stages they make.

`parse` reports what is wrong with the syntax. What the instructions mean is asked for with
`Dockerfile.stages`, which reports unknown instructions, flags and the like; BuildKit has the same two passes.
"""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from dockersim.dockerfile.directives import Directive, detect_syntax, find_directive
from dockersim.dockerfile.instructions import Arg, From, Instruction
from dockersim.dockerfile.interpreter import interpret
from dockersim.dockerfile.node import Node
from dockersim.dockerfile.parser import ContinuationWarning, Parser
from dockersim.errors import DockerfileError


class Stage(Struct, frozen=True):
    """A FROM and the instructions up to the next one; ``name`` is in lower case, empty where there is none."""

    index: int
    from_: From
    instructions: tuple[Instruction, ...] = ()

    @property
    def name(self) -> str:
        return self.from_.name


class Dockerfile(Struct, frozen=True, dict=True):
    """A parsed Dockerfile."""

    text: str
    nodes: tuple[Node, ...]
    file: str = "Dockerfile"
    escape: str = "\\"
    directives: tuple[Directive, ...] = ()
    warnings: tuple[ContinuationWarning, ...] = ()

    def dump(self) -> str:
        """Write the nodes as BuildKit's parser dump does, one to a line."""
        return "".join(f"{node.dump()}\n" for node in self.nodes)

    @property
    def syntax(self) -> Directive | None:
        """The ``# syntax=`` directive, also behind a ``#!`` line, as ``//`` comment or in JSON."""
        return detect_syntax(self.text)

    @property
    def check(self) -> Directive | None:
        """The ``# check=`` directive, also behind a ``#!`` line."""
        return find_directive(self.text, "check")

    @cached_property
    def instructions(self) -> tuple[Instruction, ...]:
        """Every instruction, typed, in order; DockerfileError at the first that is wrong."""
        return tuple(map(interpret, self.nodes))

    @cached_property
    def global_args(self) -> tuple[Arg, ...]:
        """The ARGs before the first FROM."""
        return self._parts[0]

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages; DockerfileError if any instruction is wrong or stands before the first FROM."""
        return self._parts[1]

    @cached_property
    def _parts(self) -> tuple[tuple[Arg, ...], tuple[Stage, ...]]:
        global_args: list[Arg] = []
        stages: list[tuple[From, list[Instruction]]] = []
        for node in self.nodes:
            instruction = interpret(node)
            if isinstance(instruction, From):
                stages.append((instruction, []))
            elif stages:
                stages[-1][1].append(instruction)
            elif isinstance(instruction, Arg):
                global_args.append(instruction)
            else:
                hint = "only ARG may stand before the first FROM"
                raise DockerfileError("no build stage in current context", at=instruction.at, hint=hint)
        numbered = (Stage(index, from_, tuple(body)) for index, (from_, body) in enumerate(stages))
        return tuple(global_args), tuple(numbered)


def parse(text: str, *, file: str = "Dockerfile") -> Dockerfile:
    """Parse the text of a Dockerfile; DockerfileError where its syntax is wrong."""
    parser = Parser(text, file)
    parser.run()
    return Dockerfile(text, tuple(parser.nodes), file, parser.escape, parser.directives, tuple(parser.warnings))


def parse_instruction(text: str, *, file: str = "Dockerfile") -> Instruction:
    """Parse one instruction alone, such as the trigger of an ONBUILD; a backslash is the escape character."""
    nodes = parse(text, file=file).nodes
    if len(nodes) != 1:
        raise DockerfileError("onbuild trigger should be a single expression", at=nodes[1].at)
    return interpret(nodes[0])
