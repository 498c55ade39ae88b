"""Every attack through every way in; ``python -m tests.hostile`` tries the same, and prints what became of it."""

from __future__ import annotations

import io
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockersim.content import ContentStore, LayerStore
from dockersim.content.compression import Allowance, any_unpacked
from dockersim.errors import ContentError
from dockersim.filesystem import Limits, read_layer
from dockersim.snapshots import CopySnapshotter, OverlaySnapshotter, SnapshotKey
from dockersim.snapshots.disk import delete
from tests.hostile import layers, matrix
from tests.hostile.arena import Arena
from tests.hostile.bombs import packed, tar_of_entries, tar_of_zeros
from tests.hostile.matrix import Tried
from tests.hostile.tars import END, member

TRACES = 13
"""Of the damaged traces every so many are replayed here."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder that is deleted by what can delete a deep one."""
    folder = tmp_path / "place"
    folder.mkdir()
    yield folder
    delete(str(folder))


@pytest.mark.slow
@pytest.mark.parametrize(
    "attacks",
    [matrix.layer_attacks, matrix.packed_attacks, matrix.document_attacks,
     lambda folder: matrix.trace_attacks(folder, TRACES)],
    ids=["layers", "packing", "documents", "traces"],
)  # fmt: skip
def test_attacks(place: Path, attacks: Callable[[Path], Iterator[Tried]]) -> None:
    tried = list(attacks(place))
    assert [f"{one.way}, {one.attack}: {one.wrong}" for one in tried if one.wrong] == []
    assert any(one.refused for one in tried) and any(not one.refused for one in tried)


def test_the_arena_sees_what_is_touched(place: Path) -> None:
    arena = Arena(place / "arena")
    assert arena.changes() == []
    (arena.outside / "precious").chmod(0o600)
    (arena.outside / "new").write_text("x")
    assert [Path(path).name for path in arena.changes()] == ["outside", "new", "precious"]


@pytest.mark.parametrize("how", ["gzip", "zstd", "xz", "bzip2"])
def test_zeros_in_a_small_archive_stop_at_the_limit(how: str) -> None:
    data = b"".join(packed(tar_of_zeros(64 << 20), how))
    with any_unpacked(io.BytesIO(data), Allowance(free=4 << 20, times=20)) as tar:
        count = 0
        with pytest.raises(ContentError, match="unpacks to more than 4194304 bytes and 20 times its size"):
            while piece := tar.read(1 << 20):
                count += len(piece)
    assert count < 16 << 20


def test_a_gigabyte_of_zeros_that_a_learner_has_made_is_unpacked() -> None:
    with any_unpacked(io.BytesIO(b"".join(packed(tar_of_zeros(1 << 30), "gzip")))) as tar:
        assert sum(len(piece) for piece in iter(lambda: tar.read(1 << 20), b"")) > 1 << 30


@pytest.mark.parametrize("how", ["gzip", "zstd", "xz", "bzip2"])
def test_what_shrinks_as_ordinary_files_do_is_unpacked(how: str) -> None:
    content = os.urandom(1 << 20) * 2
    data = b"".join(packed(iter([content]), how))
    with any_unpacked(io.BytesIO(data), Allowance(free=0, times=20)) as tar:
        assert b"".join(iter(lambda: tar.read(1 << 20), b"")) == content


def test_entries_stop_at_the_limit() -> None:
    class Stream(io.RawIOBase):
        """Reads as many pieces as are asked for."""

        def __init__(self) -> None:
            self.pieces, self.waiting, self.count = tar_of_entries(10_000_000), b"", 0

        def read(self, size: int = -1, /) -> bytes:
            while len(self.waiting) < size:
                self.waiting += next(self.pieces)
            data, self.waiting = self.waiting[:size], self.waiting[size:]
            self.count += len(data)
            return data

    stream = Stream()
    with pytest.raises(ContentError, match="holds more than 5000 entries"):
        for _ in read_layer(stream, Limits(entries=5000)):
            pass
    assert stream.count == 5001 * 512


@pytest.mark.parametrize("kind", [OverlaySnapshotter, CopySnapshotter])
def test_what_is_set_uid_on_disk_is_out_of_the_reach_of_others(
    place: Path, kind: type[OverlaySnapshotter] | type[CopySnapshotter]
) -> None:
    source = LayerStore(ContentStore(place / "home"))
    make, _ = layers.ATTACKS["set_uid_shell_of_root"]
    diff_ids = [source.add_tar(io.BytesIO(tar + END)) for tar in make("")]
    snapshotter = kind(place / "home" / "snapshots", source)
    snapshotter.prepare(SnapshotKey("k"), diff_ids)
    tools = [path for path in place.rglob("*") if path.is_file() and path.stat().st_mode & stat.S_ISUID]
    assert tools
    for tool in tools:
        above = [folder for folder in tool.parents if folder.is_relative_to(place / "home")]
        assert any(not stat.S_IMODE(folder.stat().st_mode) & 0o077 for folder in above)
    snapshotter.discard(SnapshotKey("k"))


@pytest.mark.skipif(os.geteuid() != 0, reason="by design: only root can set what a layer must not")
def test_a_layer_sets_no_attribute_of_overlayfs(place: Path) -> None:
    source = LayerStore(ContentStore(place / "home"))
    for name in ("attribute_overlay_redirect", "attribute_overlay_opaque", "attribute_of_the_hosts_policies"):
        diff_ids = [source.add_tar(io.BytesIO(tar + END)) for tar in layers.ATTACKS[name][0]("")]
        snapshotter = OverlaySnapshotter(place / "home" / "snapshots", source)
        snapshotter.prepare(SnapshotKey("k"), diff_ids)
        snapshotter.discard(SnapshotKey("k"))
    found = {name for path in place.rglob("*") for name in os.listxattr(path, follow_symlinks=False)}
    assert not {name for name in found if name.startswith(("trusted.", "user.overlay.", "system."))}


def test_a_full_disk_while_unpacking_is_one_line_and_leaves_nothing(place: Path) -> None:
    """A limit on the size of files stops writes as a full disk does, and needs no root."""
    data = member("f", os.urandom(4 << 20)) + END
    for words in (["import", "-"], ["build", "-"]):
        sent = member("Dockerfile", b"FROM scratch\nCOPY . /\n") + data
        (place / "tmp").mkdir(exist_ok=True)
        ended = subprocess.run(
            [sys.executable, "-m", "dockersim.cli", *words], input=sent, capture_output=True, check=False,
            env={**os.environ, "DOCKERSIM_HOME": str(place / "home"), "TMPDIR": str(place / "tmp")},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
        )  # fmt: skip
        said = ended.stderr.decode()
        assert ended.returncode == 1 and "File too large" in said and len(said.splitlines()) == 1, said
        assert list((place / "tmp").iterdir()) == []
        ingest = place / "home" / "ingest"
        assert not ingest.exists() or list(ingest.iterdir()) == []


def test_a_file_that_is_called_as_no_deletion_can_be_is_not_copied(place: Path) -> None:
    (place / ".wh.").write_text("x")
    (place / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    ended = matrix.call(lambda: _build(place))
    assert "/.wh.: in a layer that name means a deletion" in ended.said


def test_a_file_that_is_called_as_a_deletion_is_one_in_the_image(place: Path) -> None:
    context = place / "context"
    context.mkdir()
    (context / ".wh.a").write_text("x")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /a\nCOPY .wh.a /\n")
    assert _build(context) == []


def _build(context: Path) -> list[str]:
    from dockersim import Engine

    build = Engine(context.parent / "home", environment={}).build(context)
    build.finish()
    assert build.step is not None
    return [entry.path for entry in build.step.files.walk()]
