"""Every case of git-references.json: the tests of BuildKit's dfgitutil; and what must never be a repository."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockersim.dockerfile import GitReference, Switch, parse_git_reference
from dockersim.errors import DockerfileError
from tests.recorded import cases, kinds

FILE = "git-references.json"


def _as_recorded(found: GitReference) -> dict[str, object]:
    """Name the fields as BuildKit does; those that are empty or false are not written."""
    fields = {
        "Remote": found.remote,
        "ShortName": found.name,
        "Ref": found.ref,
        "SubDir": found.subdir,
        "Checksum": found.checksum,
        "MTime": found.mtime,
        "FetchByCommit": found.fetch_by_commit,
        "IndistinguishableFromLocal": found.looks_local,
    }
    return {name: value for name, value in fields.items() if value}


@cases(FILE, "TestParseGitRef")
def test_git_references(case: dict[str, Any]) -> None:
    if case["expected_error"]:
        with pytest.raises(DockerfileError) as caught:
            parse_git_reference(case["ref"])
        assert case["expected_error"] in caught.value.message
        return
    found = parse_git_reference(case["ref"])
    assert (found and _as_recorded(found)) == case["expected"]


def test_every_kind_of_case_is_run() -> None:
    assert kinds(FILE) <= {"TestParseGitRef"}


def test_switches_stand_in_the_query() -> None:
    found = parse_git_reference("git@host:a/b?keep-git-dir&submodules=0#main:x/../y")
    assert found == GitReference("git@host:a/b", "b", "main", "y", "", Switch.ON, Switch.OFF)


@pytest.mark.parametrize(
    "text",
    [
        "file:///etc/x.git",
        "ext::sh -c touch% /tmp/x",
        "ext://sh.git",
        "fd::17",
        "/srv/x.git",
        "../x.git",
        "x.git",
        "-oProxyCommand@host:y",
        "git@-oProxyCommand:y",
        "git@host;id:y",
        "https://host/x.git\n--upload-pack=id",
        "https://[x/y.git",
    ],
)
def test_nothing_but_the_four_protocols_is_a_repository(text: str) -> None:
    assert parse_git_reference(text) is None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("#--upload-pack=touch", 'invalid git ref "--upload-pack=touch"'),
        ("?ref=-x", 'invalid git ref "-x"'),
        ("?nope=1", 'unexpected query "nope"'),
        ("?ref=a&ref=b", 'query "ref" has multiple values'),
        ("?ref=", 'query "ref" has no value'),
        ("?ref=a#b", 'ref conflicts: "b" vs "a"'),
        ("?tag=a&branch=a", 'ref conflicts: "refs/tags/a" vs "refs/heads/a"'),
        ("?subdir=a#b:c", 'subdir conflicts: "c" vs "a"'),
        ("?mtime=never", 'invalid mtime value: "never"'),
        ("?submodules=maybe", 'invalid submodules value: "maybe"'),
    ],
)
def test_a_query_that_means_nothing_is_refused(query: str, said: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_git_reference(f"https://host/x.git{query}")
    assert caught.value.message.startswith(said)


@settings(deadline=None)
@given(st.text(), st.sampled_from(["", "https://h/x.git", "git@h:", "ssh://h/", "github.com/"]))
def test_any_text_is_read_or_refused(text: str, before: str) -> None:
    try:
        found = parse_git_reference(before + text)
    except DockerfileError:
        return
    assert found is None or not found.ref.startswith("-")


@pytest.mark.parametrize("text", ["https://a b/x.git", "https://a%20b/x.git", "https://h:port/x.git", "ssh://h/x%zz"])
def test_what_is_no_address_is_no_repository(text: str) -> None:
    assert parse_git_reference(text) is None


def test_letters_that_addresses_cannot_have_are_written_as_go_writes_them() -> None:
    found = parse_git_reference("ssh://h/caf\u00e9 x%20y.git#main")
    assert found is not None and (found.remote, found.name) == ("ssh://h/caf%C3%A9%20x%20y.git", "caf%C3%A9%20x%20y")


@pytest.mark.parametrize(
    ("query", "problem"),
    [("huh", 'query "huh" has no value'), ("huh=1", 'unexpected query "huh"'), ("ref=", 'query "ref" has no value')],
)
def test_a_missing_value_is_told_before_an_unknown_name(query: str, problem: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_git_reference(f"https://h/x.git?{query}")
    assert caught.value.message == problem


def test_a_pair_with_a_semicolon_says_nothing() -> None:
    assert parse_git_reference("https://h/x.git?huh=1;y=2&ref=v1") == GitReference("https://h/x.git", "x", "v1")
