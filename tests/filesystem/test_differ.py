"""The differ: golden cases of BuildKit's habits, and its law on trees that hypothesis makes up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dockersim.digest import Digest
from dockersim.errors import ContentError
from dockersim.filesystem import (
    Entry,
    Kind,
    LayerEntry,
    Opaque,
    Tree,
    What,
    Whiteout,
    content_decides,
    diff,
    layer_between,
    layer_from,
)

SECOND = 1_000_000_000
THEN = 1_700_000_000 * SECOND
A, B = Digest("sha256:" + "a" * 64), Digest("sha256:" + "b" * 64)


def file(path: str, digest: Digest = A, mtime: int = THEN, **fields: object) -> Entry:
    return Entry(path, Kind.FILE, size=3, mtime_ns=mtime, digest=digest, **fields)  # type: ignore[arg-type]


def folder(path: str, mtime: int = THEN, mode: int = 0o755) -> Entry:
    return Entry(path, Kind.DIRECTORY, mode, mtime_ns=mtime)


def hard(path: str, target: str) -> Entry:
    return Entry(path, Kind.HARDLINK, link=target)


def brief(entries: tuple[LayerEntry, ...]) -> str:
    marks = {Whiteout: "-", Opaque: "!"}
    return " ".join(
        f"{entry.path}={entry.link}" if isinstance(entry, Entry) and entry.kind is Kind.HARDLINK
        else marks.get(type(entry), "") + entry.path
        for entry in entries
    )  # fmt: skip


BASE = Tree.EMPTY.apply([folder("d"), file("d/a"), file("d/b"), folder("d/s"), file("d/s/c"), file("x")])

UPPER: dict[str, tuple[tuple[LayerEntry, ...], str]] = {
    "nothing": ((), ""),
    "copied up and unchanged": ((folder("d"), file("d/a")), ""),
    "directory copied up, time moved": ((folder("d", THEN + 5 * SECOND),), ""),
    "directory mode": ((folder("d", mode=0o700),), "d"),
    "time of a file": ((folder("d"), file("d/a", mtime=THEN + SECOND)), "d d/a"),
    "part of a second against a cut time": ((folder("d"), file("d/a", mtime=THEN + 5)), ""),
    "content at the same time": ((folder("d"), file("d/a", B)), "d d/a"),
    "content unknown at the same cut time": ((folder("d"), replace(file("d/a"), digest=None)), "d d/a"),
    "whiteout": ((folder("d"), Whiteout("d/a")), "d -d/a"),
    "opaque directory": ((folder("d"), Opaque("d"), file("d/n"), file("d/b")), "d -d/a d/n -d/s"),
    "opaque mark on a new directory": ((folder("n"), Opaque("n"), file("n/f")), "n n/f"),
    "whiteout of nothing": ((Whiteout("nothing"),), ""),
    "links in the layer go by name": ((file("z"), hard("m", "z"), hard("zz", "z")), "m z=m zz=m"),
    "new name of a lower file": ((file("x"), hard("y", "x")), "y"),
    "new name of a lower file that sorts first": ((hard("a", "x"), file("x")), "a"),
    "file in the place of a directory": ((file("d"),), "d"),
    "directory in the place of a file": ((folder("x"), file("x/f")), "x x/f"),
}  # fmt: skip


@pytest.mark.parametrize(("upper", "expected"), UPPER.values(), ids=UPPER.keys())
def test_upper_directory_becomes_a_layer(upper: tuple[LayerEntry, ...], expected: str) -> None:
    ordered = sorted(upper, key=lambda entry: isinstance(entry, Entry) and entry.kind is Kind.HARDLINK)
    assert brief(layer_from(BASE, ordered)) == expected


def test_diff_tells_before_and_after() -> None:
    after = BASE.apply([file("x", B), Whiteout("d"), folder("n"), file("n/f")])
    changes = diff(BASE, after)
    assert [(change.path, change.what) for change in changes] == [
        ("d", What.DELETED), ("n", What.ADDED), ("n/f", What.ADDED), ("x", What.MODIFIED),
    ]  # fmt: skip
    modified = changes[-1]
    assert modified.before and modified.after and (modified.before.digest, modified.after.digest) == (A, B)
    assert changes[0].after is None and changes[1].before is None
    assert diff(BASE, BASE) == () == diff(BASE, BASE.apply([]))


@pytest.mark.parametrize(
    ("before", "after", "decides"),
    [
        (file("f"), replace(file("f"), digest=None), True),
        (file("f"), replace(file("f", mtime=THEN + 5), digest=None), True),
        (file("f", mtime=THEN + 5), replace(file("f", mtime=THEN + 5), digest=None), False),
        (file("f"), replace(file("f", mtime=THEN + SECOND), digest=None), False),
        (file("f"), replace(file("f"), digest=None, mode=0o600), False),
        (replace(file("f"), size=0), replace(file("f"), size=0, digest=None), False),
        (file("f"), file("f"), False),
        (folder("f"), replace(file("f"), digest=None), False),
    ],
)
def test_a_file_is_hashed_only_where_nothing_else_tells(before: Entry, after: Entry, decides: bool) -> None:
    assert content_decides(before, after) is decides


def test_the_layer_forgets_where_the_content_was() -> None:
    base = Tree.EMPTY.apply([replace(file("a"), data=512)])
    entry = layer_between(base, base.apply([hard("b", "a")]))[0]
    assert isinstance(entry, Entry) and entry.path == "b" and entry.data is None


# ---------------------------------------------------------------- the law

names = st.sampled_from(["a", "b", "c.d", "é"])
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
times = st.sampled_from([THEN, THEN + SECOND])
entries = st.one_of(
    st.builds(file, paths, st.sampled_from([A, B]), times, mode=st.sampled_from([0o644, 0o600])),
    st.builds(folder, paths, times, mode=st.sampled_from([0o755, 0o700])),
    st.builds(lambda path, target: Entry(path, Kind.SYMLINK, 0o777, link=target), paths, st.sampled_from(["a", "/b"])),
    st.builds(Whiteout, paths),
    st.builds(Opaque, paths),
)


def built(base: Tree, layer: list[LayerEntry]) -> Tree:
    """Apply what can be applied: an entry below a file or a circle of links is left out."""
    for entry in layer:
        try:
            base = base.apply([entry])
        except ContentError as error:
            assert "directory" in str(error) or "links" in str(error)
    return base


@settings(max_examples=300, deadline=None)
@given(st.lists(entries, max_size=12), st.lists(entries, max_size=12))
def test_law_the_layer_turns_one_tree_into_the_other(first: list[LayerEntry], second: list[LayerEntry]) -> None:
    a = built(Tree.EMPTY, first)
    b = built(a, second)
    for before, after in ((a, b), (b, a), (Tree.EMPTY, b), (b, Tree.EMPTY)):
        layer = layer_between(before, after)
        result = before.apply(layer)
        assert diff(result, after) == ()
        assert [node.entry.path for node in result.walk()] == [node.entry.path for node in after.walk()]
        assert layer_between(before, result) == layer, "a layer made again is the same layer"
        assert not any(isinstance(entry, Opaque) for entry in layer)


@settings(max_examples=200, deadline=None)
@given(st.lists(entries, max_size=12), st.lists(entries, max_size=12))
def test_law_every_entry_comes_after_its_parent(first: list[LayerEntry], second: list[LayerEntry]) -> None:
    a = built(Tree.EMPTY, first)
    seen = {""}
    for entry in layer_between(a, built(a, second)):
        assert entry.path.rpartition("/")[0] in seen
        assert entry.path not in seen
        seen.add(entry.path)
