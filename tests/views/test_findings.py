"""What the build checks found, in buildx's words."""

from __future__ import annotations

from dockersim.dockerfile import check_report
from dockersim.views.findings import check_failure, check_words, findings_expanded, findings_summary

TEXT = "FROM scratch AS base\nWORKDIR app\nCMD echo \\\n  hi\n"

# As buildx prints it: commands/build.go and frontend/subrequests/lint/lint.go of BuildKit, solver/errdefs/source.go.
WHOLE = """\
Check complete, 2 warnings have been found!

WARNING: WorkdirRelativePath - https://docs.docker.com/go/dockerfile/rule/workdir-relative-path/
Relative workdir "app" can have unexpected results if the base image changes
Dockerfile:2
--------------------
   1 |     FROM scratch AS base
   2 | >>> WORKDIR app
   3 |     CMD echo \\
   4 |       hi
--------------------

WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
Dockerfile:3
--------------------
   2 |     WORKDIR app
   3 | >>> CMD echo \\
   4 | >>>   hi
   5 |
--------------------"""


def test_check_shows_each_finding_with_its_lines() -> None:
    assert check_words(check_report(TEXT)) == WHOLE


def test_one_warning_and_none_have_words_of_their_own() -> None:
    assert check_words(check_report("FROM scratch as base\n")).startswith("Check complete, 1 warning has been found!\n")
    assert check_words(check_report("FROM scratch\n")) == "Check complete, no warnings found."


def test_a_mistake_is_told_apart_from_the_warnings() -> None:
    report = check_report("FROM scratch as base\nFORM x\n")
    assert "FORM" not in check_words(report).splitlines()[2]
    assert check_failure(report).splitlines()[:2] == [
        "ERROR: Dockerfile:2: unknown instruction: FORM; did you mean FROM?",
        "Dockerfile:2",
    ]
    alone = check_report("FORM x\n")
    assert check_words(alone) == ""
    assert check_failure(check_report("FROM scratch\n")) == ""


def test_the_summary_below_a_build_is_one_line_each() -> None:
    assert findings_summary(check_report("FROM scratch as a\nMAINTAINER me\n").findings).splitlines() == [
        " 2 warnings found (use docker --debug to expand):",
        " - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)",
        " - MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)",
    ]


def test_expanded_it_has_the_reason_the_page_and_the_place() -> None:
    said = findings_expanded(check_report("FROM scratch as a\n").findings, "FROM scratch as a\n", "Dockerfile")
    assert said.splitlines() == [
        " 1 warning found:",
        " - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)",
        "The 'as' keyword should match the case of the 'from' keyword",
        "More info: https://docs.docker.com/go/dockerfile/rule/from-as-casing/",
        "Dockerfile:1",
        "--------------------",
        "   1 | >>> FROM scratch as a",
        "   2 |",
        "--------------------",
    ]
