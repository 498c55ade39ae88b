"""BuildKit's and buildah's own integration tests as data, against what BuildKit produced for them.

``builds-buildkit.json`` and ``builds-buildah.json``; their ``meta`` says where the cases come from.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deviations import marked
from tests.engine.ordinary_user import expect
from tests.engine.web import serving
from tests.recorded import Case, read
from tests.recorded_builds import NOT_COMPARABLE, NOT_MET, RecordedBuilds, deviation, why_not

BUILDS = [*read("builds-buildkit.json"), *read("builds-buildah.json")]


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedBuilds]:
    with serving({}) as site:
        yield RecordedBuilds(tmp_path_factory.mktemp("recorded"), site)


@pytest.mark.skipif(not BUILDS, reason="../shared/conformance is not here")
@pytest.mark.parametrize("case", BUILDS, ids=lambda case: case["name"])
def test_build_is_what_buildkit_made_of_it(case: Case, builds: RecordedBuilds) -> None:
    if reason := why_not(case):
        pytest.skip(f"by design: {reason}")
    differences = builds.differences(case)
    if deviation(case):
        assert differences, f"{case['name']} is met now: take it out of NOT_MET"
    else:
        expect(case["name"], differences, builds.sandbox)


def test_every_case_that_is_named_is_a_case() -> None:
    named = {name for names in NOT_COMPARABLE.values() for name in names} | set(NOT_MET)
    assert not BUILDS or named <= {case["name"] for case in BUILDS}


@pytest.mark.parametrize(("module", "words"), sorted(set(NOT_MET.values())))
def test_what_is_not_met_is_marked_as_a_deviation(module: str, words: str) -> None:
    assert words in marked(module, words)
    with pytest.raises(LookupError):
        marked(module, "words that no mark has")


def test_of_eight_cases_only_success_is_known() -> None:
    """The README says so; these were not run by BuildKit, and say only what buildah's tests demand of every builder."""
    unknown = [case for case in BUILDS if "skipped" in (case.get("observed_buildkit") or {}) and not why_not(case)]
    assert not BUILDS or len(unknown) == 8
