"""The fuzzer itself: it finds nothing in a short run, and would tell if there were something to find."""

from __future__ import annotations

from itertools import islice

import pytest

from dockersim.errors import DockerfileError
from tests.fuzz import TARGETS, Generator, run
from tests.fuzz_hypothesis import drawn

COUNT = 300


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_finds_nothing(target: str) -> None:
    feed, seeds = TARGETS[target]
    generator = Generator(seeds(), 2)
    report = run(feed, ((number, generator.make(number)) for number in range(COUNT)))
    assert report.found == {}
    assert report.inputs == COUNT and report.characters > 0


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_that_hypothesis_draws_finds_nothing(target: str) -> None:
    feed, seeds = TARGETS[target]
    report = run(feed, enumerate(islice(drawn(seeds(), 3, 50), 100)))
    assert report.found == {} and report.inputs == 100


def test_hypothesis_draws_the_same_from_the_same_seed() -> None:
    texts = list(islice(drawn(["FROM x\nRUN a"], 1, 20), 60))
    assert texts == list(islice(drawn(["FROM x\nRUN a"], 1, 20), 60))
    assert len(set(texts)) > 30


def test_what_is_no_dockerfile_error_is_found_once_for_each_place() -> None:
    def feed(text: str) -> None:
        if "$" in text:
            raise DockerfileError("refused")
        [][len(text)]

    inputs = enumerate(["$", "a", "b", "$$", "c"], 7)
    report = run(feed, inputs)
    assert (report.inputs, report.refused) == (5, 2)
    assert list(report.found.values()) == [8]


def test_a_slow_input_is_remembered() -> None:
    report = run(lambda text: sum(range(len(text))), iter([(1, "a"), (2, "a" * 5000), (3, "b" * 10)]))
    assert report.long.number == 2 and report.long.per_kib > 0


def test_an_input_depends_on_its_number_alone() -> None:
    seeds = ["FROM x\nRUN a", "FROM y"]
    made = [Generator(seeds, 1).make(number) for number in range(50)]
    assert made == [Generator(seeds, 1).make(number) for number in range(50)]
    assert len(set(made)) > 25 and made != [Generator(seeds, 2).make(number) for number in range(50)]
