"""Which paths COPY --parents takes, and what it keeps of their directories."""

from __future__ import annotations

import pytest

from dockersim.errors import ContextError
from dockersim.filesystem import Entry, Kind, Tree
from dockersim.filesystem.matching import sources_of, sources_with_parents

TREE = Tree.EMPTY.apply(
    Entry(path, Kind.FILE)
    for path in (
        "a/b/c/d/foo", "a/b/c/d/e/bay", "a/b2/c/d/e/bar", "a/b/c2/d/e/baz", "a/b/c2/d/e2/baz", "package.json",
    )
)  # fmt: skip

# From moby/buildkit, dockerfile_parents_test.go (testCopyRelativeParents, testCopyParentsMissingDirectory).
CASES = [
    ("a/b/c/d", ["a/b/c/d"]),
    ("a/b/./c/d", ["c/d"]),
    ("a/./b/./c", ["b/c"]),
    ("a/./*/c", ["b/c", "b2/c"]),
    ("a/b*/./c/**/e", ["c/d/e", "c/d/e"]),
    ("a/b/c*/./d/**/baz", ["d/e/baz", "d/e2/baz"]),
    ("a/b2*/d", []),
    ("a/b/./x*", []),
    ("**/package.json", ["package.json"]),
    ("**/ba[yr]", ["a/b/c/d/e/bay", "a/b2/c/d/e/bar"]),
    ("*/b2/**", ["a/b2/c"]),
]


@pytest.mark.parametrize(("pattern", "kept"), CASES, ids=[pattern for pattern, _ in CASES])
def test_parents_are_kept_behind_the_pivot(pattern: str, kept: list[str]) -> None:
    start, pivot, rest = pattern.partition("/./")
    cleaned = f"{start}/./{rest.replace('/./', '/')}" if pivot else pattern
    found = sources_with_parents(TREE, cleaned)
    assert ["/".join([*(one.path for one in match.parents), match.node.entry.path.rpartition("/")[2]])
            for match in found] == kept  # fmt: skip


@pytest.mark.parametrize(("pattern", "named"), [("a/nope", "/a/nope"), ("", "/"), ("a/./", "/a")])
def test_a_name_that_is_not_there_is_an_error(pattern: str, named: str) -> None:
    with pytest.raises(ContextError, match=f'"{named}": not found'):
        sources_with_parents(TREE, pattern)


LINKED = TREE.apply([Entry("to_b", Kind.SYMLINK, link="a/b"), Entry("ring", Kind.SYMLINK, link="ring")])


@pytest.mark.parametrize("pattern", ["to_b/c/d/foo", "to_b/./c/d/foo", "ring/x"])
def test_no_link_is_followed_to_a_name(pattern: str) -> None:
    named = pattern.replace("/./", "/")
    with pytest.raises(ContextError, match=f'"/{named}": not found'):
        sources_with_parents(LINKED, pattern)


def test_a_link_is_followed_to_the_pivot_of_a_wildcard_and_is_kept_where_it_is_named() -> None:
    assert [one.node.entry.path for one in sources_with_parents(LINKED, "to_b/./c/**/foo")] == ["a/b/c/d/foo"]
    assert [one.node.entry.kind for one in sources_with_parents(LINKED, "to_b")] == [Kind.SYMLINK]


def test_links_in_a_circle() -> None:
    with pytest.raises(ContextError, match="too many links"):
        sources_of(LINKED, "ring")
