"""How many of the recorded cases are met, file by file: ``python -m tests.conformance [--quick] [--write]``.

Runs every case and lists by name, with the reason, each that is not met; ``--write`` puts the table into the README.
The whole builds take minutes; ``--quick`` does not run them and takes those for met that are not named beside their
tests as not met (pytest runs them all).
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deviations import README, ROOT
from tests.engine.test_oracle import reason as reason_of_oracle
from tests.engine.web import serving
from tests.fidelity import Fidelity
from tests.recorded import RUNNERS, Case, read
from tests.recorded_builds import RecordedBuilds, why_not

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
    "builds-buildah.json": "whole builds: buildah's conformance tests",
    "oracle.json": "whole builds and cache scenarios, recorded for this project",
}
"""Every file that this project answers for, and what its cases are about."""

_BEGIN, _END = "<!-- conformance: written by `python -m tests.conformance --write` -->", "<!-- end of conformance -->"
Verdict = Callable[[Case], str]
"""Says why a case is not met; empty where it is."""


def unmet(*, quick: bool) -> dict[str, dict[str, str]]:
    """Give for each file the cases that are not met, by name, with the reason."""
    _import_the_tests()
    with ExitStack() as stack:
        builds = {} if quick else _builders(stack)
        return {file: _unmet(file, _known(file) or _of_the_tests(file), builds.get(file)) for file in FILES}


def table(found: dict[str, dict[str, str]]) -> str:
    """Write the table in Markdown."""
    counts = {file: (len(read(file)), len(read(file)) - len(found[file])) for file in FILES}
    rows = [f"| {file} | {about} | {counts[file][0]} | {counts[file][1]} |" for file, about in FILES.items()]
    rows.append(
        f"| all | | {sum(all_of for all_of, _ in counts.values())} | {sum(met for _, met in counts.values())} |"
    )
    return "\n".join(["| file | what | cases | met |", "|---|---|---:|---:|", *rows])


def written(readme: str, found: dict[str, dict[str, str]]) -> str:
    """Return the README with the table as it should be."""
    before, _, rest = readme.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{table(found)}\n{_END}{rest.partition(_END)[2]}"


def _import_the_tests() -> None:
    """Import every test of recorded cases, so that it stands in RUNNERS."""
    for path in sorted(ROOT.glob("tests/*/test_*.py")):
        if "from tests.recorded import" in path.read_text():
            importlib.import_module(f"tests.{path.parent.name}.{path.stem}")


def _unmet(file: str, *verdicts: Verdict | None) -> dict[str, str]:
    """Ask one verdict after the other, up to the first that finds something."""
    found = {}
    for case in read(file):
        reasons = (verdict(case) for verdict in verdicts if verdict)
        if reason := next(filter(None, reasons), ""):
            found[_name(case)] = reason
    return found


def _name(case: Case) -> str:
    return str(case["name"] if "name" in case else case["case"]["name"])


def _known(file: str) -> Verdict | None:
    """Give what is known beforehand of the cases of whole builds."""
    if file == "oracle.json":
        return lambda recorded: reason_of_oracle(recorded["case"])
    return why_not if file.startswith("builds-") else None


def _of_the_tests(file: str) -> Verdict:
    def verdict(case: Case) -> str:
        tests = [runner.test for runner in RUNNERS[file] if runner.takes(case)]
        return (
            next(filter(None, (_failure(test, case) for test in tests)), "") if tests else "not yet: no test takes it"
        )

    return verdict


def _failure(test: Callable[[Case], None], case: Case) -> str:
    try:
        test(case)
    except pytest.skip.Exception as skipped:
        return str(skipped)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  whatever a test raises, the case is not met
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return ""


def _builders(stack: ExitStack) -> dict[str, Verdict]:
    """Give what really builds the cases of whole builds."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True)))
    builds = RecordedBuilds(folder / "builds", stack.enter_context(serving({})))
    fidelity = Fidelity(folder / "oracle")
    return {
        "builds-buildkit.json": lambda case: "; ".join(builds.differences(case)),
        "builds-buildah.json": lambda case: "; ".join(builds.differences(case)),
        "oracle.json": lambda recorded: "; ".join(fidelity.run(recorded).differences),
    }


def _lines(found: dict[str, dict[str, str]]) -> Iterator[str]:
    for file, cases in found.items():
        yield f"{file}: {len(read(file)) - len(cases)} / {len(read(file))}"
        yield from (f"    {name}: {reason}" for name, reason in cases.items())


def main() -> None:
    """Print the cases that are not met; write the table if asked to."""
    found = unmet(quick="--quick" in sys.argv)
    print("\n".join(_lines(found)))
    if "--write" in sys.argv:
        README.write_text(written(README.read_text(), found))


if __name__ == "__main__":
    main()
