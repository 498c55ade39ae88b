"""The OCI distribution conformance suites against our registry; and, so that the checks are known to be right,
against Debian's docker-registry, of which the official suites have told what it passes and what not."""

from __future__ import annotations

import re

import pytest

from dockersim.registry import Address
from tests.deviations import README
from tests.peers import run
from tests.registry.conformance.__main__ import OURS, THEIRS, not_passed, try_all, written
from tests.registry.conformance.data import SETS, data_set
from tests.registry.conformance.exchange import digest_of
from tests.registry.conformance.recorded import DEBIAN, EXPLAINED, Case, cases, read
from tests.registry.conformance.walk import RULES, Outcome, Results

# Three cases of 1.1.1 make no request; some of the others were never reached with docker-registry.
TRIED = [case for case in cases() if case.get("exchanges", True)]
JUDGED = [case for case in TRIED if case["results"][DEBIAN] is not None]
NOT_HERE = pytest.mark.skipif(not TRIED, reason="../shared/conformance is not here")
NOTHING = [pytest.param({}, marks=NOT_HERE)]


def parameters(found: list[Case]) -> list[object]:
    return [pytest.param(case, id=case["name"].replace(" ", "-")) for case in found] or NOTHING


@pytest.fixture(scope="module")
def ours(shared: Address) -> Results:
    """What our registry does."""
    return try_all(shared.url)


@pytest.fixture(scope="module")
def theirs(debian_registry: str) -> Results:
    """What docker-registry does; another version than the recorded one may do something else."""
    version = run("docker-registry", "--version").split()[-1]
    if not version.startswith(DEBIAN.split()[-1]):
        pytest.skip(f"the official suites tried {DEBIAN}, here is {version}")
    return try_all(debian_registry)


def test_our_registry_passes_every_check(ours: Results) -> None:
    assert list(not_passed({OURS: ours})) == []


@pytest.mark.parametrize("case", parameters(TRIED))
def test_every_recorded_case_is_tried(ours: Results, case: Case) -> None:
    assert ours[case["name"]].rule == case.get("rule", case.get("workflow"))


@pytest.mark.peer
@pytest.mark.parametrize("case", parameters(JUDGED))
def test_docker_registry_is_judged_as_it_was(theirs: Results, case: Case) -> None:
    result, recorded = theirs[case["name"]], case["results"][DEBIAN]
    is_same = result.outcome.name.lower() == recorded
    assert is_same != (case["name"] in EXPLAINED), f"{result}, recorded as {recorded}"


@NOT_HERE
@pytest.mark.peer
def test_docker_registry_passes_as_many_checks_of_the_released_suite_as_it_did(theirs: Results) -> None:
    outcomes = [result.outcome for name, result in theirs.items() if name.startswith("dist-v1.1.1/")]
    told = read("distribution-v1.1.1.json")["meta"]["results"][f"{DEBIAN} (Debian, delete enabled)"]
    assert f"{outcomes.count(Outcome.PASSED)} pass {outcomes.count(Outcome.FAILED)} fail" in told


@NOT_HERE
@pytest.mark.peer
def test_the_table_in_the_readme_is_what_the_checks_say(ours: Results, theirs: Results) -> None:
    assert README.read_text() == written(README.read_text(), {OURS: ours, THEIRS: theirs}), (
        "run python -m tests.registry.conformance --write"
    )


@NOT_HERE
def test_every_rule_and_every_data_set_is_there() -> None:
    told = read("distribution-next.json")["meta"]
    assert set(told["rules"]) <= set(RULES)
    listed = re.sub(r" \(.*?\)", "", told["data_sets"])
    assert set(filter(None, listed.split(", "))) <= set(SETS)


@pytest.mark.parametrize("name", SETS)
def test_what_a_data_set_names_is_in_it(name: str) -> None:
    of = data_set(name)
    for digest, data in [*of.blobs.items(), *of.manifests.items()]:
        assert (digest_of(data, digest.partition(":")[0]) == digest) == (digest not in of.broken)
    assert set(of.tags.values()) <= set(of.manifests)
