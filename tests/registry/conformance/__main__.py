"""Try our registry and Debian's docker-registry: ``python -m tests.registry.conformance [--write]``.

Prints the table of the README, then each check that one of them does not pass, then what the table rests on: how far
our checks find the same at docker-registry as the official suites did. ``--write`` puts the table into the README.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from dockersim.registry.server.service import make_app
from tests.deviations import README
from tests.registry.conformance.recorded import DEBIAN, EXPLAINED, cases
from tests.registry.conformance.released import released
from tests.registry.conformance.walk import Outcome, Results, group_of, walk
from tests.registry.servers import docker_registry, serving
from tests.sections import rewritten

OURS, THEIRS = "dockersim", "docker-registry"
_BEGIN = "<!-- registry: written by `python -m tests.registry.conformance --write` -->"
_END = "<!-- end of registry -->"
_NEXT = "dist-head/"


def try_all(url: str) -> Results:
    """Try both suites at one registry; the results by the names of the recorded cases."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
        walked = {f"{_NEXT}{name}": result for name, result in walk(http).items()}
        return released(http) | walked


def row_of(name: str) -> str:
    """Say in which row of the table a check counts."""
    if name.startswith(_NEXT):
        group = group_of(name.removeprefix(_NEXT))
        return f"next: {'data sets' if group.startswith('data: ') else group}"
    return f"1.1.1: {name.split('/')[1]}"


def table(found: dict[str, Results]) -> str:
    """Write the table in Markdown: passed / all, for each registry."""
    names = _names(found)
    rows = [*dict.fromkeys(map(row_of, names)), "all"]
    lines = [f"| checks | {' | '.join(found)} |", f"|---|{'---:|' * len(found)}"]
    for row in rows:
        counted = [name for name in names if row in ("all", row_of(name))]
        cells = (f"{sum(_passes(results, name) for name in counted)} / {len(counted)}" for results in found.values())
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def not_passed(found: dict[str, Results]) -> Iterator[str]:
    """Tell each check that a registry does not pass, in a line."""
    for registry, results in found.items():
        for name in _names(found):
            if name not in results:
                yield f"{registry}: not reached: {name}"
            elif not _passes(results, name):
                result = results[name]
                yield f"{registry}: {result.outcome.name.lower()}: {name}: {' '.join(result.why.split())}"


def _names(found: dict[str, Results]) -> list[str]:
    """List every check; some are reached only by a registry that passes the one before."""
    return list(dict.fromkeys(name for results in found.values() for name in results))


def _passes(results: Results, name: str) -> bool:
    return name in results and results[name].outcome is Outcome.PASSED


def disagreements(results: Results) -> dict[str, str]:
    """Compare with what the official suites found at docker-registry: both outcomes, by check."""
    found = {}
    for case in cases():
        expected, result = case["results"][DEBIAN], results.get(case["name"])
        if expected and result and result.outcome.name.lower() != expected:
            found[case["name"]] = f"{result.outcome.name.lower()}, recorded as {expected}: {result.why}"
    return found


def written(readme: str, found: dict[str, Results]) -> str:
    """Return the README with the table as it should be."""
    return rewritten(readme, _BEGIN, _END, table(found))


def main() -> None:
    """Try both registries and print it all."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        places = [Path(folder, name) for name in (OURS, THEIRS)]
        for place in places:
            place.mkdir()
        with serving(make_app(places[0])) as ours, docker_registry(places[1]) as theirs:
            found = {OURS: try_all(ours.url), THEIRS: try_all(theirs)}
    print(table(found))
    print("\n".join(not_passed(found)))
    compared = [case for case in cases() if case["results"][DEBIAN] and case["name"] in found[THEIRS]]
    others = disagreements(found[THEIRS])
    print(f"{len(compared) - len(others)} of {len(compared)} recorded results of {DEBIAN} are found again")
    print("\n".join(f"{name}: {what} ({EXPLAINED.get(name, 'not explained')})" for name, what in others.items()))
    if "--write" in sys.argv:
        README.write_text(written(README.read_text(), found))


if __name__ == "__main__":
    main()
