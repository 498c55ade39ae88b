"""The copy snapshotter finds out what changed by looking at metadata: what has not changed is never read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layers import MemorySource, file, folder

from dockersim.digest import DiffID
from dockersim.sandbox import DirectoryRoot
from dockersim.snapshots import CopySnapshotter, SnapshotKey

_listening: list[list[str]] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _listening and isinstance(arguments[0], str):
        _listening[-1].append(arguments[0])


sys.addaudithook(_hear)  # which cannot be taken back, and so listens only when it is asked to


@contextmanager
def _opened(below: Path) -> Iterator[set[str]]:
    """Give the names of the files below a directory that are opened in the block, when it has ended."""
    names: set[str] = set()
    _listening.append([])
    try:
        yield names
    finally:
        heard = _listening.pop()
        names.update(path.rpartition("/")[2] for path in heard if path.startswith(f"{below}/"))


def _base(source: MemorySource) -> DiffID:
    return source.store(folder("d"), *(file(f"d/f{number}", b"content") for number in range(50)))


def _prepare(snapshots: CopySnapshotter, key: str, *layers: DiffID) -> Path:
    root = snapshots.prepare(SnapshotKey(key), layers)
    assert isinstance(root, DirectoryRoot)
    return root.path


def test_only_what_changed_is_read(tmp_path: Path) -> None:
    source = MemorySource()
    base = _base(source)
    snapshots = CopySnapshotter(tmp_path, source)
    tree = _prepare(snapshots, "first", base)
    (tree / "d/f7").write_text("changed\n")
    os.utime(tree / "d/f8", (1, 1))
    with _opened(tree) as names:
        found = snapshots.changes(SnapshotKey("first"))
        snapshots.commit(SnapshotKey("first"), source.store(file("d/f7", b"changed\n")))
    assert {entry.path for entry in found.entries} == {"d", "d/f7", "d/f8"}
    assert names <= {"f7", "f8"}


def test_a_step_where_the_last_one_stood_opens_nothing_and_writes_no_manifest(tmp_path: Path) -> None:
    source = MemorySource()
    base = _base(source)
    snapshots = CopySnapshotter(tmp_path, source)
    _prepare(snapshots, "first", base)
    snapshots.changes(SnapshotKey("first"))
    snapshots.commit(SnapshotKey("first"), None)
    state = next(tmp_path.glob("slots/*/state"))
    before = state.stat()
    with _opened(tmp_path) as names:
        _prepare(snapshots, "second", base)
        assert snapshots.changes(SnapshotKey("second")).entries == ()
        snapshots.commit(SnapshotKey("second"), None)
    assert os.path.samestat(state.stat(), before)
    assert "state.new" not in names and not any(name.startswith("f") for name in names)


def test_a_state_that_another_process_wrote_is_read_anew(tmp_path: Path) -> None:
    source = MemorySource()
    base = _base(source)
    ours, theirs = CopySnapshotter(tmp_path, source), CopySnapshotter(tmp_path, source)
    _prepare(ours, "first", base)
    ours.commit(SnapshotKey("first"), None)
    tree = _prepare(theirs, "other", base)
    (tree / "new").write_text("new\n")
    theirs.commit(SnapshotKey("other"), source.store(file("new", b"new\n")))
    tree = _prepare(ours, "second", base)
    assert not (tree / "new").exists()
    assert ours.changes(SnapshotKey("second")).entries == ()


def test_changing_to_another_stage_writes_only_what_is_different(tmp_path: Path) -> None:
    source = MemorySource()
    base = _base(source)
    stage = source.store(file("only-here", b"x"))
    snapshots = CopySnapshotter(tmp_path, source)
    tree = _prepare(snapshots, "first", base)
    snapshots.commit(SnapshotKey("first"), None)
    with _opened(tree) as names:
        assert _prepare(snapshots, "second", base, stage) == tree
    assert names == {"only-here"}


def test_a_socket_that_a_killed_step_left_in_an_empty_root_is_in_nobodys_way(tmp_path: Path) -> None:
    source = MemorySource()
    snapshots = CopySnapshotter(tmp_path, source)
    tree = _prepare(snapshots, "first")
    snapshots.commit(SnapshotKey("first"), None)
    tree = _prepare(snapshots, "second")
    os.mknod(tree / "d", 0o140600)
    snapshots.discard(SnapshotKey("second"))
    assert (_prepare(snapshots, "third", _base(source)) / "d" / "f1").read_bytes() == b"content"
