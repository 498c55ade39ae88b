"""The tree of commands: what there is, what is imported, what is said to slips of the finger."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from dockersim.cli.main import COMMANDS, COMMON, CONTAINER, DOCKERS_ALONE, IMAGE, OURS, main

from .conftest import Run, environment

ISSUE = (
    *(
        "build",
        "images",
        "history",
        "inspect",
        "tag",
        "rmi",
        "login",
        "logout",
        "push",
        "pull",
        "save",
        "load",
        "import",
    ),
    *(
        "run",
        "ps",
        "logs",
        "stop",
        "rm",
        "exec",
        "info",
        "version",
        "plan",
        "context",
        "step",
        "base",
        "registry",
        "lab",
        "demo",
    ),
)


@pytest.mark.parametrize("name", ISSUE)
def test_every_command_is_there_and_explains_itself(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"Usage: dockersim {name} ")


@pytest.mark.parametrize("group,names", [("image", IMAGE), ("container", CONTAINER)])
def test_management_commands_are_the_short_ones(group: str, names: dict[str, tuple[str, str]]) -> None:
    context = click.Context(main)
    parent = main.get_command(context, group)
    assert isinstance(parent, click.Group)
    for name in names:
        assert isinstance(parent.get_command(context, name), click.Command), name
    assert parent.get_command(context, "list") is parent.get_command(context, "ls")


@pytest.mark.parametrize("name", [*COMMON, *COMMANDS, *OURS])
def test_the_listed_help_is_the_commands_own(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None and command.help
    listed = {**COMMON, **COMMANDS, **OURS}[name][1]
    assert listed[0].isupper() and not listed.endswith(".")


def test_without_arguments_it_helps(run: Run) -> None:
    result = run()
    assert result.exit_code == 0
    assert "Not in docker:" in result.stdout


@pytest.mark.parametrize(
    "words,code,said",
    [
        (["biuld"], 1, "dockersim: unknown command: dockersim biuld; did you mean build?"),
        (["image", "lss"], 1, "dockersim: unknown command: dockersim image lss; did you mean ls?"),
        (["build"], 1, "dockersim: 'dockersim build' requires 1 argument"),
        (["build", "--nope", "."], 125, "unknown flag: --nope"),
        (["build", ".", "--tag"], 125, "flag needs an argument: --tag"),
        (["build", "--progress", "loud", "."], 125, "Invalid value for '--progress'"),
        (["tag", "a"], 1, "dockersim: 'dockersim tag' requires 2 arguments"),
        (["rmi"], 1, "dockersim: 'dockersim rmi' requires at least 1 argument"),
        (["login", "a", "b"], 1, "dockersim: 'dockersim login' requires at most 1 argument"),
        (["images", "-x"], 125, "unknown shorthand flag: -x"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_was_typed_wrong_is_told_as_docker_tells_it(run: Run, words: list[str], code: int, said: str) -> None:
    result = run(*words)
    assert result.exit_code == code
    assert result.stderr.startswith(said)
    assert "--help' for more information" in result.stderr or said.startswith("flag needs")
    assert not result.stdout


@pytest.mark.parametrize(
    "command,said",
    [
        ("search", "dockersim has no 'docker search'; dockersim registry status lists what can be pulled\n"),
        ("volume", "dockersim has no 'docker volume'\n"),
    ],
)
def test_dockers_commands_that_are_not_here_are_known(run: Run, command: str, said: str) -> None:
    result = run(command, "--help")
    assert (result.exit_code, result.stderr) == (1, said)
    assert not set(DOCKERS_ALONE) & set(main.list_commands(click.Context(main)))


HEAVY = (
    "rich",
    "httpx",
    "starlette",
    "uvicorn",
    "jsonschema",
    "asyncio",
    "IPython",
    "jupyterlab",
    "ssl",
    "importlib.metadata",
)


def test_a_cached_build_imports_nothing_that_it_does_not_need(root: Path, app: Path) -> None:
    program = (
        "import sys\nfrom dockersim.cli.main import main\n"
        f"assert main.main(['build', '-q', '-t', 'app', {str(app)!r}], standalone_mode=False) == 0\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment(root), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[1] == ""


def test_version_is_told_in_both_ways(run: Run) -> None:
    assert run("--version").stdout.startswith("dockersim version ")
    assert "Python version:" in run("version").stdout


def test_info_tells_every_rung_with_a_reason(run: Run, app: Path) -> None:
    assert "nothing has been built here yet" in run("info").stdout
    run("build", app)
    said = run("info").stdout
    for rung in ("namespaces", "userns", "chroot", "proot", "none"):
        line = next(line for line in said.splitlines() if line.strip(" *").startswith(rung))
        assert "works" in line or "no: " in line
    assert "Images: 1" in said and "* " in said


def test_info_of_a_rung_that_is_asked_for(run: Run) -> None:
    assert "* none" in run("info", "--sandbox", "none").stdout
    refused = run("info", "--sandbox", "moon")
    assert refused.exit_code == 1
    assert refused.stderr == "no sandbox is called moon; choose one of namespaces, userns, chroot, proot, none\n"
