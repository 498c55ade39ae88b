"""Applying layers: what is left when whiteouts, links and replaced things are done with."""

from __future__ import annotations

import time

import pytest

from dockersim.digest import DiffID
from dockersim.errors import ContentError
from dockersim.filesystem import Entry, Kind, LayerEntry, Opaque, Tree, Whiteout

ONE, TWO = DiffID("sha256:" + "1" * 64), DiffID("sha256:" + "2" * 64)


def file(path: str, **fields: object) -> Entry:
    return Entry(path, Kind.FILE, **fields)  # type: ignore[arg-type]


def folder(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, Kind.DIRECTORY, mode)


def link(path: str, target: str) -> Entry:
    return Entry(path, Kind.SYMLINK, 0o777, link=target)


def hard(path: str, target: str) -> Entry:
    return Entry(path, Kind.HARDLINK, link=target)


def paths(tree: Tree) -> str:
    return " ".join(node.entry.path for node in tree.walk())


BASE = (folder("d", 0o700), file("d/a"), file("d/b"), folder("d/s"), file("d/s/c"), link("l", "d"), file("x"))

LAYERS: dict[str, tuple[tuple[LayerEntry, ...], str]] = {
    "whiteout of a file": ((Whiteout("d/a"),), "d d/b d/s d/s/c l x"),
    "whiteout of a directory": ((Whiteout("d"),), "l x"),
    "whiteout of nothing": ((Whiteout("no/such"),), "d d/a d/b d/s d/s/c l x"),
    "whiteout of a name the layer makes again": ((file("x"), Whiteout("x")), "d d/a d/b d/s d/s/c l x"),
    "whiteout of a directory the layer makes again": ((Whiteout("d"), folder("d"), file("d/n")), "d d/n l x"),
    "whiteout through a link": ((Whiteout("l/a"),), "d d/b d/s d/s/c l x"),
    "opaque": ((folder("d"), file("d/n"), Opaque("d")), "d d/n l x"),
    "opaque root": ((Opaque(""), file("n")), "n"),
    "opaque directory in the place of a link": ((folder("l"), Opaque("l")), "d d/a d/b d/s d/s/c l x"),
    "directory in the place of a link": ((folder("l"), Whiteout("l/a"), file("l/n")), "d d/a d/b d/s d/s/c l l/n x"),
    "opaque through a link": ((file("l/n"), Opaque("l")), "d d/n l x"),
    "opaque of nothing": ((Opaque("no"),), "d d/a d/b d/s d/s/c l x"),
    "directory over directory keeps what is in it": ((folder("d", 0o711),), "d d/a d/b d/s d/s/c l x"),
    "file over directory": ((file("d"),), "d l x"),
    "directory over file": ((folder("x"), file("x/y")), "d d/a d/b d/s d/s/c l x x/y"),
    "directory over link": ((folder("l"), file("l/y")), "d d/a d/b d/s d/s/c l l/y x"),
    "link over directory": ((link("d", "x"),), "d l x"),
    "file below a link goes where it points": ((file("l/n"),), "d d/a d/b d/n d/s d/s/c l x"),
    "missing parents are made": ((file("p/q/r"),), "d d/a d/b d/s d/s/c l p p/q p/q/r x"),
    "replaced twice": ((folder("x"), file("x/y"), file("x"), folder("x"), file("x/z")), "d d/a d/b d/s d/s/c l x x/z"),
    "order is by bytes": (
        (file("a-b"), folder("a"), file("a/1"), file("a.c")),
        "a a/1 a-b a.c d d/a d/b d/s d/s/c l x",
    ),
}


@pytest.mark.parametrize(("layer", "expected"), LAYERS.values(), ids=LAYERS.keys())
def test_apply(layer: tuple[LayerEntry, ...], expected: str) -> None:
    base = Tree.EMPTY.apply(BASE)
    assert paths(base.apply(layer)) == expected
    assert paths(base) == "d d/a d/b d/s d/s/c l x", "applying must not change the tree below"


def test_nodes_know_their_layer() -> None:
    tree = Tree.EMPTY.apply(BASE, ONE).apply([file("d/a", size=3)], TWO)
    layers = {node.entry.path: node.layer for node in tree.walk()}
    assert layers["d/a"] == TWO and layers["d/b"] == layers["d"] == ONE


def test_made_parents_are_0755() -> None:
    node = Tree.EMPTY.apply([file("p/q")]).get("p")
    assert node is not None and (node.entry.kind, node.entry.mode, node.entry.uid) == (Kind.DIRECTORY, 0o755, 0)


def test_directory_entry_changes_the_mode_of_the_one_below() -> None:
    node = Tree.EMPTY.apply(BASE).apply([folder("d", 0o711)]).get("d")
    assert node is not None and node.entry.mode == 0o711 and node.children is not None and len(node.children) == 3


def test_root_entry() -> None:
    assert Tree.EMPTY.apply([folder("", 0o700)]).root.entry.mode == 0o700
    with pytest.raises(ContentError, match="root of a layer is a file"):
        Tree.EMPTY.apply([file("")])


class TestHardLinks:
    def test_names_of_one_file_share_what_it_is(self) -> None:
        first = file("a", size=5, uid=7, data=512)
        tree = Tree.EMPTY.apply([first, hard("d/b", "a"), hard("c", "d/b")], ONE)
        nodes = [tree.get(path) for path in ("a", "d/b", "c")]
        assert [
            (node.entry.kind, node.entry.size, node.entry.uid, node.entry.data, node.layer) for node in nodes if node
        ] == [(Kind.FILE, 5, 7, 512, ONE)] * 3
        assert len({node.inode for node in nodes if node}) == 1 and nodes[0] and nodes[0].inode is not None

    def test_a_name_that_is_written_again_is_no_longer_linked(self) -> None:
        tree = Tree.EMPTY.apply([file("a"), hard("b", "a")]).apply([file("a", size=1)])
        a, b = tree.get("a"), tree.get("b")
        assert a and b and a.inode is None and b.inode is not None

    def test_link_to_a_lower_file_has_the_content_of_its_layer(self) -> None:
        node = Tree.EMPTY.apply([file("a", size=5, data=512)], ONE).apply([hard("b", "a")], TWO).get("b")
        assert node and node.layer == ONE and node.entry.data == 512

    @pytest.mark.parametrize("target", ["nothing", "d", ""])
    def test_link_to_what_is_no_file(self, target: str) -> None:
        with pytest.raises(ContentError, match="hard link"):
            Tree.EMPTY.apply([folder("d"), hard("b", target)])


def test_path_below_a_file() -> None:
    with pytest.raises(ContentError, match="/x: is a file, not a directory"):
        Tree.EMPTY.apply(BASE).apply([file("x/y")])


RESOLVED = {
    "plain": ("d/a", "d/a"),
    "absolute": ("/d/./a/", "d/a"),
    "link": ("l/a", "d/a"),
    "last link": ("l", "d"),
    "link to link": ("m", "d"),
    "absolute link": ("n/a", "d/a"),
    "dots stop at the root": ("../../d/../../x", "x"),
    "dots of a link count from where it points": ("deep/..", "d"),
    "link that leaves": ("out", "etc/passwd"),
    "what is not there": ("no/such/../thing", "no/thing"),
    "link to what is not there": ("dangling/x", "gone/x"),
    "root": ("", ""),
    "circle": ("round", None),
}


@pytest.mark.parametrize(("path", "expected"), RESOLVED.values(), ids=RESOLVED.keys())
def test_resolve(path: str, expected: str | None) -> None:
    links = {"m": "l", "n": "/l", "deep": "d/s", "out": "../../../etc/passwd", "dangling": "gone", "round": "round2"}
    tree = Tree.EMPTY.apply(BASE).apply([link(*item) for item in links.items()] + [link("round2", "/round")])
    assert tree.resolve(path) == expected


def test_resolve_without_the_last_link() -> None:
    tree = Tree.EMPTY.apply([*BASE, link("d/k", "a")])
    assert tree.resolve("l/k", follow_last=False) == "d/k"
    assert tree.resolve("l/", follow_last=False) == "l"
    assert tree.resolve("l/k") == "d/a"


def test_get_follows_nothing_and_children_are_sorted() -> None:
    tree = Tree.EMPTY.apply([*BASE, file("d/\udcff"), file("d/\U0001f600"), file("d/é")])
    assert tree.get("l/a") is None
    assert [node.entry.path for node in tree.children("d")] == ["d/a", "d/b", "d/s", "d/é", "d/\U0001f600", "d/\udcff"]
    assert tree.children("x") == () == tree.children("nothing")


def test_untouched_directories_are_shared() -> None:
    base = Tree.EMPTY.apply([folder("a"), file("a/f"), folder("b"), file("b/f")])
    step = base.apply([file("a/g")])
    assert step.get("b") is base.get("b") and step.get("a/f") is base.get("a/f")
    assert step.get("a") is not base.get("a")


def test_very_deep_paths_are_no_recursion() -> None:
    tree = Tree.EMPTY.apply([file("/".join("d" * 2000))])
    assert sum(1 for _ in tree.walk()) == 2000


def test_a_change_costs_what_changed() -> None:
    big = [file(f"usr/d{number // 100}/f{number}") for number in range(20_000)]
    base = Tree.EMPTY.apply(big)
    started = time.perf_counter()
    for number in range(100):
        base.apply([file(f"usr/d5/new{number}"), Whiteout("usr/d7/f700")])
    assert time.perf_counter() - started < 0.2  # 2 ms a step; building the tree anew takes 30
