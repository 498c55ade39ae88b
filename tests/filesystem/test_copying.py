"""COPY and ADD beyond the recorded cases: what is in the way, what an archive tries, flags one by one."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from dockersim.digest import DiffID
from dockersim.errors import BuildError, DockerfileError
from dockersim.filesystem import (
    Copied,
    Copying,
    CopyRules,
    Entry,
    Kind,
    LayerEntry,
    Opaque,
    Source,
    Tree,
    Whiteout,
    make_directory,
    parse_chmod,
)

NOW = 1_800_000_000_000_000_000
LAYER = DiffID("sha256:" + "1" * 64)


def file(path: str, mode: int = 0o644, size: int = 0, **fields: object) -> Entry:
    return Entry(path, Kind.FILE, mode, size=size, **fields)  # type: ignore[arg-type]


def folder(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, Kind.DIRECTORY, mode)


def link(path: str, target: str) -> Entry:
    return Entry(path, Kind.SYMLINK, 0o777, link=target)


def copied(below: Tree, destination: str, source: Tree, *names: str, rules: CopyRules | None = None) -> str:
    copying = Copying(below, destination, rules or CopyRules(NOW))
    for name in names:
        node = source.get(name)
        assert node is not None
        copying.add(Source(name, node))
    return brief(copying.layer())


def unpacked(below: Tree, destination: str, *archive: LayerEntry, rules: CopyRules | None = None) -> str:
    copying = Copying(below, destination, rules or CopyRules(NOW))
    copying.unpack(archive)
    return brief(copying.layer())


def with_parents(below: Tree, name: str, rules: CopyRules) -> tuple[Copied, ...]:
    """Copy one thing out of SOURCE to /out with all directories above it."""
    names = name.split("/")
    above = [SOURCE.get("/".join(names[:count])) for count in range(1, len(names))]
    node = SOURCE.get(name)
    assert node is not None
    copying = Copying(below, "/out", rules)
    copying.make_destination()
    kept = tuple(replace(one.entry, path=part) for one, part in zip(above, names, strict=False) if one)
    copying.add(Source(name, node, kept))
    return copying.layer()


def brief(layer: tuple[Copied, ...]) -> str:
    marks = {Kind.DIRECTORY: "/", Kind.SYMLINK: "@", Kind.HARDLINK: "="}
    return " ".join(
        f"{one.entry.path}{marks.get(one.entry.kind, '')}" if isinstance(one.entry, Entry) else f"-{one.entry.path}"
        for one in layer
    )


SOURCE = Tree.EMPTY.apply(
    [folder("s"), file("s/a", size=1), folder("s/t", 0o700), file("s/t/b", size=2), link("s/l", "a"), file("f", size=3)]
)


class TestInTheWay:
    """What BuildKit's copier refuses, in its words."""

    @pytest.mark.parametrize(
        ("below", "destination", "name", "message"),
        [
            ([file("x")], "/x", "s", "cannot copy to non-directory: /x"),
            ([file("x")], "/x/", "f", "mkdir /x: not a directory"),
            ([file("x")], "/x/y/z", "f", "mkdir /x: not a directory"),
            ([file("d/t")], "/d", "s", "cannot copy to non-directory: /d/t"),
            ([link("d/t", "/r"), folder("r")], "/d", "s", "cannot copy to non-directory: /d/t"),
            ([folder("d/a")], "/d", "s", "cannot replace to directory /d/a with file"),
            ([folder("d/l")], "/d", "s", "cannot replace to directory /d/l with file"),
            ([folder("d/f")], "/d/", "f", "cannot replace to directory /d/f with file"),
            ([link("x", "y"), link("y", "x")], "/x", "f", "/x: too many levels of symbolic links"),
        ],
    )
    def test_is_refused(self, below: list[Entry], destination: str, name: str, message: str) -> None:
        with pytest.raises(BuildError) as caught:
            copied(Tree.EMPTY.apply(below), destination, SOURCE, name)
        assert caught.value.message == message

    def test_workdir_over_a_file(self) -> None:
        with pytest.raises(BuildError, match="mkdir /x: not a directory"):
            make_directory(Tree.EMPTY.apply([file("x")]), "/x/y", (0, 0), NOW)


class TestLinks:
    def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(self) -> None:
        below = Tree.EMPTY.apply([link("d/f", "/etc/passwd"), file("etc/passwd", size=9)])
        assert copied(below, "/d/", SOURCE, "f") == "d/ d/f"

    def test_destination_that_leads_out_stays_inside(self) -> None:
        assert copied(Tree.EMPTY.apply([link("d", "../../../etc")]), "/d/f", SOURCE, "f") == "etc/ etc/f"

    def test_hard_links_stay_one_file(self) -> None:
        source = Tree.EMPTY.apply([file("s/b", size=4), Entry("s/a", Kind.HARDLINK, link="s/b")])
        assert copied(Tree.EMPTY, "/d", source, "s") == "d/ d/a d/b="

    def test_hard_links_named_one_by_one_become_two_files(self) -> None:
        source = Tree.EMPTY.apply([file("b", size=4), Entry("a", Kind.HARDLINK, link="b")])
        assert copied(Tree.EMPTY, "/d/", source, "a", "b") == "d/ d/a d/b"

    def test_two_names_of_a_pipe_become_two_pipes(self) -> None:
        source = Tree.EMPTY.apply([Entry("s/p", Kind.FIFO), Entry("s/q", Kind.HARDLINK, link="s/p")])
        assert copied(Tree.EMPTY, "/d", source, "s") == "d/ d/p d/q"


class TestFlags:
    def test_exclude_and_exceptions_to_it(self) -> None:
        rules = CopyRules(NOW, excluded=lambda path: path in ("a", "t"))
        assert copied(Tree.EMPTY, "/d", SOURCE, "s", rules=rules) == "d/ d/l@ d/t/ d/t/b"
        rules = CopyRules(NOW, excluded=lambda path: path.startswith("t"))
        assert copied(Tree.EMPTY, "/d", SOURCE, "s", rules=rules) == "d/ d/a d/l@"

    def test_exclude_never_hits_what_is_named(self) -> None:
        assert copied(Tree.EMPTY, "/d/", SOURCE, "f", rules=CopyRules(NOW, excluded=lambda path: True)) == "d/ d/f"

    def test_link_knows_nothing_of_the_layers_below(self) -> None:
        below = Tree.EMPTY.apply([link("d", "elsewhere"), folder("elsewhere")])
        assert copied(below, "/d/", SOURCE, "f", rules=CopyRules(NOW, link=True)) == "d/ d/f"
        assert copied(below, "/d/", SOURCE, "f") == "elsewhere/ elsewhere/f"

    def test_parents(self) -> None:
        copying = Copying(Tree.EMPTY, "/out/", CopyRules(NOW))
        node, above = SOURCE.get("s/t/b"), [SOURCE.get("s"), SOURCE.get("s/t")]
        assert node
        copying.add(Source("s/t/b", node, tuple(one.entry for one in above if one)))
        layer = copying.layer()
        assert brief(layer) == "out/ out/s/ out/s/t/ out/s/t/b"
        modes = [one.entry.mode for one in layer if isinstance(one.entry, Entry)]
        assert modes == [0o755, 0o755, 0o700, 0o644]

    def test_parents_that_are_there_take_the_mode_but_not_the_owner(self) -> None:
        below = Tree.EMPTY.apply([Entry("out/s", Kind.DIRECTORY, 0o711, 9, 9), Entry("out/s/t", Kind.DIRECTORY, 0o711)])
        layer = with_parents(below, "s/t/b", CopyRules(NOW))
        entries = [one.entry for one in layer if isinstance(one.entry, Entry)]
        assert [(entry.path, entry.mode, entry.uid) for entry in entries[1:3]] == [
            ("out/s", 0o755, 9), ("out/s/t", 0o700, 0),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "excluded", "wanted"),
        [
            ("s/t/b", "s/t/b", "out/"),
            ("s/t/b", "t/b", "out/ out/s/ out/s/t/ out/s/t/b"),
            ("s", "s/t", "out/ out/s/ out/s/a out/s/l@ out/s/t/ out/s/t/b"),
            ("s/t", "s/t", "out/ out/s/ out/s/t/ out/s/t/b"),
        ],
    )
    def test_with_parents_exclude_goes_by_the_whole_path(self, name: str, excluded: str, wanted: str) -> None:
        copying = with_parents(Tree.EMPTY, name, CopyRules(NOW, excluded=lambda path: path == excluded))
        assert brief(copying) == wanted

    def test_the_directory_at_the_pivot_gives_the_destination_its_time(self) -> None:
        copying = Copying(Tree.EMPTY, "/out", CopyRules(NOW))
        base = Entry("base", Kind.DIRECTORY, 0o700, mtime_ns=5)
        copying.add(Source("f", SOURCE.get("f") or SOURCE.root, (), base=base))
        first = copying.layer()[0].entry
        assert isinstance(first, Entry) and (first.path, first.mode, first.mtime_ns) == ("out", 0o755, 5)

    def test_workdir_owner_and_mode(self) -> None:
        made = make_directory(Tree.EMPTY, "/a/b", (5, 6), NOW, 0o750)
        assert [(entry.path, entry.uid, entry.gid, entry.mode, entry.mtime_ns) for entry in made] == [
            ("a", 5, 6, 0o750, NOW), ("a/b", 5, 6, 0o750, NOW),
        ]  # fmt: skip
        assert make_directory(Tree.EMPTY, "/", (5, 6), NOW) == ()


class TestArchives:
    """ADD of archives, some of them made to get out."""

    @pytest.mark.parametrize("goal", ["/etc", "../../etc"])
    def test_a_link_of_the_archive_is_followed_inside_the_destination_only(self, goal: str) -> None:
        below = Tree.EMPTY.apply([file("etc/passwd", size=9)])
        members = (folder("etc"), link("e", goal), file("e/passwd"))
        assert unpacked(below, "/d", *members) == "d/ d/e@ d/etc/ d/etc/passwd"

    @pytest.mark.parametrize(
        ("members", "problem"),
        [
            ((link("e", "/etc"), file("e/passwd")), "open /e/passwd: no such file or directory"),
            ((link("e", "/etc"), folder("e/ssh")), "mkdir /e/ssh: no such file or directory"),
            ((link("e", "/etc"), file("e/ssh/key")), "mkdir /e: file exists"),
            ((file("e"), file("e/x")), "open /e/x: not a directory"),
            ((file("e"), file("e/x/y")), "mkdir /e: not a directory"),
            ((Entry("h", Kind.HARDLINK, link="e"),), "link /e /h: no such file or directory"),
            ((folder("e"), Entry("h", Kind.HARDLINK, link="e")), "link /e /h: operation not permitted"),
        ],
    )
    def test_nothing_is_made_where_a_link_leads_nowhere_or_a_file_is(
        self, members: tuple[LayerEntry, ...], problem: str
    ) -> None:
        with pytest.raises(BuildError) as caught:
            unpacked(Tree.EMPTY.apply([file("etc/passwd", size=9)]), "/d", *members)
        assert caught.value.message == problem

    def test_the_last_name_of_a_file_says_what_the_file_is(self) -> None:
        copying = Copying(Tree.EMPTY, "/", CopyRules(NOW))
        again = Entry("b", Kind.HARDLINK, 0o600, 7, 8, mtime_ns=5, link="a")
        copying.unpack([file("a", 0o644, size=1), again, Entry("c", Kind.HARDLINK, 0o600, 9, 8, mtime_ns=5, link="b")])
        first = copying.layer()[0].entry
        assert isinstance(first, Entry)
        assert (first.path, first.mode, first.uid, first.gid, first.mtime_ns) == ("a", 0o600, 9, 8, 5)

    @pytest.mark.parametrize(
        ("below", "members", "expected"),
        [
            ([file("a", 0o600)], ["b a"], "a 711 7:8 5; b -> a"),
            ([file("a", 0o600), Entry("z", Kind.HARDLINK, link="a")], ["b a"], "a 711 7:8 5; b -> a"),
            ([file("a", 0o600)], ["c a", "b c"], "a 711 7:8 5; b -> a; c -> a"),
            ([file("a", 0o600)], ["b a", "a"], "a 644 0:0 0; b 711 7:8 5"),
            ([link("a", "x")], ["b a"], "a 777 7:8 0; b -> a"),
            ([file("a", 0o711, uid=7, gid=8, mtime_ns=5)], ["b a"], "b 711 7:8 5"),
            ([file("a", 0o600)], ["a a"], "a 711 7:8 5"),
        ],
    )
    def test_a_hard_link_says_what_a_file_of_the_image_is(
        self, below: list[LayerEntry], members: list[str], expected: str
    ) -> None:
        """As moby does, which sets owner, mode and time by whatever name; seen with Debian's docker 20.10."""
        archive = [
            Entry(new, Kind.HARDLINK, 0o711, 7, 8, mtime_ns=5, link=old) if old else file(new, 0o644)
            for new, _, old in (member.partition(" ") for member in members)
        ]
        copying = Copying(Tree.EMPTY.apply(below, LAYER), "/", CopyRules(NOW))
        copying.unpack(archive)
        layer = [one.entry for one in copying.layer() if isinstance(one.entry, Entry)]
        assert expected == "; ".join(
            f"{entry.path} -> {entry.link}"
            if entry.kind is Kind.HARDLINK
            else f"{entry.path} {entry.mode:o} {entry.uid}:{entry.gid} {entry.mtime_ns}"
            for entry in layer
        )
        assert all(
            one.source for one in copying.layer() if isinstance(one.entry, Entry) and one.entry.kind is Kind.FILE
        )

    def test_hard_link_to_a_file_of_the_image_behind_a_link(self) -> None:
        below = Tree.EMPTY.apply([file("etc/shadow", size=9)])
        with pytest.raises(BuildError, match="link /e/shadow /h: no such file or directory"):
            unpacked(below, "/d", link("e", "/etc"), Entry("h", Kind.HARDLINK, link="e/shadow"))

    def test_members_replace_what_is_there(self) -> None:
        below = Tree.EMPTY.apply([folder("d/x"), file("d/x/old"), file("d/y", size=5), link("d/z", "y")])
        assert (
            unpacked(below, "/d", file("x", size=1), folder("y"), file("y/n"), folder("z")) == "d/ d/x d/y/ d/y/n d/z/"
        )

    def test_whiteout_names_become_whiteouts(self) -> None:
        below = Tree.EMPTY.apply([file("d/x"), file("d/y/z")])
        assert unpacked(below, "/d", Whiteout("x"), Opaque("y"), file("a")) == "d/ -d/x d/a d/y/ -d/y"
        assert unpacked(below, "/", Whiteout("d"), Opaque("")) == "- -d"

    def test_the_root_of_the_archive_says_nothing_of_the_destination(self) -> None:
        copying = Copying(Tree.EMPTY.apply([folder("d", 0o700)]), "/d", CopyRules(NOW))
        copying.unpack([folder("", 0o777), file("f")])
        first = copying.layer()[0].entry
        assert isinstance(first, Entry) and first.mode == 0o700

    def test_chmod_does_not_apply_but_chown_does(self) -> None:
        rules = CopyRules(NOW, owner=(5, 6), chmod=parse_chmod("600"))
        copying = Copying(Tree.EMPTY, "/d/", rules)
        copying.unpack([file("p/f", 0o755)])
        entries = [one.entry for one in copying.layer() if isinstance(one.entry, Entry)]
        assert [(entry.path, entry.mode, entry.uid) for entry in entries] == [
            ("d", 0o755, 5), ("d/p", 0o755, 0), ("d/p/f", 0o755, 5),
        ]  # fmt: skip

    def test_content_of_a_further_name_is_known(self) -> None:
        copying = Copying(Tree.EMPTY, "/d/", CopyRules(NOW))
        copying.unpack([file("b", size=3, data=512), Entry("a", Kind.HARDLINK, link="b")], "the archive")
        first = copying.layer()[1]
        assert first.entry.path == "d/a" and first.source is not None
        assert (first.source.entry.data, first.origin) == (512, "the archive")

    def test_content_of_a_name_for_a_lower_file_is_the_lower_layer_s(self) -> None:
        below = Tree.EMPTY.apply([folder("d"), file("d/low", size=3, data=512)], LAYER)
        copying = Copying(below, "/d/", CopyRules(NOW))
        copying.unpack([Entry("a", Kind.HARDLINK, link="low")], "the archive")
        first = copying.layer()[1]
        assert first.source is not None and first.origin is None
        assert (first.source.layer, first.source.entry.data) == (LAYER, 512)


CHMOD = [
    ("644", 0o777, 0o644, 0o644),
    ("0", 0o777, 0, 0),
    ("4755", 0o600, 0o4755, 0o4755),
    ("+x", 0o644, 0o755, 0o755),
    ("a+X", 0o644, 0o644, 0o755),
    ("a+X", 0o124, 0o135, 0o135),
    ("u=rwX,go=rX", 0o600, 0o644, 0o755),
    ("go-w", 0o666, 0o644, 0o644),
    ("u+rw,g+r,o-x,o+w", 0o124, 0o766, 0o766),
    ("g=u", 0o640, 0o660, 0o660),
    ("o=", 0o777, 0o770, 0o770),
    ("u+s,g+s,+t", 0o755, 0o7755, 0o7755),
    ("u=rw-r+x", 0o000, 0o300, 0o300),
]


@pytest.mark.parametrize(("text", "mode", "of_file", "of_directory"), CHMOD)
def test_chmod(text: str, mode: int, of_file: int, of_directory: int) -> None:
    change = parse_chmod(text)
    assert oct(change(mode, is_directory=False)) == oct(of_file)
    assert oct(change(mode, is_directory=True)) == oct(of_directory)


# What happens with letters that nobody would write, BSD's chmod as dchapes/mode has it: found by trying that.
ODD_CHMOD = [
    ("00000000640", 0o777, 0o640, 0o640),
    ("ug=u", 0o4751, 0o4771, 0o4771),  # copying leaves set-uid alone
    ("=ou", 0o640, 0, 0),
    ("+rt", 0o600, 0o1600, 0o1600),  # the sticky bit takes the place of "everybody"
    ("=Xu", 0o600, 0o666, 0o777),
    ("o+s", 0o644, 0o644, 0o644),
]


@pytest.mark.parametrize(("text", "mode", "of_file", "of_directory"), ODD_CHMOD)
def test_odd_chmod(text: str, mode: int, of_file: int, of_directory: int) -> None:
    test_chmod(text, mode, of_file, of_directory)


@pytest.mark.parametrize("text", ["64a", "10000", "8", "999"])
def test_chmod_that_is_no_octal_mode(text: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_chmod(text)
    assert caught.value.message == (
        f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
    )


@pytest.mark.parametrize("text", ["", "u", "u=rwz", "-1", "u+r,", "rw", "+x,,+r"])
def test_chmod_that_is_none(text: str) -> None:
    with pytest.raises(DockerfileError, match=r"^invalid syntax"):
        parse_chmod(text)


def test_only_an_octal_mode_counts_for_directories_that_are_made() -> None:
    assert [parse_chmod(text).made_mode for text in ("640", "1777", "u=rw,go=")] == [0o640, 0o777, 0o755]


def test_copying_20000_files_is_quick() -> None:
    source = Tree.EMPTY.apply([file(f"s/d{number // 100}/f{number}", size=1) for number in range(20_000)])
    started = time.process_time()
    assert copied(Tree.EMPTY, "/app", source, "s").count(" ") == 20_200
    assert time.process_time() - started < 1
