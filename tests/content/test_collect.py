"""Garbage collection: what a root leads to stays, what a running build needs stays, the rest goes."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dockersim.content import ContentStore, LayerStore, collect, lease
from dockersim.digest import Digest
from dockersim.filesystem import Entry, Kind
from dockersim.oci import ContainerConfig, Descriptor, ImageConfig, Index, Manifest, media_types

from .test_layers import tar_of


@pytest.fixture
def layers(tmp_path: Path) -> LayerStore:
    return LayerStore(ContentStore(tmp_path))


def blobs(layers: LayerStore) -> set[str]:
    return set(layers.content.walk())


def sweep(layers: LayerStore, *roots: Digest) -> set[str]:
    """Sweep without grace, and return what is left."""
    collect(layers, roots, grace_seconds=-1)
    return blobs(layers)


def image(layers: LayerStore) -> Digest:
    with layers.new_layer() as new:
        new.add(Entry("a", Kind.FILE), b"x")
        layer = new.commit()
    config = ImageConfig("amd64", diff_ids=(layer.diff_id,)).to_json()
    descriptor = Descriptor(media_types.CONFIG, layers.content.put(config), len(config))
    return layers.content.put(Manifest(descriptor, (layer.descriptor,)).to_json())


def test_what_no_root_leads_to_goes(layers: LayerStore) -> None:
    kept, lost = image(layers), layers.content.put(b"lost")
    before = blobs(layers)
    found = collect(layers, [kept], grace_seconds=-1)
    assert (found.blobs, found.size) == ((lost,), 4)
    assert before - blobs(layers) == {lost}
    assert sweep(layers) == set()
    assert os.listdir(layers.content.root / "layers") == []


def test_an_index_leads_to_its_manifests(layers: LayerStore) -> None:
    manifest = image(layers)
    index = layers.content.put(Index((Descriptor(media_types.MANIFEST, manifest, 1),)).to_json())
    before = blobs(layers)
    assert sweep(layers, index) == before


def test_a_pulled_image_keeps_its_layers_in_both_forms(layers: LayerStore) -> None:
    blob = layers.content.put(gzip.compress(tar_of(a=b"1")))
    diff_id = layers.add_blob(Descriptor(media_types.LAYER_GZIP, blob, 1))
    config = layers.content.put(ImageConfig("amd64", diff_ids=(diff_id,)).to_json())
    assert sweep(layers, config) == {config, diff_id, blob}


def test_a_large_config_leads_to_its_layers(layers: LayerStore) -> None:
    """The tar of a gzipped layer is named in the config only; that has five million bytes of labels here."""
    blob = layers.content.put(gzip.compress(tar_of(a=b"1")))
    diff_id = layers.add_blob(Descriptor(media_types.LAYER_GZIP, blob, 1))
    labels = ContainerConfig(labels={"large": "x" * (5 << 20)})
    config = layers.content.put(ImageConfig("amd64", config=labels, diff_ids=(diff_id,)).to_json())
    assert sweep(layers, config) == {config, diff_id, blob}


def test_young_blobs_are_spared(layers: LayerStore) -> None:
    digest = layers.content.put(b"young")
    collect(layers, [], grace_seconds=60)
    assert layers.content.has(digest)
    os.utime(layers.content.path(digest), (1, 1))
    assert layers.content.keep(digest), "whoever finds a blob makes it young"
    collect(layers, [], grace_seconds=60)
    assert layers.content.has(digest)
    os.utime(layers.content.path(digest), (1, 1))
    collect(layers, [], grace_seconds=60)
    assert not layers.content.has(digest)


def test_a_lease_protects_what_it_leads_to(layers: LayerStore) -> None:
    manifest = image(layers)
    before = blobs(layers)
    with lease(layers.content) as protection:
        assert protection.add(manifest)
        assert not protection.add(Digest("sha256:" + "0" * 64))
        assert sweep(layers) == before
    assert sweep(layers) == set()


def test_the_lease_of_a_killed_process_ends_with_it(layers: LayerStore) -> None:
    digest = layers.content.put(b"x")
    program = """if True:
        import sys, time
        from pathlib import Path
        from dockersim.content import ContentStore, lease
        with lease(ContentStore(Path(sys.argv[1]))) as protection:
            protection.add(sys.argv[2])
            print("ready", flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", program, layers.content.root, digest]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert sweep(layers) == {digest}
        child.kill()
    assert sweep(layers) == set()
    assert os.listdir(layers.content.root / "leases") == []


def test_a_blob_that_is_no_document_leads_nowhere(layers: LayerStore) -> None:
    odd = [layers.content.put(data) for data in (b"{", b"{}", b"", b'{"manifests": 3}', b"{" * 100_000)]
    assert sweep(layers, *odd) == set(odd)


def test_a_root_that_is_not_here_or_no_sha256(layers: LayerStore) -> None:
    assert sweep(layers, Digest("sha512:" + "a" * 128), Digest("sha256:" + "a" * 64)) == set()


def test_sweeps_beside_builds_never_take_what_a_lease_was_told_is_here(layers: LayerStore) -> None:
    program = """if True:
        import os, sys, time
        from pathlib import Path
        from dockersim.content import ContentStore, lease
        store, until, kept = ContentStore(Path(sys.argv[1])), time.monotonic() + 1.0, 0
        while time.monotonic() < until:
            with lease(store) as protection:
                digest = store.put(bytes([kept % 7]))
                if protection.add(digest):
                    time.sleep(0.002)
                    store.verify(digest)
                    kept += 1
        print(kept)
    """
    command = [sys.executable, "-c", program, layers.content.root]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    swept = 0
    while any(child.poll() is None for child in children):
        swept += len(collect(layers, [], grace_seconds=-1).blobs)
    answers = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert all(int(answer) > 10 for answer in answers)
    assert swept > 0, "the sweeps had nothing to take, so nothing was tested"


def test_who_names_an_image_and_then_lets_its_lease_go_is_seen_either_way(layers: LayerStore) -> None:
    """The other process does both just when the roots have been read: before it had named nothing yet."""
    manifest, other = image(layers), ExitStack()
    other.enter_context(lease(layers.content)).add(manifest)
    before = blobs(layers)

    def roots() -> Iterator[Digest]:
        yield from ()
        other.close()

    assert collect(layers, roots(), grace_seconds=-1).blobs == ()
    assert blobs(layers) == before
