"""Owners where the disk cannot hold them: both snapshotters, told that they are an ordinary user's."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from layers import MemorySource, file, folder, symlink
from programs import run, why_no_overlay

from dockersim.filesystem import Entry, Kind
from dockersim.sandbox.contract import OverlayRoot, Recorded
from dockersim.sandbox.inside.kernel import AT_FDCWD, file_handle
from dockersim.snapshots import CopySnapshotter, Ledger, OverlaySnapshotter, SnapshotKey

BACKENDS = {"overlay": OverlaySnapshotter, "copy": CopySnapshotter}
KEY = SnapshotKey("step")
Entries = dict[str, Entry]
BASE = (
    folder("d", uid=3, gid=4),
    file("d/a", b"same", uid=1, gid=2),
    file("d/b", b"other", uid=5, gid=6),
    symlink("d/l", "a"),
    folder("g", 0o2775, uid=0, gid=50),
)


@pytest.fixture(params=list(BACKENDS))
def changed(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Entries]:
    """Run a script on top of ``BASE``, and give the layer by path; ``recorded`` is by path, too."""
    if request.param == "overlay" and (why_no_overlay() or os.geteuid() == 0):
        pytest.skip(why_no_overlay() or "by design: root's overlay marks things in another way than a user's")
    source = MemorySource()
    snapshots = BACKENDS[request.param](tmp_path, source, privileged=False)

    def change(script: str, recorded: dict[str, Recorded] | None = None, uid: int = 0, gid: int = 0) -> Entries:
        root = snapshots.prepare(KEY, [source.store(*BASE)])
        run(root, script)
        top = root.upper if isinstance(root, OverlayRoot) else root.path
        by_inode = {(top / path).lstat().st_ino: value for path, value in (recorded or {}).items()}
        entries = snapshots.changes(KEY, Ledger(uid, gid, by_inode)).entries
        return {entry.path: entry for entry in entries if isinstance(entry, Entry)}

    return change


def owner(entry: Entry) -> tuple[int, int]:
    return entry.uid, entry.gid


def test_what_is_new_belongs_to_who_ran(changed: Callable[..., Entries]) -> None:
    found = changed("echo x > new; mkdir dir; echo x > dir/in; echo x > d/in; echo x >> d/a", uid=7, gid=8)
    assert {path: owner(entry) for path, entry in found.items()} == {
        "new": (7, 8), "dir": (7, 8), "dir/in": (7, 8), "d": (3, 4), "d/in": (7, 8), "d/a": (1, 2),
    } | ({"": owner(found[""])} if "" in found else {})  # fmt: skip


def test_a_set_gid_directory_hands_its_group_down(changed: Callable[..., Entries]) -> None:
    found = changed("echo x > g/new; mkdir g/dir; chmod g+s g/dir; echo x > g/dir/in", uid=7, gid=8)
    assert [owner(found[path]) for path in ("g/new", "g/dir", "g/dir/in")] == [(7, 50)] * 3


def test_what_was_moved_keeps_its_owner(changed: Callable[..., Entries]) -> None:
    found = changed("mv d/a d/moved; mv d/b elsewhere; mv d/l link; echo same > new")
    assert owner(found["d/moved"]) == (1, 2)
    assert owner(found["elsewhere"]) == (5, 6)
    assert owner(found["new"]) == (0, 0)


def test_what_was_moved_keeps_its_owner_when_another_file_takes_its_name(changed: Callable[..., Entries]) -> None:
    """As `adduser` does with /etc/shadow, and `sed -i.bak`."""
    found = changed("ln d/a d/a-; echo x > t; mv t d/a; mv d/b d/b.bak; echo y > d/b; cp d/b copy; echo z >> d/b")
    assert {path: owner(found[path]) for path in ("d/a-", "d/b.bak", "copy")} == {
        "d/a-": (1, 2), "d/b.bak": (5, 6), "copy": (0, 0),
    }  # fmt: skip
    assert [owner(found[path]) for path in ("d/a", "d/b")] == [(1, 2), (5, 6)]


def test_another_content_of_the_same_size_and_time_was_not_moved(changed: Callable[..., Entries]) -> None:
    found = changed("touch -r d/a stamp; rm d/a; printf diff > new; touch -r stamp new; rm stamp")
    assert owner(found["new"]) == (0, 0)


def test_a_record_of_another_file_with_that_inode_does_not_count(changed: Callable[..., Entries]) -> None:
    found = changed("echo x > new", {"new": Recorded(b"the handle of a file that is gone", 9, 9)})
    assert owner(found["new"]) == (0, 0)


def test_who_writes_a_file_anew_leaves_it_to_its_owner(tmp_path: Path) -> None:
    """As far as a RUN can see every file is its own, and so it has given it (``Recorded.copied``)."""
    source = MemorySource()
    snapshots = CopySnapshotter(tmp_path, source, privileged=False)
    root = snapshots.prepare(KEY, [source.store(*BASE)])
    run(root, "for f in d/a d/b g/c; do echo x > t; mv t $f; done")
    recorded = {
        (root.path / path).lstat().st_ino: Recorded(
            file_handle(AT_FDCWD, os.fsencode(root.path / path)), 0, 0, copied=copied
        )
        for path, copied in (("d/a", True), ("d/b", False), ("g/c", True))
    }
    found = {entry.path: entry for entry in snapshots.changes(KEY, Ledger(recorded=recorded)).entries}
    assert [owner(found[path]) for path in ("d/a", "d/b")] == [(1, 2), (0, 0)]  # type: ignore[arg-type]
    assert owner(found["g/c"]) == (0, 0)  # type: ignore[arg-type]  # nothing stood there, and it was asked for


def test_what_was_recorded_is_in_the_layer(tmp_path: Path) -> None:
    source = MemorySource()
    snapshots = CopySnapshotter(tmp_path, source, privileged=False)
    root = snapshots.prepare(KEY, [source.store(*BASE)])
    run(root, "touch node; chmod 640 node; echo x >> d/a; ln -s a new-link; chmod 700 d")

    def recorded(path: str, *values: object) -> tuple[int, Recorded]:
        handle = file_handle(AT_FDCWD, os.fsencode(root.path / path))
        return (root.path / path).lstat().st_ino, Recorded(handle, *values)  # type: ignore[arg-type]

    ledger = Ledger(
        recorded=dict(
            [
                recorded("node", None, 6, (stat.S_IFBLK, 7, 1)),
                recorded("d/a", 9, None),
                recorded("new-link", 9, 9),
                recorded("d", 9, 9),
            ]
        )
    )
    found = {entry.path: entry for entry in snapshots.changes(KEY, ledger).entries if isinstance(entry, Entry)}
    assert (found["node"].kind, found["node"].device, found["node"].mode) == (Kind.BLOCK, (7, 1), 0o640)
    assert owner(found["node"]) == (0, 6)
    assert owner(found["d/a"]) == (9, 2)
    assert owner(found["new-link"]) == owner(found["d"]) == (9, 9)
