"""The wildcards of COPY: Go's filepath.Match."""

from __future__ import annotations

import pytest

from dockersim.dockerfile import has_wildcard, match_pattern
from dockersim.errors import DockerfileError


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("abc", "abc", True),
        ("a*", "a", True),
        ("a*", "ab/c", False),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("*.py", "a.pyc", False),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("ab[b-d]", "abc", True),
        ("ab[^b-d]", "abc", False),
        ("[z-a]", "m", False),
        ("[^z-a]", "m", True),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        ("a?b", "a☺b", True),
        ("a?b", "a/b", False),
        (r"[\]a]", "]", True),
        (r"[\-x]", "-", True),
        ("**", "a/b", False),
    ],
)
def test_match(pattern: str, path: str, matches: bool) -> None:
    assert match_pattern(pattern, path) is matches


@pytest.mark.parametrize("pattern", ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a/b[", "\\"])
def test_malformed(pattern: str) -> None:
    with pytest.raises(DockerfileError, match="syntax error in pattern"):
        match_pattern(pattern, "x")


@pytest.mark.parametrize(("source", "wild"), [("a", False), ("a*", True), ("a?", True), ("[a]", True), (r"\*a", False)])
def test_has_wildcard(source: str, wild: bool) -> None:
    assert has_wildcard(source) is wild
