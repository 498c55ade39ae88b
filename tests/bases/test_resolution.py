"""Who answers for an image, and what is said when nobody does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dockersim.bases import (
    STAND_IN_LABEL,
    AskedOnce,
    UnreachableRegistries,
    advice,
    registry_title,
    resolve,
    stand_in_note,
)
from dockersim.errors import AccessDenied, ImageNotFound, RegistryError
from dockersim.oci import Reference, parse_reference

UBUNTU = parse_reference("ubuntu")
DOWN = RegistryError("connection timed out")


@dataclass
class Source:
    """A source that gives one answer, and counts how often it was asked."""

    name: str
    answer: str | RegistryError | None = None
    asked: list[Reference] = field(default_factory=list)

    def find(self, reference: Reference) -> str | None:
        self.asked.append(reference)
        if isinstance(self.answer, RegistryError):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answers", "image", "by", "notes"),
    [
        pytest.param(["here", "there", DOWN], "here", "local", (), id="the first answers, nobody else is asked"),
        pytest.param([None, "there", DOWN], "there", "practice", (), id="the next one"),
        pytest.param(
            [None, DOWN, "hub"],
            "hub",
            "hub",
            ("practice cannot be reached (connection timed out)",),
            id="past one that is down",
        ),
    ],
)
def test_the_first_that_has_it_answers(
    answers: list[str | RegistryError | None], image: str, by: str, notes: tuple[str, ...]
) -> None:
    sources = [Source(name, answer) for name, answer in zip(["local", "practice", "hub"], answers, strict=True)]
    found = resolve(UBUNTU, sources)
    assert (found.image, found.answered_by, found.notes) == (image, by, notes)
    answered = [source.name for source in sources].index(by)
    assert [len(source.asked) for source in sources] == [1] * (answered + 1) + [0] * (2 - answered)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(DOWN, "Docker Hub cannot be reached (connection timed out)", id="down"),
        pytest.param(AccessDenied("unauthorized"), "Docker Hub does not give it (unauthorized)", id="denied"),
        pytest.param(None, "Docker Hub has no such image", id="not there"),
    ],
)
def test_when_nobody_has_it_one_line_says_why_and_what_to_do(answer: RegistryError | None, said: str) -> None:
    sources = [Source("the local store"), Source("the practice registry"), Source("Docker Hub", answer)]
    with pytest.raises(ImageNotFound) as caught:
        resolve(UBUNTU, sources, hint=advice(UBUNTU))
    assert str(caught.value) == (
        f"ubuntu:latest cannot be had: {said}; run 'dockersim base add ubuntu:latest' to make a Debian stand-in,"
        " or use 'FROM dockersim/starter:python'"
    )


def test_whoever_could_not_be_asked_is_named_beside_the_last_answer() -> None:
    sources = [Source("the local store"), Source("the practice registry", DOWN), Source("Docker Hub")]
    with pytest.raises(ImageNotFound, match=r"reached \(connection timed out\); Docker Hub has no such image$"):
        resolve(UBUNTU, sources)


def test_a_registry_that_is_down_is_asked_once_a_minute(tmp_path: Path) -> None:
    now = [1000.0]
    memory = tmp_path / "unreachable.json"
    hub = Source("Docker Hub", DOWN)

    def patient() -> AskedOnce[str]:
        return AskedOnce(hub, "docker.io", UnreachableRegistries(memory, lambda: now[0]))

    for _ in range(3):  # each as a process of its own would: nothing is shared but the file
        with pytest.raises(RegistryError, match="connection timed out"):
            patient().find(UBUNTU)
        now[0] += 10
    assert len(hub.asked) == 1
    with pytest.raises(RegistryError, match="tried 30 seconds ago"):
        patient().find(UBUNTU)
    now[0] += 31
    hub.answer = "image"
    assert patient().find(UBUNTU) == "image"
    now[0] -= 30
    UnreachableRegistries(memory, lambda: now[0]).forget("docker.io")
    assert patient().find(UBUNTU) == "image"


def test_a_refusal_is_not_remembered_as_out_of_reach(tmp_path: Path) -> None:
    hub = Source("Docker Hub", AccessDenied("unauthorized"))
    source = AskedOnce(hub, "docker.io", UnreachableRegistries(tmp_path / "unreachable.json", lambda: 0.0))
    for _ in range(2):
        with pytest.raises(AccessDenied):
            source.find(UBUNTU)
    assert len(hub.asked) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"docker.io": 3}', '{"docker.io": ["x", "y"]}', "null"])
def test_a_damaged_memory_is_an_empty_one(content: str, tmp_path: Path) -> None:
    path = tmp_path / "unreachable.json"
    path.write_text(content)
    memory = UnreachableRegistries(path, lambda: 5.0)
    assert memory.reason("docker.io") is None
    memory.remember("docker.io", "no route")
    assert memory.reason("docker.io") == "no route; tried 0 seconds ago"
    assert list(tmp_path.iterdir()) == [path]


def test_words() -> None:
    assert registry_title("docker.io") == "Docker Hub"
    assert registry_title("localhost:5000") == "localhost:5000"
    assert stand_in_note({}) is None
    assert stand_in_note({STAND_IN_LABEL: "Debian"}) == "a stand-in: Debian"
    assert "starter:python" in advice(parse_reference("node:22"))
