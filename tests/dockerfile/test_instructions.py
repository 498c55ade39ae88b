"""Instructions as values, and what a RUN hands to its shell."""

from __future__ import annotations

import pytest

from dockersim.dockerfile import OnBuild, Run, User, Workdir, parse, parse_instruction
from dockersim.source import At


def run(text: str) -> Run:
    instruction = parse_instruction(text)
    assert isinstance(instruction, Run)
    return instruction


def test_equal_text_at_the_same_place_is_an_equal_instruction() -> None:
    assert run("RUN a") == run("RUN a")
    assert hash(run("RUN a")) == hash(run("RUN a"))
    assert run("RUN a") != run("RUN b")
    at = At("Dockerfile", 1)
    assert Workdir(at=at, raw="x", keyword="x", path="a") != User(at=at, raw="x", keyword="x", user="a")


def test_repr_shows_every_field() -> None:
    assert "user='app'" in repr(parse_instruction("USER app"))
    assert "keyword='USER'" in repr(parse_instruction("USER app"))


@pytest.mark.parametrize(
    ("text", "shell_text", "summary"),
    [
        ("RUN echo hi", "echo hi", ""),
        ("RUN a && \\\n    b", "a &&     b", ""),
        ("RUN <<EOF\nset -e\necho\nEOF\n", "set -e\necho\n", "set -e..."),
        ("RUN <<-EOF\n\techo\nEOF\n", "echo\n", "echo"),
        ("RUN <<EOF\n#!/bin/sh\necho\nEOF\n", "/dev/pipes/EOF", "#!/bin/sh..."),
        ("RUN cat <<EOF > /f\nbody\nEOF\n", "cat <<EOF > /f\nbody\nEOF", ""),
        ("RUN cat <<-EOF\n\tbody\nEOF\n", "cat <<-EOF\n\tbody\nEOF", ""),
        ('RUN ["a", "b"]', "", ""),
    ],
)
def test_what_the_shell_is_given(text: str, shell_text: str, summary: str) -> None:
    assert run(text).shell_text == shell_text
    assert run(text).summary == summary


def test_a_trigger_keeps_its_heredocs() -> None:
    (trigger,) = parse("FROM x\nONBUILD RUN <<EOF\na\nEOF\n").stages[0].instructions
    assert isinstance(trigger, OnBuild)
    assert run(trigger.trigger).shell_text == "a\n"


def test_every_public_name_is_there() -> None:
    from dockersim import dockerfile

    assert [name for name in dockerfile.__all__ if not hasattr(dockerfile, name)] == []
