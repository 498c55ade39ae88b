"""How many of the recorded cases are met, file by file: ``python -m tests.conformance [--quick] [--write]``.

Runs every case and lists by name those that cannot be compared, each with the reason, and those that are not met, each
with the deviation that the code marks; ``--write`` puts the table into the README. The whole builds take minutes;
``--quick`` does not run them and takes those for met that are not named beside their tests as not met (pytest runs
them all).
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.deviations import README, ROOT
from tests.engine.test_oracle import reason as reason_of_oracle
from tests.engine.web import serving
from tests.fidelity import Fidelity
from tests.recorded import RUNNERS, Case, read
from tests.recorded_builds import RecordedBuilds, deviation, why_not
from tests.sections import rewritten

FILES = {
    "dockerfile-parser.json": "the text of a Dockerfile, its lines, words and here-documents",
    "word-expansion.json": "variables in words",
    "instructions.json": "instructions, their flags and their errors",
    "build-checks.json": "what the build checks find",
    "build-check-rules.json": "the rules of the build checks",
    "dockerignore.json": "ignore patterns",
    "image-references.json": "names of images",
    "git-references.json": "addresses of Git repositories",
    "oci-documents.json": "manifests, indexes, configs",
    "builds-buildkit.json": "whole builds: BuildKit's own integration tests",
    "builds-buildah.json": "whole builds: buildah's conformance tests; of eight, only whether they can be built",
    "oracle.json": "whole builds and cache scenarios, recorded for this project",
}
"""Every file that this project answers for, and what its cases are about."""

_BEGIN, _END = "<!-- conformance: written by `python -m tests.conformance --write` -->", "<!-- end of conformance -->"
BY_DESIGN = "by design: "
"""So begins the reason for which a test skips a case that says nothing which could be compared."""

Judge = Callable[[Case], str]
"""Says something of a case, why it is not met, for example; empty where there is nothing to say."""


class Found(NamedTuple):
    """What became of the cases of one file: those that cannot be compared and those not met, by name, with reasons."""

    cases: int
    not_comparable: dict[str, str]
    not_met: dict[str, str]

    @property
    def counts(self) -> tuple[int, int, int]:
        """All cases, the comparable ones, those of them that are met."""
        comparable = self.cases - len(self.not_comparable)
        return self.cases, comparable, comparable - len(self.not_met)


def findings(*, quick: bool) -> dict[str, Found]:
    """Judge the cases of every file."""
    _import_the_tests()
    with ExitStack() as stack:
        builds = {} if quick else _builders(stack)
        return {file: _found(file, builds.get(file)) for file in FILES}


def table(found: dict[str, Found]) -> str:
    """Write the table in Markdown."""
    counts = {about: found[file].counts for file, about in FILES.items()}
    totals = (sum(column) for column in zip(*counts.values(), strict=True))
    rows = [f"| {file} | {about} | {_cells(counts[about])} |" for file, about in FILES.items()]
    head = ["| file | what | cases | comparable | met |", "|---|---|---:|---:|---:|"]
    return "\n".join([*head, *rows, f"| all | | {_cells(totals)} |"])


def _cells(numbers: Iterable[int]) -> str:
    return " | ".join(map(str, numbers))


def written(readme: str, found: dict[str, Found]) -> str:
    """Return the README with the table as it should be."""
    return rewritten(readme, _BEGIN, _END, table(found))


def _import_the_tests() -> None:
    """Import every test of recorded cases, so that it stands in RUNNERS."""
    for path in sorted(ROOT.glob("tests/*/test_*.py")):
        if "from tests.recorded import" in path.read_text():
            importlib.import_module(f"tests.{path.parent.name}.{path.stem}")


def _found(file: str, build: Judge | None) -> Found:
    """Judge each case: is it known not to be comparable or not to be met, else what does its test or its build say?"""
    is_build = file.startswith("builds-")
    known = deviation if is_build else lambda case: reason_of_oracle(case["case"]) if "case" in case else ""
    judge = build or (_of_the_tests(file) if file in RUNNERS else lambda case: "")
    found = Found(len(read(file)), {}, {})
    for case in read(file):
        incomparable = why_not(case) if is_build else ""
        said = "" if incomparable else known(case) or judge(case)
        if incomparable or said.startswith(BY_DESIGN):
            found.not_comparable[_name(case)] = incomparable or said.removeprefix(BY_DESIGN)
        elif said:
            found.not_met[_name(case)] = said
    return found


def _name(case: Case) -> str:
    return str(case["name"] if "name" in case else case["case"]["name"])


def _of_the_tests(file: str) -> Judge:
    def judge(case: Case) -> str:
        tests = [runner.test for runner in RUNNERS[file] if runner.takes(case)]
        return (
            next(filter(None, (_failure(test, case) for test in tests)), "") if tests else "not yet: no test takes it"
        )

    return judge


def _failure(test: Callable[[Case], None], case: Case) -> str:
    try:
        test(case)
    except pytest.skip.Exception as skipped:
        return str(skipped)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  whatever a test raises, the case is not met
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return ""


def _builders(stack: ExitStack) -> dict[str, Judge]:
    """Give what really builds the cases of whole builds."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True)))
    builds = RecordedBuilds(folder / "builds", stack.enter_context(serving({})))
    fidelity = Fidelity(folder / "oracle")
    return {
        "builds-buildkit.json": lambda case: "; ".join(builds.differences(case)),
        "builds-buildah.json": lambda case: "; ".join(builds.differences(case)),
        "oracle.json": lambda recorded: "; ".join(fidelity.run(recorded).differences),
    }


def lines(found: dict[str, Found]) -> Iterator[str]:
    """Tell of each file how many cases are met, and name the others."""
    for file, of_file in found.items():
        cases, comparable, met = of_file.counts
        yield f"{file}: {cases} cases, {comparable} comparable, {met} met"
        yield from (f"    not comparable: {name}: {reason}" for name, reason in of_file.not_comparable.items())
        yield from (f"    not met: {name}: {reason}" for name, reason in of_file.not_met.items())


def main() -> None:
    """Print the cases that cannot be compared and those not met; write the table if asked to."""
    found = findings(quick="--quick" in sys.argv)
    print("\n".join(lines(found)))
    if "--write" in sys.argv:
        README.write_text(written(README.read_text(), found))


if __name__ == "__main__":
    main()
