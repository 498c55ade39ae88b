"""The cases of instructions.json that take a build: configs, variables, and at which line an error stands."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from dockersim import DockersimError, Engine
from dockersim.errors import DockerfileError
from dockersim.oci import ContainerConfig
from dockersim.solver.configure import with_env
from tests.recorded import Case, cases

FILE = "instructions.json"


def built(text: str, build_args: dict[str, str] | None = None) -> ContainerConfig:
    """Build ``text`` in a root of its own and return what the image says of its container."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        context = Path(name, "context")
        (context / "dir").mkdir(parents=True)
        for file in ("f1", "f2"):
            (context / file).write_text(file)
        finished = Engine(Path(name, "root"), environment={}).build(context, text=text, build_args=build_args).finish()
        assert finished.config is not None
        return finished.config.config


@cases(FILE, "convert_ok")
def test_a_good_build_has_this_config(case: Case) -> None:
    text = case["dockerfile"]
    for name in ("f1", "f2"):  # upstream converts and does not build: its stages do not hold what is copied from them
        text = text.replace("ENV FOO bar", f"COPY {name} /\nENV FOO bar") if f" {name} " in text else text
    assert built(text, case["build_args"]).as_json() == case["observed_image_config"]


@cases(FILE, "convert_error")
def test_a_build_that_cannot_be_planned(case: Case) -> None:
    with pytest.raises(DockerfileError) as caught:
        built(case["dockerfile"], case["build_args"])
    assert caught.value.message == case["observed_error"]


@cases(FILE, "build_error_lines")
def test_the_error_stands_at_this_line(case: Case) -> None:
    with pytest.raises(DockersimError) as caught:
        built(case["dockerfile"])
    assert caught.value.at is not None
    assert list(caught.value.at.lines) == case["expected_error_lines"]


@cases(FILE, "add_env")
def test_a_variable_that_is_set_again_keeps_its_place(case: Case) -> None:
    assert list(with_env(tuple(case["env"]), case["key"], case["value"])) == case["expected"]


@cases(FILE, "parse_key_value")
def test_an_empty_value_is_a_value(case: Case) -> None:
    name, value = case["expected"]
    environment = dict(pair.split("=", 1) for pair in built(f"FROM scratch\nENV {case['input']}\nENV x=[${name}]").env)
    assert (environment[name], environment["x"]) == (value, f"[{value}]")


@cases(FILE, "args_vs_env")
def test_env_wins_over_arg(case: Case) -> None:
    if len({name for name, _ in case["args"]}) < len(case["args"]):
        pytest.skip("by design: it asks a function of BuildKit's tests; in a build the last ARG of a name wins")
    args = [f"ARG {name}" if value is None else f"ARG {name}={value}" for name, value in case["args"]]
    names = {*case["expected"], *(name for name, _ in case["args"])}
    seen = [f"ENV seen_{name}=${{{name}-unset}}" for name in names]
    text = "\n".join(["FROM scratch", *args, *(f"ENV {pair}" for pair in case["env"]), *seen])
    environment = dict(pair.split("=", 1) for pair in built(text).env)
    assert {name: environment[f"seen_{name}"] for name in names} == {
        name: case["expected"].get(name, "unset") for name in names
    }


@pytest.mark.parametrize("name", ["docker/dockerfile:1", "mirror.gcr.io/docker/dockerfile:1.9-labs", "me/dockerfile"])
def test_frontends_for_dockerfiles_are_dockersim(name: str) -> None:
    assert built(f"# syntax={name}\nFROM scratch\nENV A=1").env[-1] == "A=1"


@pytest.mark.parametrize("name", ["docker/gha", "Not A Name", "dockerfile/other:1"])
def test_other_frontends_are_refused_where_they_are_named(name: str) -> None:
    with pytest.raises(DockerfileError, match="is not supported") as caught:
        built(f"#!/bin/x\n# syntax={name}\nFROM scratch\nENV A=1")
    assert caught.value.at is not None and caught.value.at.line == 2
    with pytest.raises(DockerfileError, match="frontend docker/gha is not supported") as caught:
        built("FROM scratch\nENV A=1", {"BUILDKIT_SYNTAX": "docker/gha"})
    assert caught.value.at is None
