"""Layers: what is written is what is read, pulled ones are checked, and a layer's gzip is always the same."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from pathlib import Path

import pytest

from dockersim.content import ContentStore, Layer, LayerStore
from dockersim.digest import DiffID, sha256
from dockersim.errors import ContentError
from dockersim.filesystem import Entry, Kind, Whiteout
from dockersim.oci import Descriptor, media_types


@pytest.fixture
def layers(tmp_path: Path) -> LayerStore:
    return LayerStore(ContentStore(tmp_path))


def write(layers: LayerStore, **files: bytes) -> Layer:
    with layers.new_layer() as new:
        for name, content in files.items():
            new.add(Entry(name, Kind.FILE), content)
        return new.commit()


def tar_of(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    zstd = pytest.importorskip("backports.zstd")
    return bytes(zstd.compress(data))


def test_a_new_layer_is_a_blob_under_its_diff_id(layers: LayerStore) -> None:
    layer = write(layers, a=b"one", b=b"two")
    layers.content.verify(layer.diff_id)
    assert layers.size(layer.diff_id) == layer.size
    files = [entry for entry in layers.entries(layer.diff_id) if isinstance(entry, Entry)]
    assert [layers.read_file(layer.diff_id, entry) for entry in files] == [b"one", b"two"]
    with tarfile.open(fileobj=layers.open_tar(layer.diff_id)) as tar:
        assert tar.getnames() == ["a", "b"]


def test_a_layer_that_is_not_committed_is_not_kept(layers: LayerStore) -> None:
    with pytest.raises(ZeroDivisionError), layers.new_layer() as new:
        new.add(Entry("a", Kind.FILE), b"x")
        raise ZeroDivisionError
    assert list(layers.content.walk()) == []


def test_the_index_is_made_again_when_it_is_lost_or_damaged(layers: LayerStore) -> None:
    layer = write(layers, a=b"one")
    index = next((layers.content.root / "layers").iterdir())
    for damage in (index.unlink, lambda: index.write_bytes(b"{")):
        damage()
        assert LayerStore(layers.content).entries(layer.diff_id) == layer.entries
    assert index.exists()


def test_a_damaged_layer_without_index_is_refused(layers: LayerStore) -> None:
    layer = write(layers, a=b"one")
    path = layers.content.path(layer.diff_id)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"one", b"two"))
    next((layers.content.root / "layers").iterdir()).unlink()
    with pytest.raises(ContentError, match="is damaged"):
        LayerStore(layers.content).entries(layer.diff_id)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
def test_a_pulled_blob_becomes_a_layer(layers: LayerStore, pack: object) -> None:
    tar = tar_of(hello=b"world")
    assert callable(pack)
    blob = layers.content.put(pack(tar))
    # The media type may be wrong; the bytes decide.
    descriptor = Descriptor(media_types.LAYER_GZIP, blob, layers.content.size(blob))
    diff_id = layers.add_blob(descriptor, DiffID(sha256(tar)))
    assert diff_id == sha256(tar)
    entry = layers.entries(diff_id)[0]
    assert isinstance(entry, Entry)
    assert layers.read_file(diff_id, entry) == b"world"
    assert layers.read_file(diff_id, entry, limit=2) == b"wo"


def test_a_pulled_gzip_is_pushed_as_it_came(layers: LayerStore) -> None:
    blob = layers.content.put(gzip.compress(tar_of(a=b"1")))
    diff_id = layers.add_blob(Descriptor(media_types.DOCKER_LAYER_GZIP, blob, 1))
    assert layers.compressed(diff_id).digest == blob


def test_a_layer_other_than_the_config_promised_is_not_kept(layers: LayerStore) -> None:
    blob = layers.content.put(gzip.compress(tar_of(a=b"evil")))
    with pytest.raises(ContentError, match="is damaged: it unpacks to"):
        layers.add_blob(Descriptor(media_types.LAYER_GZIP, blob, 1), DiffID(sha256(b"good")))
    assert list(layers.content.walk()) == [blob]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:40] + bytes(20) + data[60:],
        lambda data: data[:-8] + bytes(8),
    ],
    ids=["cut off", "overwritten", "wrong checksum"],
)
@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_a_damaged_blob_is_a_content_error(layers: LayerStore, pack: object, damage: object) -> None:
    assert callable(pack)
    assert callable(damage)
    blob = layers.content.put(damage(pack(tar_of(a=bytes(range(256)) * 40))))
    with pytest.raises(ContentError):
        layers.add_blob(Descriptor(media_types.LAYER_GZIP, blob, 1), DiffID(sha256(b"good")))
    assert list(layers.content.walk()) == [blob]


def test_equal_layers_have_equal_gzips(tmp_path: Path) -> None:
    blobs = set()
    for name in ("one", "two"):
        layers = LayerStore(ContentStore(tmp_path / name))
        layer = write(layers, data=bytes(range(256)) * 20_000)
        descriptor = layers.compressed(layer.diff_id)
        assert layers.compressed(layer.diff_id) == descriptor
        assert sha256(gzip.decompress(layers.content.read(descriptor.digest))) == layer.diff_id
        blobs.add(descriptor.digest)
    assert len(blobs) == 1


def test_a_gzip_that_was_deleted_is_made_again(layers: LayerStore) -> None:
    layer = write(layers, a=b"x")
    first = layers.compressed(layer.diff_id)
    layers.content.delete(first.digest)
    assert layers.known_gzip(layer.diff_id) is None
    assert layers.compressed(layer.diff_id) == first
    assert layers.content.has(first.digest)


def test_trees_of_a_stack(layers: LayerStore) -> None:
    below = write(layers, a=b"1", b=b"2").diff_id
    with layers.new_layer() as new:
        new.add(Whiteout("a"))
        above = new.commit().diff_id
    assert [node.entry.path for node in layers.tree([below, above]).walk()] == ["b"]
    assert [node.entry.path for node in layers.tree([below]).walk()] == ["a", "b"]
    assert layers.tree([below, above]) is layers.tree([below, above])
    assert list(layers.tree([]).walk()) == []


def test_a_layer_that_is_not_here(layers: LayerStore) -> None:
    with pytest.raises(ContentError, match="is not in the store"):
        layers.entries(DiffID(sha256(b"")))


def test_compressing_can_be_stopped_on_the_way(layers: LayerStore) -> None:
    layer = write(layers, data=random.Random(0).randbytes(3 << 20))
    steps = layers.compressing(layer.diff_id)
    assert next(steps) < layers.size(layer.diff_id)
    steps.close()
    assert layers.known_gzip(layer.diff_id) is None
    assert list((layers.content.root / "ingest").iterdir()) == []
    assert layers.compressed(layer.diff_id) == layers.known_gzip(layer.diff_id)
