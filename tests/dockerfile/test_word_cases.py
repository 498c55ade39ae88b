"""Every case of word-expansion.json: BuildKit's shell lexer tests."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dockersim.dockerfile import expand, expand_word, expand_words
from dockersim.dockerfile.wildcard import Wildcard
from dockersim.errors import DockerfileError
from tests.recorded import cases, kinds

FILE = "word-expansion.json"
Case = dict[str, Any]
VALUES = ("", "a", "a.b", "[]{}^$.*?|\\x", "()[]{}^$.*?|\\", "xx**", "a\nb", "()[]{}^$.*?|\\ and more")


def environment(case: Case) -> dict[str, str]:
    return {name: value for name, _, value in (entry.partition("=") for entry in case["env"])}


@cases(FILE, "process_word")
def test_word(case: Case) -> None:
    if case.get("platform") == "W":
        pytest.skip("by design: it is recorded for Windows only, where names of variables are case-insensitive")
    error = case.get("observed_error") or (case.get("observed") or {}).get("error")
    if case.get("expected") == "error":
        with pytest.raises(DockerfileError) as caught:
            expand_word(case["word"], environment(case))
        assert caught.value.message == error
        return
    expansion = expand(case["word"], environment(case))
    assert expansion.text == expand_word(case["word"], environment(case)) == case["expected_result"]
    seen = case.get("observed") or {}
    if (used := case.get("expected_matched", seen.get("matched"))) is not None:
        assert sorted(expansion.used) == sorted(used)
    if (unset := case.get("expected_unmatched", seen.get("unmatched"))) is not None:
        assert sorted(expansion.unset) == sorted(unset)


@cases(FILE, "process_words")
def test_words(case: Case) -> None:
    if case.get("expected") == "error":
        with pytest.raises(DockerfileError) as caught:
            expand_words(case["word"], environment(case))
        assert caught.value.message == case["observed_error"]
        return
    assert expand_words(case["word"], environment(case)) == case["expected_result"]


@cases(FILE, "pattern_to_regex")
def test_pattern_matches_as_the_regular_expression(case: Case) -> None:
    if case["expected"] == "error":
        with pytest.raises(DockerfileError):
            Wildcard.parse(case["pattern"])
        return
    assert case["anchored"]
    expression = re.compile(case["expected"])
    for value in VALUES:
        match = expression.match(value)
        rest = value[match.end() :] if match else value
        assert Wildcard.parse(case["pattern"]).without_prefix(value, longest=case["greedy"]) == rest


def test_every_kind_of_case_is_run() -> None:
    assert kinds(FILE) <= {"process_word", "process_words", "pattern_to_regex"}


@pytest.mark.parametrize(
    ("word", "left"),
    [
        # A pattern for the end is read backwards: what closes it escapes what stands before it.
        ("${NOTE%ne*\\}", "tu"),
        ("${NOTE%%*\\}", "tune"),
        ("${NOTE%e\\*}", "tun"),
        ("${NOTE#t?}", "ne*"),
    ],
)
def test_a_backslash_in_the_pattern_of_an_end(word: str, left: str) -> None:
    assert expand_word(word, {"NOTE": "tune*"}, "`") == left


def test_the_pattern_of_an_end_is_shown_backwards_when_it_is_wrong() -> None:
    with pytest.raises(DockerfileError, match=re.escape(r"invalid pattern (\do) in substitution: invalid escape '\d'")):
        expand_word(r"${NOTE%o\d}", {"NOTE": "x"})
