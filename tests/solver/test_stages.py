"""Stages and what they need of each other."""

from __future__ import annotations

import pytest

from dockersim.dockerfile import parse
from dockersim.errors import DockerfileError
from dockersim.solver.scope import Scope
from dockersim.solver.stages import Stages

COUNT = 3000


def _chain(end: str) -> str:
    """Give a Dockerfile in which every stage takes files from the next one."""
    stages = [f"FROM scratch AS s{number}\nCOPY --from=s{number + 1} /x /y\n" for number in range(COUNT)]
    return "".join(stages) + f"FROM scratch AS s{COUNT}\n{end}"


def test_a_chain_of_thousands_of_stages_is_followed_to_its_end() -> None:
    assert len(Stages(parse(_chain("")), Scope()).needed([0])) == COUNT + 1


def test_a_circle_names_every_line_on_the_way() -> None:
    with pytest.raises(DockerfileError, match="circular dependency detected on stage: s0") as caught:
        Stages(parse(_chain("COPY --from=s0 /x /y")), Scope())
    assert caught.value.at is not None
    assert list(caught.value.at.lines) == list(range(2, 2 * COUNT + 3, 2))


def test_a_mount_is_a_second_source() -> None:
    text = "FROM scratch\nRUN {} true"
    assert Stages(parse(text.format("")), Scope()).single
    assert not Stages(parse(text.format("--mount=type=tmpfs,target=/t")), Scope()).single


@pytest.mark.parametrize(
    "text",
    ["FROM scratch AS a\nCOPY --from=a x y\nLABEL l=1\nRUN --mount=from=a,target=/m x\n",
     "FROM scratch AS a\nCOPY --from=b x y\n# two\nCOPY --from=b z z\nFROM a AS b\n"],
)  # fmt: skip
def test_of_several_lines_that_make_a_circle_the_last_is_told(text: str) -> None:
    with pytest.raises(DockerfileError, match="circular dependency detected on stage: a") as caught:
        Stages(parse(text), Scope())
    assert caught.value.at is not None and list(caught.value.at.lines) == [4]


def test_a_target_that_is_not_there_is_told_before_a_circle() -> None:
    with pytest.raises(DockerfileError, match='target stage "b" could not be found'):
        Stages(parse("FROM scratch AS a\nCOPY --from=a x y\n"), Scope(), target="b")
