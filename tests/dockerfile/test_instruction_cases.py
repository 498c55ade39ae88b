"""The cases of instructions.json that ask about one instruction; those that take a build stand in tests/engine."""

from __future__ import annotations

from typing import Any, assert_never

import pytest

from dockersim.dockerfile import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    From,
    Healthcheck,
    Heredoc,
    Instruction,
    Label,
    Maintainer,
    Node,
    OnBuild,
    Pair,
    Run,
    Shell,
    StopSignal,
    Switch,
    User,
    Volume,
    Workdir,
    parse,
    parse_instruction,
    parse_ports,
)
from dockersim.dockerfile.flags import Flags, Kind, read_flags
from dockersim.dockerfile.interpreter import interpret
from dockersim.dockerfile.mounts import parse_device
from dockersim.errors import DockerfileError
from dockersim.source import At
from tests.recorded import cases, kinds

FILE = "instructions.json"
Case = dict[str, Any]
SWITCHES = {Switch.UNSET: None, Switch.ON: True, Switch.OFF: False}


def fields(instruction: Instruction) -> Case:
    """Write an instruction as the recorder wrote BuildKit's."""
    match instruction:
        case Add():
            more = {
                "Checksum": instruction.checksum,
                "KeepGitDir": SWITCHES[instruction.keep_git_dir],
                "Unpack": SWITCHES[instruction.unpack],
            }
            return copying(instruction) | more
        case Copy():
            return copying(instruction) | {"From": instruction.from_, "Parents": instruction.parents}
        case Arg():
            keys = [{"DocComment": one.doc, "Key": one.name, "Value": one.default} for one in instruction.declarations]
            return {"Args": keys}
        case Cmd() | Entrypoint():
            return command(instruction.command, ())
        case Run():
            return command(instruction.command, instruction.heredocs) | {"FlagsUsed": list(instruction.given)}
        case Env():
            return {"Env": pairs(instruction.pairs)}
        case Label():
            return {"Labels": pairs(instruction.pairs)}
        case Expose():
            return {"Ports": list(instruction.ports)}
        case Volume():
            return {"Volumes": list(instruction.paths)}
        case User():
            return {"User": instruction.user}
        case Workdir():
            return {"Path": instruction.path}
        case StopSignal():
            return {"Signal": instruction.signal}
        case Maintainer():
            return {"Maintainer": instruction.author}
        case OnBuild():
            return {"Expression": instruction.trigger}
        case Shell():
            return {"Shell": list(instruction.argv)}
        case Healthcheck():
            return {"Health": health(instruction)}
        case From():
            return {"BaseName": instruction.image}
        case _:
            assert_never(instruction)


def copying(instruction: Add | Copy) -> Case:
    contents = [{"path": one.name, "data": one.body, "expand": one.expand} for one in instruction.heredocs]
    return {
        "Chmod": instruction.chmod,
        "Chown": instruction.chown,
        "DestPath": instruction.destination,
        "ExcludePatterns": list(instruction.excludes) or None,
        "Link": instruction.link,
        "SourceContents": contents or None,
        "SourcePaths": list(instruction.sources),
    }


def command(given: Command, heredocs: tuple[Heredoc, ...]) -> Case:
    line = list(given.argv) if isinstance(given, ExecForm) else [given.text]
    return {"CmdLine": line, "Files": list(heredocs) or None, "PrependShell": not isinstance(given, ExecForm)}


def pairs(given: tuple[Pair, ...]) -> list[Case]:
    return [{"Key": pair.name, "Value": pair.value, "NoDelim": pair.old_form} for pair in given]


def health(instruction: Healthcheck) -> Case:
    numbers = {
        "Interval": instruction.interval,
        "Timeout": instruction.timeout,
        "StartPeriod": instruction.start_period,
        "StartInterval": instruction.start_interval,
        "Retries": instruction.retries,
    }
    return {"Test": list(instruction.test)} | {key: value for key, value in numbers.items() if value}


def as_buildkit_says(error: DockerfileError) -> str:
    """Join message and suggestion the way BuildKit does."""
    if not error.hint.startswith("did you mean"):
        return error.message
    return f"{error.message} ({error.hint.replace('--', '')})"


def in_a_build(case: Case) -> str:
    return f"FROM busybox\n{case['dockerfile']}" if case.get("single_instruction") else case["dockerfile"]


@cases(FILE, "instruction_error")
def test_error(case: Case) -> None:
    for text in (case["dockerfile"], in_a_build(case)):
        with pytest.raises(DockerfileError) as caught:
            assert parse(text).instructions == ()
        assert as_buildkit_says(caught.value) == case["observed_error"]
        assert case["expected_error"] in caught.value.message
    assert caught.value.at is not None and caught.value.at.line == 2


@cases(FILE, "node_error")
def test_node_that_no_text_gives(case: Case) -> None:
    keyword, *arguments = case["node"]
    with pytest.raises(DockerfileError) as caught:
        interpret(Node(keyword, "", At("Dockerfile", 1), arguments=tuple(arguments)))
    assert caught.value.message == case["expected_error"]


@cases(FILE, "copy_heredoc")
def test_copy_with_heredocs(case: Case) -> None:
    copy = fields(parse_instruction(case["dockerfile"]))
    found = {"dest": copy["DestPath"], "sources": copy["SourcePaths"], "inline": copy["SourceContents"] or []}
    assert found == case["expected"]


@cases(FILE, "run_heredoc")
def test_run_with_heredocs(case: Case) -> None:
    run = parse_instruction(case["dockerfile"])
    assert isinstance(run, Run)
    files = [{"name": one.name, "data": one.content, "chomp": one.chomp} for one in run.heredocs]
    found = fields(run)
    assert found["PrependShell"] is case["expected"]["shell_form"]
    assert found["CmdLine"] == case["expected"]["command"]
    assert files == case["expected"]["files"]


@cases(FILE, "ok")
def test_good_instruction(case: Case) -> None:
    assert fields(parse_instruction(case["dockerfile"])) == case["observed"]


@cases(FILE, "matrix")
def test_matrix(case: Case) -> None:
    if case["observed_error"]:
        with pytest.raises(DockerfileError) as caught:
            assert parse(case["dockerfile"]).stages == ()
        assert (
            as_buildkit_says(caught.value) == case["observed_error"].partition("line 2: ")[2] or case["observed_error"]
        )
        assert caught.value.at is not None and list(caught.value.at.lines) == [2]
        return
    stages = parse(case["dockerfile"]).stages
    seen = case["observed_command"]
    if "stages" in seen:
        assert len(stages) == seen["stages"]
        return
    (instruction,) = stages[0].instructions
    assert fields(instruction) == seen["fields"]
    assert (instruction.keyword, instruction.raw, instruction.at.line) == (seen["name"], seen["string"], seen["line"])


@cases(FILE, "doc_comments")
def test_doc_comments(case: Case) -> None:
    dockerfile = parse(case["dockerfile"])
    assert [fields(arg) for arg in dockerfile.global_args] == [
        {"Args": meta["Args"]} for meta in case["observed"]["meta"]
    ]
    for stage, seen in zip(dockerfile.stages, case["observed"]["stages"], strict=True):
        assert (stage.name, stage.from_.doc, stage.from_.image) == (seen["name"], seen["comment"], seen["base"])
        assert [fields(one) for one in stage.instructions] == [one["fields"] for one in seen["commands"]]


@cases(FILE, "run_device")
def test_device(case: Case) -> None:
    if case["expected_error"]:
        with pytest.raises(DockerfileError) as caught:
            parse_device(case["value"])
        assert caught.value.message == case["expected_error"]
        return
    device = parse_device(case["value"])
    assert {"name": device.name, "required": device.required} == case["expected"]


@cases(FILE, "bflag")
def test_flags(case: Case) -> None:
    known = {name: Kind.SWITCH if kind == "bool" else Kind.TEXT for name, (kind, _) in case["defs"].items()}
    words = [word for word in case["args"] if word != "--"]  # which the parser takes away
    if case["expected_error"]:
        with pytest.raises(DockerfileError):
            read_flags(words, known)
        return
    flags = read_flags(words, known)
    values = {name: value(flags, name, *case["defs"][name]) for name in known}
    assert values == (values if case["expected_values"] is None else case["expected_values"])
    assert case["expected_used"] is None or sorted(flags.given) == sorted(case["expected_used"])


def value(flags: Flags, name: str, kind: str, default: Any) -> Any:
    return flags.is_on(name) if kind == "bool" else flags.text(name, default)


@cases(FILE, "expose_spec", "expose_specs")
def test_ports(case: Case) -> None:
    specs = case.get("specs", [case.get("spec")])
    if case.get("expected_error"):
        with pytest.raises(DockerfileError) as caught:
            [parse_ports(spec) for spec in specs]
        assert caught.value.message == (case.get("observed_error") or case["expected_error"])
        return
    assert [port for spec in specs for port in parse_ports(spec)] == case["expected"]


def test_every_kind_of_case_is_run_here_or_there() -> None:
    there = {"convert_error", "add_env", "parse_key_value", "args_vs_env", "convert_ok", "build_error_lines"}
    assert kinds(FILE) <= there | {
        "instruction_error", "node_error", "copy_heredoc", "run_heredoc", "ok", "matrix", "doc_comments", "run_device",
        "bflag", "expose_spec", "expose_specs",
    }  # fmt: skip
