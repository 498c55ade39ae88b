"""The checks that follow a stage from instruction to instruction, with the environment each of them would see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct, field

from dockersim.dockerfile import rules
from dockersim.dockerfile.checkinstruction import Found, ignored_sources, legacy_format, ports, secret
from dockersim.dockerfile.gotext import quote
from dockersim.dockerfile.ignore import IgnoreRules
from dockersim.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Run,
    Shell,
    ShellForm,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from dockersim.dockerfile.rules import Findings, Rule
from dockersim.dockerfile.suggest import nearest
from dockersim.dockerfile.words import HEREDOC_BODY, WORD, ExpansionError, Lexing, expand, expand_words

# BuildKit's own switches, which never reach the environment of a RUN.
_NEVER_SET: Final = ("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE")


class StageState(Struct):
    """What a stage hands on to the stages built from it: variables, declared names, and whether things were set."""

    env: dict[str, str]
    declared: set[str] = field(default_factory=set)
    workdir: bool = False
    shell: bool = False

    def copy(self) -> StageState:
        """Start a stage from this one."""
        return StageState(dict(self.env), set(self.declared), self.workdir, self.shell)


class StageChecker(Struct, frozen=True):
    """Takes the instructions of one stage in order; ``values`` are the ARGs from before the first FROM."""

    findings: Findings
    state: StageState
    escape: str
    build_args: Mapping[str, str]
    values: Mapping[str, str]
    ignore: IgnoreRules
    once: dict[type, Instruction] = field(default_factory=dict)

    def check(self, instruction: Instruction) -> None:
        """Check one instruction, and let it change the state; DockerfileError where a build would stop."""
        match instruction:
            case Env():
                self._env(instruction)
            case Arg():
                self._arg(instruction)
            case Label():
                for pair in instruction.pairs:
                    self._expand(instruction, pair.name, pair.value)
                self._found(instruction, legacy_format(instruction))
            case Copy() | Add():
                self._copy(instruction)
            case Run():
                for mount in instruction.mounts:
                    mount.resolve(lambda word: self._expand(instruction, word)[0])
            case Workdir():
                self._workdir(instruction)
            case User():
                self._expand(instruction, instruction.user)
            case StopSignal():
                self._expand(instruction, instruction.signal)
            case Volume():
                self._expand(instruction, *instruction.paths)
            case Expose():
                for word in instruction.ports:
                    specs = expand_words(word, self.state.env, self.escape, at=instruction.at)
                    self._found(instruction, ports(specs))
            case Shell():
                self.state.shell = True
            case Cmd() | Entrypoint():
                self._only_one(instruction)
                self._command(instruction)
            case Healthcheck():
                self._only_one(instruction)
            case _:
                pass  # FROM, MAINTAINER and ONBUILD have nothing that depends on what stands above

    def _found(self, instruction: Instruction, findings: Iterable[tuple[Rule, str]]) -> None:
        for rule, message in findings:
            self.findings.add(rule, message, instruction.at, instruction.comments)

    def _expand(self, instruction: Instruction, *words: str, lexing: Lexing = WORD) -> list[str]:
        """Expand words, and report variables that are neither set nor declared."""
        escape = self.escape if lexing is WORD else "\\"
        texts = []
        for word in words:
            try:
                expansion = expand(word, self.state.env, escape, lexing=lexing, at=instruction.at)
            except ExpansionError as error:
                self._found(instruction, self._undefined(error.unset))
                raise
            self._found(instruction, self._undefined(expansion.unset))
            texts.append(expansion.text)
        return texts

    def _undefined(self, names: Iterable[str]) -> Found:
        for name in names:
            if name not in self.state.declared and name not in _NEVER_SET:
                suggestion = nearest(name, self.state.env)
                message = f"Usage of undefined variable '${name}'"
                yield rules.UNDEFINED_VAR, message + (f" (did you mean ${suggestion}?)" if suggestion else "")

    def _env(self, instruction: Env) -> None:
        pairs = [self._expand(instruction, pair.name, pair.value) for pair in instruction.pairs]
        self._found(instruction, legacy_format(instruction))
        for name, value in pairs:
            self._found(instruction, secret("ENV", name))
            self.state.env[name] = value

    def _arg(self, instruction: Arg) -> None:
        for one in instruction.declarations:
            self._found(instruction, secret("ARG", one.name))
            value = self.build_args.get(one.name)
            if value is None and one.default is not None:
                (value,) = self._expand(instruction, one.default)
            elif value is None:
                value = self.values.get(one.name)
            if value is not None and one.name not in _NEVER_SET:
                self.state.env[one.name] = value
            self.state.declared.add(one.name)

    def _copy(self, instruction: Copy | Add) -> None:
        checksum = [instruction.checksum] if isinstance(instruction, Add) else []
        self._expand(instruction, instruction.chown, instruction.chmod, *checksum)
        sources = self._expand(instruction, *instruction.sources)
        self._expand(instruction, instruction.destination)
        for heredoc in instruction.heredocs:
            if heredoc.expand:
                self._expand(instruction, heredoc.body, lexing=HEREDOC_BODY)
        if isinstance(instruction, Add) or not instruction.from_:
            self._found(instruction, ignored_sources(instruction, sources, self.ignore))

    def _workdir(self, instruction: Workdir) -> None:
        (path,) = self._expand(instruction, instruction.path)
        if not self.state.workdir and not path.startswith("/"):
            problem = "can have unexpected results if the base image changes"
            self._found(instruction, [(rules.WORKDIR_RELATIVE_PATH, f"Relative workdir {quote(path)} {problem}")])
        self.state.workdir = True

    def _command(self, instruction: Cmd | Entrypoint) -> None:
        if isinstance(instruction.command, ShellForm) and not self.state.shell:
            problem = "to prevent unintended behavior related to OS signals"
            message = f"JSON arguments recommended for {instruction.keyword} {problem}"
            self._found(instruction, [(rules.JSON_ARGS_RECOMMENDED, message)])

    def _only_one(self, instruction: Instruction) -> None:
        """The one before is the one that does not count, so that is where the finding stands."""
        if earlier := self.once.get(type(instruction)):
            problem = "instructions should not be used in the same stage because only the last one will be used"
            message = f"Multiple {instruction.keyword} {problem}"
            self.findings.add(rules.MULTIPLE_INSTRUCTIONS_DISALLOWED, message, earlier.at, instruction.comments)
        self.once[type(instruction)] = instruction
