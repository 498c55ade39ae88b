"""The build checks: what BuildKit warns of although it would build it.

BuildKit: frontend/dockerfile/dockerfile2llb/validations.go and the places in convert.go that call it. The checks follow
the stages as a build does, with the environment that each instruction would see, but look at no file and no image.

>>> for finding in check("FROM busybox AS Base\\nCMD echo hi\\n"):
...     print(finding.line, finding.rule)
1 StageNameCasing
2 JSONArgsRecommended
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct, field

from dockersim.dockerfile import rules
from dockersim.dockerfile.checkfrom import default_base, platform_flag, undeclared
from dockersim.dockerfile.checkinstruction import Found, as_it_is_read, casing_of_from
from dockersim.dockerfile.checkplatform import platform_args
from dockersim.dockerfile.checkstage import StageChecker, StageState
from dockersim.dockerfile.document import Dockerfile, Stage, parse
from dockersim.dockerfile.gotext import quote
from dockersim.dockerfile.ignore import NO_RULES, IgnoreRules
from dockersim.dockerfile.instructions import Arg, Copy, From, Instruction, Run
from dockersim.dockerfile.interpreter import interpret
from dockersim.dockerfile.node import Node
from dockersim.dockerfile.rules import CheckOptions, Finding, Findings
from dockersim.dockerfile.words import Expansion, ExpansionError, expand
from dockersim.errors import DockerfileError
from dockersim.source import At

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RESERVED: Final = ("context", "scratch")


class CheckReport(Struct, frozen=True):
    """Every finding, in order of lines; ``error`` is what stops a build: a mistake, or findings with ``error=true``.

    ``text`` is the Dockerfile that was checked, ``file`` its name.
    """

    findings: tuple[Finding, ...]
    error: DockerfileError | None = None
    text: str = ""
    file: str = "Dockerfile"


EnvironmentOf = Callable[[str], Mapping[str, str]]
"""Gives the variables of a base image by the name that FROM has for it; none where the image is not known."""


def check(
    text: str,
    *,
    build_args: Mapping[str, str] | None = None,
    target: str | None = None,
    ignore: IgnoreRules = NO_RULES,
    platform: str = "linux/amd64",
    environments: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Finding]:
    """List what the checks find in all stages; with a ``target``, in the stages that one needs.

    ``ignore`` are the rules of the context, ``environments`` the variables of base images by name, where known. A
    Dockerfile with a mistake is checked up to there; `check_report` says what the mistake is.
    """
    report = check_report(
        text, build_args=build_args, target=target, ignore=ignore, platform=platform, environments=environments
    )
    return list(report.findings)


def check_report(
    text: str,
    *,
    build_args: Mapping[str, str] | None = None,
    target: str | None = None,
    ignore: IgnoreRules = NO_RULES,
    platform: str = "linux/amd64",
    environments: Mapping[str, Mapping[str, str]] | None = None,
    environment_of: EnvironmentOf | None = None,
    file: str = "Dockerfile",
) -> CheckReport:
    """Check as `check` does, and also say what stops a build; ``target=""`` is the last stage.

    ``environment_of`` is asked for what ``environments`` would hold, but only about images that are needed.
    """
    known = environments or {}
    find = environment_of or (lambda name: known.get(name, {}))
    checker = _Checker(build_args or {}, target, ignore, platform, find)
    error: DockerfileError | None = None
    try:
        checker.run(parse(text, file=file))
    except DockerfileError as mistake:
        error = mistake
    findings = tuple(sorted(checker.findings, key=lambda finding: (finding.line, finding.message)))
    if error is None and checker.findings.options.error and findings:
        names = ", ".join(dict.fromkeys(finding.rule for finding in findings))
        hint = "mend them, or take error=true out of the check directive"
        error = DockerfileError(f"lint violation found for rules: {names}", hint=hint)
    return CheckReport(findings, error, text, file)


class _Checker(Struct):
    """Goes through one Dockerfile."""

    build_args: Mapping[str, str]
    target: str | None
    ignore: IgnoreRules
    platform: str
    environment_of: EnvironmentOf
    findings: Findings = field(default_factory=lambda: Findings(CheckOptions()))
    escape: str = "\\"
    states: dict[int, StageState] = field(default_factory=dict)

    def run(self, dockerfile: Dockerfile) -> None:
        self.escape = dockerfile.escape
        self.findings.options = _options(dockerfile, self.build_args.get("BUILDKIT_DOCKERFILE_CHECK"))
        for warning in dockerfile.warnings:
            self.findings.add(rules.NO_EMPTY_CONTINUATION, "Empty continuation line", At(dockerfile.file, warning.line))
        for node in dockerfile.nodes:  # what is found before a mistake still counts
            self.found(node, casing_of_from(node))
            instruction = interpret(node)
            self.found(instruction, as_it_is_read(instruction))
        if not dockerfile.stages:
            raise DockerfileError("dockerfile contains no stages to build")
        self.names(dockerfile.stages)
        self.casing(dockerfile.stages)
        self.builds(dockerfile.stages, dockerfile.global_args)

    def found(self, instruction: Instruction | Node, findings: Found) -> None:
        for rule, message in findings:
            self.findings.add(rule, message, instruction.at, instruction.comments)

    def names(self, stages: tuple[Stage, ...]) -> None:
        seen: set[str] = set()
        for stage in stages:
            name, at = stage.name, stage.from_.at
            if name in _RESERVED:
                message = f"Stage name should not use the same name as reserved stage {quote(name)}"
                self.findings.add(rules.RESERVED_STAGE_NAME, message, at)
            if name in seen:
                message = f"Duplicate stage name {quote(name)}, stage names should be unique"
                self.findings.add(rules.DUPLICATE_STAGE_NAME, message, at)
            seen |= {name} - {""}

    def casing(self, stages: tuple[Stage, ...]) -> None:
        instructions = [one for stage in stages for one in (stage.from_, *stage.instructions)]
        lower = sum(one.keyword == one.keyword.lower() for one in instructions)
        upper = sum(one.keyword == one.keyword.upper() for one in instructions)
        style = "lowercase" if lower > upper else "uppercase"
        for one in instructions:
            if one.keyword != (one.keyword.lower() if lower > upper else one.keyword.upper()):
                message = f"Command '{one.keyword}' should match the case of the command majority ({style})"
                self.findings.add(rules.CONSISTENT_INSTRUCTION_CASING, message, one.at)

    def builds(self, stages: tuple[Stage, ...], global_args: tuple[Arg, ...]) -> None:
        """Follow the stages as a build does."""
        predefined = platform_args(self.platform, self.build_args, self.target or stages[-1].name)
        self.defaults(stages, global_args, predefined)
        values, declared = self.meta(global_args, predefined, self.build_args)
        bases = [self.base(stage.from_, values, declared) for stage in stages]
        names = _StageNames(stages)
        for index in sorted(self.needed(stages, names, bases)):
            self.stage(stages[index], names.find(bases[index], index), bases[index], values)

    def defaults(self, stages: tuple[Stage, ...], global_args: tuple[Arg, ...], predefined: Mapping[str, str]) -> None:
        try:
            values, _ = self.meta(global_args, predefined, {})
        except DockerfileError:
            return  # the build meets the same mistake, or was given the arguments that avoid it
        for stage in stages:
            for rule, message in default_base(stage.from_, values, self.escape):
                self.findings.add(rule, message, stage.from_.at)

    def meta(
        self, global_args: tuple[Arg, ...], predefined: Mapping[str, str], build_args: Mapping[str, str]
    ) -> tuple[dict[str, str], set[str]]:
        """Evaluate the ARGs before the first FROM; return the values, and every name that is declared."""
        values, declared = dict(predefined), set(predefined)
        for arg in global_args:
            for one in arg.declarations:
                declared.add(one.name)
                if one.name in build_args:
                    values[one.name] = build_args[one.name]
                elif one.default is not None:
                    values[one.name] = expand(one.default, values, self.escape, at=arg.at).text
        return values, declared

    def base(self, from_: From, values: Mapping[str, str], declared: set[str]) -> str:
        """Expand the name of the base, and look at the platform."""
        name = self.expand_from(from_, from_.image, values, declared)
        if not name.text:
            raise DockerfileError(f"base name ({from_.image}) should not be blank", at=from_.at)
        if from_.platform:
            platform = self.expand_from(from_, from_.platform, values, declared)
            self.found(from_, platform_flag(from_, platform, values))
        return name.text

    def expand_from(self, from_: From, word: str, values: Mapping[str, str], declared: set[str]) -> Expansion:
        try:
            expansion = expand(word, values, self.escape, at=from_.at)
        except ExpansionError as error:
            self.found(from_, undeclared(error.unset, declared))
            raise
        self.found(from_, undeclared(expansion.unset, declared))
        return expansion

    def needed(self, stages: tuple[Stage, ...], names: _StageNames, bases: list[str]) -> set[int]:
        """Say which stages are built: all, or those that the target is made of."""
        if self.target is None:
            return set(range(len(stages)))
        todo = [names.find(self.target, len(stages)) if self.target else len(stages) - 1]
        needed: set[int] = set()
        while todo:
            index = todo.pop()
            if index is not None and index not in needed:
                needed.add(index)
                todo.append(names.find(bases[index], index))
                todo += [names.find_or_count(source, index) for source in _sources(stages[index])]
        return needed

    def stage(self, stage: Stage, parent: int | None, base: str, values: Mapping[str, str]) -> None:
        if parent is None:
            state = StageState({"PATH": _PATH, **self.environment_of(base)})
        else:
            state = self.states[parent].copy()
        self.states[stage.index] = state
        checker = StageChecker(self.findings, state, self.escape, self.build_args, values, self.ignore)
        for instruction in stage.instructions:
            checker.check(instruction)


def _options(dockerfile: Dockerfile, asked: str | None) -> CheckOptions:
    """Read which checks run from the build argument, else from the directive."""
    try:
        if asked is not None:
            return CheckOptions.parse(asked)
        return CheckOptions.parse(dockerfile.check.reference) if dockerfile.check else CheckOptions()
    except DockerfileError as error:
        what = "check options" if asked is None else "build-arg:BUILDKIT_DOCKERFILE_CHECK"
        hint = "there are skip=, experimental= and error=, with ; between them"
        raise DockerfileError(f"failed to parse {what}: {error.message}", hint=hint) from error


class _StageNames:
    """Where the stages of each name stand, so that finding one takes no longer where there are many."""

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self.places: dict[str, list[int]] = {}
        for stage in stages:
            if stage.name:
                self.places.setdefault(stage.name, []).append(stage.index)

    def find(self, name: str, before: int) -> int | None:
        """Find the last stage of that name above ``before``."""
        places = self.places.get(name.lower(), [])
        above = bisect_left(places, before)
        return places[above - 1] if above else None

    def find_or_count(self, name: str, before: int) -> int | None:
        """Find a stage by its name or its number."""
        if name.isascii() and name.isdigit():
            return int(name) if len(name) < 9 and int(name) < before else None
        return self.find(name, before)


def _sources(stage: Stage) -> list[str]:
    """List what a stage copies and mounts from."""
    copies = [one.from_ for one in stage.instructions if isinstance(one, Copy)]
    mounts = [mount.from_ for one in stage.instructions if isinstance(one, Run) for mount in one.mounts]
    return [source for source in (*copies, *mounts) if source]
