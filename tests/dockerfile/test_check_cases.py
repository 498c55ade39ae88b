"""Every case of build-checks.json and rule of build-check-rules.json: BuildKit's linter tests and documentation."""

from __future__ import annotations

from typing import Any

import pytest

from dockersim.dockerfile import CheckReport, IgnoreRules, check, check_report
from dockersim.dockerfile.ignore import NO_RULES
from dockersim.dockerfile.rules import RULES, CheckOptions
from dockersim.errors import DockerfileError
from tests.recorded import cases, kinds, read

FILE = "build-checks.json"
Case = dict[str, Any]


def report(case: Case, **options: Any) -> CheckReport:
    ignore = case.get("dockerignore")
    return check_report(
        case.get("dockerfile_used", case["dockerfile"]),
        build_args=case.get("build_args"),
        ignore=IgnoreRules.parse(ignore) if ignore else NO_RULES,
        **options,
    )


def found(seen: CheckReport) -> list[tuple[str, int, str]]:
    return [(finding.rule, finding.line, finding.message) for finding in seen.findings]


def expected(warnings: list[Case]) -> list[tuple[str, int, str]]:
    rows = [(warning["rule"], warning["line"], warning["detail"]) for warning in warnings]
    return sorted(rows, key=lambda row: row[1:])


def same_error(seen: DockerfileError | None, wanted: str | None) -> bool:
    if seen is None or wanted is None:
        return seen is None and wanted is None
    return seen.message in wanted


@cases(FILE, "lint")
def test_findings_of_a_build(case: Case) -> None:
    compare(report(case, target=""), case["expected_build"])


@cases(FILE, "lint")
def test_findings_of_a_check(case: Case) -> None:
    compare(report(case), case["expected_check"])


def compare(seen: CheckReport, wanted: Case) -> None:
    assert found(seen) == expected(wanted["warnings"])
    for finding, warning in zip(
        seen.findings, sorted(wanted["warnings"], key=lambda w: (w["line"], w["detail"])), strict=True
    ):
        assert (finding.url, finding.description) == (warning["url"], warning["description"])
    assert same_error(seen.error, wanted["error"])


@cases(FILE, "docs_example")
def test_example_of_the_documentation(case: Case) -> None:
    seen = report(case)
    assert found(seen) == expected(case["observed_check"]["warnings"])
    assert same_error(seen.error, case["observed_check"]["error"])


@cases(FILE, "lint_options")
def test_options(case: Case) -> None:
    if case["observed"]["error"]:
        with pytest.raises(DockerfileError) as caught:
            CheckOptions.parse(case["value"])
        assert caught.value.message == case["observed"]["error"]
        return
    options = CheckOptions.parse(case["value"])
    wanted = case["observed"]["config"]
    assert (options.error, options.skip_all, options.experimental_all) == (
        wanted["error"],
        wanted["skip_all"],
        wanted["experimental_all"],
    )
    assert options.skip == set(wanted["skip"] or ())
    assert options.experimental == set(wanted["experimental"] or ())


@cases("build-check-rules.json")
def test_a_rule_is_known_by_its_name_and_page(case: Case) -> None:
    rule = next(rule for rule in RULES if rule.name == case["name"])
    wanted = (case["description"], case["url"] or "", case["experimental"])
    assert (rule.description, rule.url, rule.experimental) == wanted


def test_there_are_no_rules_but_buildkits() -> None:
    if rules := read("build-check-rules.json"):
        assert {rule.name for rule in RULES} == {rule["name"] for rule in rules}


def test_every_kind_of_case_is_run() -> None:
    assert kinds(FILE) <= {"lint", "docs_example", "lint_options"}


def test_a_finding_stands_on_all_lines_of_its_instruction() -> None:
    report = check_report("FROM scratch AS a\nCMD echo \\\n  hi \\\n\n  ho\nMAINTAINER me\n")
    lines = [(finding.rule, finding.line, finding.last_line) for finding in report.findings]
    assert lines == [("JSONArgsRecommended", 2, 5), ("NoEmptyContinuation", 5, 0), ("MaintainerDeprecated", 6, 0)]


@pytest.mark.parametrize(
    ("text", "build_args", "message"),
    [
        ("# check=nope\nFROM scratch\n", {}, 'failed to parse check options: invalid check option "nope"'),
        (
            "FROM scratch\n",
            {"BUILDKIT_DOCKERFILE_CHECK": "x=1"},
            'failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK: invalid check option "x"',
        ),
    ],
)
def test_wrong_options_are_told_with_where_they_stand(text: str, build_args: dict[str, str], message: str) -> None:
    error = check_report(text, build_args=build_args).error
    assert error is not None and error.message == message


def test_variables_of_a_known_base_image_are_defined() -> None:
    text = "FROM python:3\nENV A=$PYTHON_VERSION\n"
    assert [finding.rule for finding in check(text)] == ["UndefinedVar"]
    assert check(text, environments={"python:3": {"PYTHON_VERSION": "3.12"}}) == []


def test_stages_the_target_does_not_need_are_left_alone() -> None:
    text = "FROM scratch AS a\nENV A b\nFROM scratch AS c\nCOPY --from=a x x\nFROM scratch AS d\nENV D e\n"
    assert [finding.line for finding in check(text)] == [2, 6]
    assert [finding.line for finding in check(text, target="c")] == [2]
    assert [finding.line for finding in check(text, target="")] == [6]
