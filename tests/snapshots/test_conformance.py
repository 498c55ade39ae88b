"""What every snapshotter does, run over both; ``test_ordinary_user`` runs this file again without root."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from layers import THEN, MemorySource, file, folder, symlink
from programs import run, why_no_overlay

from dockersim.digest import DiffID
from dockersim.errors import StoreError
from dockersim.filesystem import Entry, Kind, LayerEntry, Opaque, Tree, Whiteout, diff, same
from dockersim.sandbox.contract import DirectoryRoot
from dockersim.snapshots import CopySnapshotter, OverlaySnapshotter, SnapshotKey

BACKENDS = {"overlay": OverlaySnapshotter, "copy": CopySnapshotter}
IS_ROOT = os.geteuid() == 0


@pytest.fixture(params=list(BACKENDS))
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[MemorySource], OverlaySnapshotter]:
    if request.param == "overlay" and why_no_overlay():
        pytest.skip(f"overlayfs cannot be mounted: {why_no_overlay()}")
    return lambda source: BACKENDS[request.param](tmp_path / "snapshots", source)


class Bench:
    """A snapshotter at work: steps are run, stored and stacked as the engine does it."""

    def __init__(self, make: Callable[[MemorySource], OverlaySnapshotter], *items: object) -> None:
        self.source = MemorySource()
        self.make = make
        self.snapshotter = make(self.source)
        self.layers: list[DiffID] = [self.source.store(*items)] if items else []
        self._keys = (SnapshotKey(f"key-{number}") for number in itertools.count())

    def changes(self, script: str) -> tuple[LayerEntry, ...]:
        key = next(self._keys)
        run(self.snapshotter.prepare(key, self.layers), script)
        entries = self.snapshotter.changes(key).entries
        assert self.snapshotter.changes(key).entries == entries, "changes() can be asked twice"
        self.snapshotter.discard(key)
        return entries

    def step(self, script: str) -> tuple[LayerEntry, ...]:
        key = next(self._keys)
        run(self.snapshotter.prepare(key, self.layers), script)
        changes = self.snapshotter.changes(key)
        layer = self.source.store_changes(self.snapshotter, key, changes)
        self.snapshotter.commit(key, layer)
        self.layers.append(layer)
        return changes.entries

    def tree(self) -> Tree:
        tree = Tree.EMPTY
        for layer in self.layers:
            tree = tree.apply(self.source.entries(layer), layer)
        return tree

    def sees(self, script: str) -> str:
        key = next(self._keys)
        try:
            return run(self.snapshotter.prepare(key, self.layers), script)
        finally:
            self.snapshotter.discard(key)


def brief(entries: tuple[LayerEntry, ...]) -> str:
    """Write a layer as a line: ``d/`` a directory, ``-x`` a whiteout, ``a=b`` a hard link."""
    return " ".join(_brief(entry) for entry in entries)


def _brief(entry: LayerEntry) -> str:
    if isinstance(entry, Whiteout):
        return f"-{entry.path}"
    assert isinstance(entry, Entry)
    if entry.kind is Kind.HARDLINK:
        return f"{entry.path}={entry.link}"
    return entry.path + ("/" if entry.kind is Kind.DIRECTORY else "")


BASE = (
    folder("d"), file("d/a", b"one\n"), file("d/b", b"two\n"), folder("d/sub"), file("d/sub/c", b"three\n"),
    symlink("l", "d/a"), file("x", b"x\n"),
)  # fmt: skip

STEPS = {
    "nothing": ("true", ""),
    "append": ("echo more >> d/a", "d/ d/a"),
    "new file in a new directory": ("mkdir n; echo hi > n/f", "n/ n/f"),
    "delete a file": ("rm d/a", "d/ -d/a"),
    "delete a directory is one whiteout": ("rm -r d", "-d"),
    "made and deleted": ("touch y; rm y", ""),
    "directory made again has no opaque mark": ("rm -r d; mkdir d; echo new > d/n", "d/ -d/a -d/b d/n -d/sub"),
    "directory made again with a file of the same name": ("rm -r d; mkdir d; echo new > d/a", "d/ d/a -d/b -d/sub"),
    "rename a file": ("mv x y", "-x y"),
    "rename a directory": (
        "mv d/sub d/s2 2>/dev/null || { cp -rp d/sub d/s2; rm -r d/sub; }",
        "d/ d/s2/ d/s2/c -d/sub",
    ),
    "hard link inside the layer": ("echo z > z; ln z m; ln z zz", "m z=m zz=m"),
    "hard link to a lower file copies the new name": ("ln x y", "y"),
    "chmod to the same mode": ("chmod 644 x", ""),
    "chmod": ("chmod 600 d/a; chmod 640 x", "d/ d/a x"),
    "the time of a directory does not count": ("touch d", ""),
    "the time of a file does": ("touch x", "x"),
    "rewritten with the same content": ("cp x y; cat y > x; rm y", "x"),
    "file becomes directory": ("rm x; mkdir x; touch x/f", "x/ x/f"),
    "directory becomes file": ("rm -r d; echo f > d", "d"),
    "directory becomes link": ("rm -r d; ln -s l d", "d"),
    "link points elsewhere": ("ln -sfn x l", "l"),
    "order is by bytes, depth first": ("mkdir a; touch a/1 a-b a.c", "a/ a/1 a-b a.c"),
    "a fifo": ("mkfifo p", "p"),
    "a file nobody may read": ("echo s > s; chmod 0 s", "s"),
    "content changed in place at the same size and second": ("printf 'X\\n' > x; touch -d @1700000000 x", "x"),
    "rewritten in place at the same size, second and content": ("printf 'x\\n' > x; touch -d @1700000000 x", ""),
}


class TestEverySnapshotter:
    """The contract of ``Snapshotter``, and what BuildKit's layers show (ORACLE.md, "Layers")."""

    @pytest.mark.parametrize(("script", "expected"), STEPS.values(), ids=STEPS.keys())
    def test_changes_are_a_layer_as_buildkit_writes_it(self, make, script: str, expected: str) -> None:
        bench = Bench(make, *BASE)
        assert brief(bench.changes(script)) == expected

    @pytest.mark.parametrize(("script", "expected"), STEPS.values(), ids=STEPS.keys())
    def test_what_was_discarded_is_gone(self, make, script: str, expected: str) -> None:
        bench = Bench(make, *BASE)
        bench.changes(script)
        assert bench.changes("true") == ()
        assert bench.sees("cat x d/a d/b d/sub/c l; ls") == "x\none\ntwo\nthree\none\nd\nl\nx\n"

    @pytest.mark.parametrize(("script", "expected"), STEPS.values(), ids=STEPS.keys())
    def test_committed_step_looks_as_one_laid_out_from_its_tar(
        self, make, script: str, expected: str, tmp_path: Path
    ) -> None:
        bench = Bench(make, *BASE)
        bench.step(script)
        listing = "find . -mindepth 1 -printf '%P %y %m %l\\n' | sort; find . -type f -perm -u+r -exec cat {} +"
        here = bench.sees(listing)
        other = type(bench.snapshotter)(tmp_path / "elsewhere", bench.source)
        again = run(other.prepare(SnapshotKey("k"), bench.layers), listing)
        assert sorted(here.splitlines()) == sorted(again.splitlines())
        assert bench.changes("true") == ()

    def test_steps_stack(self, make) -> None:
        bench = Bench(make, *BASE)
        bench.step("mkdir app; echo 1 > app/v")
        bench.step("echo 2 > app/v; rm d/a")
        bench.step("rm -r d; mkdir d; touch d/new")
        assert bench.sees("cat app/v; ls d") == "2\nnew\n"
        assert [node.entry.path for node in bench.tree().walk()] == ["app", "app/v", "d", "d/new", "l", "x"]

    def test_layers_below_are_shown_from_any_step(self, make) -> None:
        bench = Bench(make, *BASE)
        first = list(bench.layers)
        bench.step("echo changed > x")
        second, bench.layers = bench.layers, first
        assert bench.sees("cat x") == "x\n"
        bench.layers = second
        assert bench.sees("cat x") == "changed\n"

    def test_scratch(self, make) -> None:
        bench = Bench(make)
        assert brief(bench.changes("echo hi > f")) == "f"
        assert bench.sees("ls") == ""
        assert brief(bench.step("echo hi > f")) == "f"
        assert bench.sees("cat f") == "hi\n"

    def test_two_snapshots_of_the_same_layers_do_not_see_each_other(self, make) -> None:
        bench = Bench(make, *BASE)
        one, two = SnapshotKey("one"), SnapshotKey("two")
        first = bench.snapshotter.prepare(one, bench.layers)
        second = bench.snapshotter.prepare(two, bench.layers)
        run(first, "echo 1 > one")
        run(second, "echo 2 > two")
        assert brief(bench.snapshotter.changes(one).entries) == "one"
        assert brief(bench.snapshotter.changes(two).entries) == "two"

    def test_commit_of_nothing_keeps_the_layers(self, make) -> None:
        bench = Bench(make, *BASE)
        key = SnapshotKey("k")
        run(bench.snapshotter.prepare(key, bench.layers), "touch d")
        assert bench.snapshotter.changes(key).entries == ()
        bench.snapshotter.commit(key, None)
        assert bench.changes("true") == ()

    @pytest.mark.parametrize(
        "script",
        [
            "chmod 644 x; touch d; chmod 755 d/sub",
            "rm -f x; touch -d @1700000000 x; printf 'x\\n' > x; touch -d @1700000000 x",
        ],
    )
    def test_a_layer_that_changes_nothing_may_lie_on_any_other(self, make, script: str) -> None:
        bench = Bench(make, *BASE)
        assert bench.step(script) == ()
        empty = bench.layers[-1]
        bench.layers = [bench.source.store(folder("other")), empty]
        assert bench.sees("ls") == "other\n"

    def test_removed_layer_is_laid_out_anew(self, make) -> None:
        bench = Bench(make, *BASE)
        bench.step("echo more > m")
        bench.snapshotter.remove([bench.layers[0]])
        bench.snapshotter.remove([bench.layers[1]])
        bench.snapshotter.remove([bench.layers[1]])
        assert bench.sees("cat m x") == "more\nx\n"
        bench.snapshotter.remove(bench.layers)
        assert bench.sees("cat m x") == "more\nx\n"

    def test_unknown_snapshots(self, make) -> None:
        bench = Bench(make, *BASE)
        bench.snapshotter.discard(SnapshotKey("never-was"))
        with pytest.raises(StoreError, match="there is no snapshot never-was"):
            bench.snapshotter.changes(SnapshotKey("never-was"))
        bench.snapshotter.prepare(SnapshotKey("k"), bench.layers)
        with pytest.raises(StoreError, match="exists already"):
            bench.snapshotter.prepare(SnapshotKey("k"), bench.layers)

    def test_another_snapshotter_takes_up_what_is_on_disk(self, make) -> None:
        bench = Bench(make, *BASE)
        bench.step("echo more > m")
        bench.snapshotter = bench.make(bench.source)
        assert bench.sees("cat m") == "more\n"
        assert brief(bench.changes("rm m")) == "-m"

    def test_owner_and_special_modes(self, make) -> None:
        bench = Bench(make, folder("h", 0o750, 10, 20), file("h/f", b"f", 0o4755, 1000, 2000), file("t", b"", 0o0))
        entries = {entry.path: entry for entry in bench.changes("echo more >> h/f; echo n > h/n; chmod 700 t")}
        assert (entries["h"].uid, entries["h"].gid, entries["h"].mode) == (10, 20, 0o750)
        assert (entries["h/f"].uid, entries["h/f"].gid) == (1000, 2000)
        assert (entries["h/n"].uid, entries["h/n"].gid) == (0, 0)
        assert entries["t"].mode == 0o700

    def test_a_further_name_of_a_file_has_its_owner(self, make) -> None:
        bench = Bench(make, file("b", b"b", 0o644, 1000, 2000))
        entries = {entry.path: entry for entry in bench.changes("ln b a; ln b c; echo more >> b")}
        assert [(entries[name].uid, entries[name].gid) for name in "abc"] == [(1000, 2000)] * 3

    def test_a_directory_made_again_is_not_the_old_one(self, make) -> None:
        bench = Bench(make, folder("h", 0o750, 1, 2), folder("h/s", 0o750, 1, 2), file("h/s/f", b"f", 0o644, 3, 4))
        # The old one only steps aside, since a disk may give its number to the next directory.
        entries = {entry.path: entry for entry in bench.changes("mv h old; mkdir -p h/s; echo n > h/s/f; rm -r old")}
        assert {(entries[name].uid, entries[name].gid) for name in ("h", "h/s", "h/s/f")} == {(0, 0)}

    def test_one_layer_may_lie_in_a_stack_several_times(self, make) -> None:
        bench = Bench(make, *BASE)
        bench.step("true")
        bench.step("true")
        first = bench.step("touch -d @1000 new")
        bench.step("rm new")
        assert bench.step("touch -d @1000 new") == first
        assert bench.sees("ls") == "d\nl\nnew\nx\n"
        assert brief(bench.changes("rm new")) == "-new"

    def test_whiteout_in_a_layer_hides_and_opaque_too(self, make) -> None:
        bench = Bench(make, *BASE)
        bench.layers.append(bench.source.store(Whiteout("x"), folder("d"), Opaque("d"), file("d/n", b"n\n")))
        assert bench.sees("ls . d") == ".:\nd\nl\n\nd:\nn\n"
        assert bench.changes("true") == ()

    def test_names_that_are_no_utf8(self, make) -> None:
        bench = Bench(make, *BASE)
        entries = bench.step("touch \"$(printf 'caf\\351')\"")
        assert [entry.path for entry in entries] == ["caf\udce9"]
        assert bench.changes("true") == ()

    def test_hard_links_of_a_layer_are_one_file(self, make) -> None:
        bench = Bench(make, file("a", b"same"), Entry("b", Kind.HARDLINK, link="a"))
        assert bench.sees("test a -ef b && echo linked") == "linked\n"

    def test_the_root_has_the_mode_of_the_image(self, make) -> None:
        bench = Bench(make, folder("", 0o711), file("a"))
        assert bench.sees("stat -c %a .") == "711\n"

    def test_120_layers(self, make) -> None:
        bench = Bench(make)
        bench.layers = [bench.source.store(file(f"f{number}", b"%d\n" % number)) for number in range(120)]
        assert bench.sees("cat f0 f60 f119; ls | wc -l") == "0\n60\n119\n120\n"

    def test_what_a_killed_process_left_is_swept(self, make, tmp_path: Path) -> None:
        bench = Bench(make, *BASE)
        left = os.fork()
        if left == 0:
            run(bench.snapshotter.prepare(SnapshotKey("k"), bench.layers), "echo half > half; rm -r d")
            os._exit(9)
        os.waitpid(left, 0)
        bench.snapshotter = bench.make(bench.source)
        assert bench.sees("ls") == "d\nl\nx\n"
        assert not list((tmp_path / "snapshots").rglob("half"))


class TestAttacks:
    """Layers made to write outside of the directory they are laid out in."""

    @pytest.fixture
    def outside(self, tmp_path: Path) -> Iterator[Path]:
        target = tmp_path / "outside"
        target.mkdir()
        (target / "precious").write_text("precious")
        yield target
        assert sorted(path.name for path in target.iterdir()) == ["precious"]
        assert (target / "precious").read_text() == "precious"
        assert stat.S_IMODE(target.stat().st_mode) == 0o755

    def test_file_through_a_link_of_the_same_layer(self, make, outside: Path) -> None:
        bench = Bench(make, symlink("evil", str(outside)), file("evil/pwned", b"!"))
        bench.sees("true")

    def test_file_through_a_link_of_a_lower_layer(self, make, outside: Path) -> None:
        bench = Bench(make, symlink("evil", str(outside)))
        bench.layers.append(bench.source.store(file("evil/pwned", b"!"), Whiteout("evil/precious")))
        assert bench.sees(f"cat .{outside}/pwned") == "!"

    def test_directory_entry_that_becomes_a_link(self, make, outside: Path) -> None:
        bench = Bench(make, folder("e"), symlink("e", str(outside)), file("e/pwned", b"!"))
        bench.sees("true")

    def test_link_replaced_by_a_directory_entry(self, make, outside: Path) -> None:
        bench = Bench(make, symlink("e", str(outside)))
        bench.layers.append(bench.source.store(folder("e", 0o700), file("e/f", b"in\n")))
        assert bench.sees("cat e/f; test -L e || echo real") == "in\nreal\n"

    def test_hard_link_to_a_file_behind_a_link(self, make, outside: Path) -> None:
        bench = Bench(make, symlink("e", str(outside)), folder("d"))
        bench.layers.append(bench.source.store(Entry("h", Kind.HARDLINK, link="e/precious")))
        with pytest.raises(Exception, match="hard link"):
            bench.sees("true")

    def test_opaque_mark_behind_a_link(self, make, outside: Path) -> None:
        bench = Bench(make, symlink("e", str(outside)))
        bench.layers.append(bench.source.store(Opaque("e")))
        bench.sees("true")

    def test_link_made_by_a_program_in_the_place_of_a_directory(self, make, outside: Path) -> None:
        bench = Bench(make, folder("d"), file("d/f", b"f\n"))
        bench.changes(f"rm -r d; ln -s {outside} d")
        assert bench.sees("cat d/f") == "f\n"


def test_the_tree_and_the_disk_agree(tmp_path: Path) -> None:
    """What is laid out is what the tree says: path, kind, mode, owner, size, time and link of every entry."""
    source = MemorySource()
    layers = [source.store(*BASE), source.store(folder("d"), Whiteout("d/a"), file("d/new", b"n", 0o600))]
    root = CopySnapshotter(tmp_path, source).prepare(SnapshotKey("k"), layers)
    assert isinstance(root, DirectoryRoot)
    for node in Tree.EMPTY.apply(source.entries(layers[0])).apply(source.entries(layers[1])).walk():
        status = os.lstat(root.path / node.entry.path)
        assert status.st_mtime_ns == THEN
        if node.entry.kind is Kind.FILE:
            assert stat.S_IMODE(status.st_mode) == node.entry.mode
            assert status.st_size == node.entry.size
    assert not (root.path / "d/a").exists()
    assert diff(Tree.EMPTY, Tree.EMPTY) == () and same(BASE[0], BASE[0])


@pytest.mark.skipif(not IS_ROOT, reason="only root can make devices and give files away")
def test_devices_and_owners_are_real_for_root(make) -> None:
    device = Entry("null", Kind.CHARACTER, 0o666, 5, 6, mtime_ns=THEN, device=(1, 3))
    bench = Bench(make, device, file("f", b"", 0o644, 1000, 2000))
    # Nothing would keep a device of an image from being opened in a directory as it is: a file stands for it.
    is_copy = isinstance(bench.snapshotter, CopySnapshotter)
    kind = "regular empty file 0 0" if is_copy else "character special file 1 3"
    assert bench.sees("stat -c '%F %t %T %u %g' null; stat -c '%u:%g' f") == f"{kind} 5 6\n1000:2000\n"
    (changed,) = bench.changes("chmod 600 null")
    assert isinstance(changed, Entry)
    assert (changed.kind, changed.device, changed.mode) == (Kind.CHARACTER, (1, 3), 0o600)
    assert brief(bench.changes("chown 7:8 f; mknod zero c 1 5")) == "f zero"


def test_large_contents_are_copied_whole_from_a_tar_on_disk(make, tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    bench = Bench(make, file("small", b"s"), file("large", content))
    tar = tmp_path / "layer.tar"
    with bench.source.open_tar(bench.layers[0]) as memory:
        tar.write_bytes(memory.read())
    bench.source.open_tar = lambda diff_id: tar.open("rb")  # type: ignore[method-assign]
    assert bench.sees("sha256sum < large").split()[0] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("milliseconds", [2, 20, 60, 120])
def test_a_kill_while_layers_are_laid_out_leaves_nothing_half(make, tmp_path: Path, milliseconds: int) -> None:
    files = [file(f"d/f{number}", b"%d" % number) for number in range(2000)]
    bench = Bench(make, folder("d"), *files)
    bench.layers.append(bench.source.store(folder("d"), Whiteout("d/f7"), file("d/more", b"more")))
    child = os.fork()
    if child == 0:
        bench.snapshotter.prepare(SnapshotKey("k"), bench.layers)
        os._exit(0)
    time.sleep(milliseconds / 1000)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    bench.snapshotter = bench.make(bench.source)
    assert bench.sees("ls d | wc -l; cat d/more; cat d/f1999") == "2000\nmore1999"
    assert bench.changes("true") == ()
    left = [path for name in ("new", "active") for path in (tmp_path / "snapshots" / name).glob("*")]
    assert left == []
