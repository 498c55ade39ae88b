"""Every Dockerfile of oracle.json: it is read, or refused at the line and in the words that BuildKit has for it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dockersim.dockerfile import IgnoreRules, check_report, parse
from dockersim.errors import DockerfileError
from tests.recorded import FOLDER

Case = dict[str, Any]
#: What BuildKit finds while it reads the text; whatever else goes wrong in a case goes wrong later.
READING = re.compile(
    r"dockerfile parse error|Syntax error|must have two arguments|unterminated heredoc|parser directive"
    r"|arrays must be comprised|no build stage in current context"
)


def dockerfiles() -> list[Any]:
    path = FOLDER / "oracle.json"
    if not path.exists():
        return [pytest.param({}, {}, marks=pytest.mark.skip(f"no {path}"))]
    cases = [(case["case"], case["expected"]) for case in json.loads(path.read_text("utf-8"))["cases"]]
    return [pytest.param(case, expected, id=case["name"]) for case, expected in cases]


@pytest.mark.parametrize(("case", "expected"), dockerfiles())
def test_read_or_refused(case: Case, expected: Case) -> None:
    text = case["dockerfile"]
    try:
        stages = parse(text).stages
    except DockerfileError as error:
        assert not expected["ok"]
        if text == "":
            assert expected["error"] == "the Dockerfile cannot be empty"  # a check that comes before the parser's
            return
        suggestion = f" ({error.hint.replace('--', '')})" if error.hint.startswith("did you mean") else ""
        assert expected["error"].endswith(error.message + suggestion)
        assert error.at is not None and list(error.at.lines) == expected["error_lines"]
    else:
        assert stages or expected["error"] == "dockerfile contains no stages to build"
        assert not READING.search(expected.get("error") or "")


@pytest.mark.parametrize(("case", "expected"), dockerfiles())
def test_warnings_of_the_build(case: Case, expected: Case) -> None:
    report = check_report(
        case["dockerfile"],
        build_args=case["build_args"],
        target=case["target"] or "",
        ignore=IgnoreRules.parse(case["dockerignore"] or ""),
    )
    found = [f"{finding.rule}: {finding.message} (line {finding.line})" for finding in report.findings]
    assert sorted(found) == sorted(warning["text"] for warning in expected.get("warnings") or [])
