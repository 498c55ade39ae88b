"""Errors point at lines, and at columns where an instruction has one line."""

from __future__ import annotations

import pytest

from dockersim.dockerfile import parse
from dockersim.errors import DockerfileError


@pytest.mark.parametrize(
    ("text", "lines", "columns", "said"),
    [
        ("FORM x", (1, 1), (1, 4), "Dockerfile:1: unknown instruction: FORM; did you mean FROM?"),
        ("FROM x\n  COPY --frm=y a b", (2, 2), (8, 12), "Dockerfile:2: unknown flag: --frm; did you mean --from?"),
        (
            "FROM x\nENV A=1 B",
            (2, 2),
            (9, 9),
            'Dockerfile:2: Syntax error - can\'t find = in "B". Must be of the form: name=value',
        ),
        ("FROM x\nUSER", (2, 2), (1, 4), "Dockerfile:2: USER requires exactly one argument"),
        ("FROM x\nUSER \\\n\n", (2, 3), (None, None), "Dockerfile:2: USER requires exactly one argument"),
        (
            "FROM x\nRUN <<EOF\na",
            (2, 3),
            (None, None),
            "Dockerfile:2: unterminated heredoc; it ends at a line that is just EOF",
        ),
    ],
)
def test_place(text: str, lines: tuple[int, int], columns: tuple[int | None, int | None], said: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        assert parse(text).stages == ()
    at = caught.value.at
    assert at is not None
    assert (at.line, at.last_line) == lines
    assert (at.column, at.last_column) == columns
    assert str(caught.value) == said


def test_nothing_but_arg_before_from() -> None:
    with pytest.raises(DockerfileError) as caught:
        assert parse("ARG A\nRUN x\nFROM y").stages == ()
    assert str(caught.value).startswith("Dockerfile:2: no build stage in current context")
