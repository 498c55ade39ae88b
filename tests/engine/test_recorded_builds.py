"""BuildKit's and buildah's own integration tests as data, against what BuildKit produced for them.

``builds-buildkit.json`` and ``builds-buildah.json``; their ``meta`` says where the cases come from.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.ordinary_user import expect
from tests.engine.web import serving
from tests.recorded import Case, read
from tests.recorded_builds import NOT_COMPARED, RecordedBuilds, why_not

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
    expect(case["name"], builds.differences(case), builds.sandbox)


def test_every_case_that_is_not_compared_is_a_case() -> None:
    named = {name for names in NOT_COMPARED.values() for name in names}
    assert not BUILDS or named <= {case["name"] for case in BUILDS}
