"""Every case of dockerignore.json: the tests of moby/patternmatcher."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dockersim.dockerfile import IgnoreRules
from dockersim.dockerfile.ignore import read_patterns
from dockersim.dockerfile.ignorepattern import IgnorePattern
from dockersim.errors import DockerfileError
from tests.recorded import cases, kinds

FILE = "dockerignore.json"
Case = dict[str, Any]
PATHS = (
    "a", "b", "file", "a/b", "a/c/b", "xfile", "dir2/x", "a/dir2/x", "a/dir2/x/y", "dir/file.txt", "file1txt",
    "d/filetxt",
    ".x", "x.txt", "a/b/x.txt", "a(b)c/def", "a.|)$(}+{bc", "a.b", "aXb", "abc", "ab", "a/bc", "dir",
    "dir/a", "d/e/f.go",
)  # fmt: skip


@cases(FILE, "match")
def test_match(case: Case) -> None:
    if case["expected_error"]:
        with pytest.raises(DockerfileError) as caught:
            IgnoreRules.parse("\n".join(case["patterns"])).decide(case["path"])
        assert caught.value.message == case["expected_error"]
        assert caught.value.at is not None
        return
    assert IgnoreRules.parse("\n".join(case["patterns"])).decide(case["path"]).excluded is case["expected"]
    assert IgnoreRules.of(case["patterns"]).decide(case["path"]).excluded is case["expected"]


@cases(FILE, "clean")
def test_clean(case: Case) -> None:
    rules = IgnoreRules.of(case["patterns"]).rules
    assert any(rule.exception for rule in rules) is case["expected_has_exclusions"]
    assert [rule.text for rule in rules] == case["observed"]


@cases(FILE, "compile")
def test_compiled_pattern(case: Case) -> None:
    pattern = IgnorePattern.parse(case["pattern"])
    form = (
        "regexpMatch" if pattern.expression or pattern.machine
        else "suffixMatch" if pattern.suffix is not None
        else "prefixMatch" if pattern.prefix is not None
        else "exactMatch"
    )  # fmt: skip
    assert form == case["expected_match_type"]
    if case["expected_regexp"]:
        expression = re.compile(case["expected_regexp"])
        for path in (*PATHS, case["pattern"]):
            assert pattern.matches(path) is (expression.match(path) is not None), path


@cases(FILE, "ignorefile")
def test_ignore_file(case: Case) -> None:
    assert [pattern for _, pattern in read_patterns(case["content"])] == case["expected"]


def test_every_kind_of_case_is_run() -> None:
    assert kinds(FILE) <= {"match", "clean", "compile", "ignorefile"}
