"""The store below the requests: what garbage collection frees, and what it spares."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from dockersim.registry.problems import Problem
from dockersim.registry.server.manifests import Entry
from dockersim.registry.server.repositories import RegistryStore

TYPE = "application/vnd.oci.image.manifest.v1+json"


def put_blob(store: RegistryStore, data: bytes, repository: str = "alice/app") -> str:
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    upload = store.start_upload(repository)
    upload.append(data)
    store.finish_upload(repository, upload, digest)
    return digest


def put_image(store: RegistryStore, *layers: bytes, tag: str) -> str:
    config, *blobs = (put_blob(store, data) for data in (tag.encode(), *layers))
    document = {"schemaVersion": 2, "config": {"digest": config}, "layers": [{"digest": blob} for blob in blobs]}
    data = json.dumps(document).encode()
    entry = Entry.read(data, TYPE)
    store.put_manifest("alice/app", data, entry, tags=[tag])
    return entry.digest


def test_a_delete_frees_what_no_other_image_shares(tmp_path: Path) -> None:
    store = RegistryStore(tmp_path)
    first = put_image(store, b"shared", b"own", tag="v1")
    put_image(store, b"shared", tag="v2")
    assert store.garbage(time.time() + 1) == {}
    store.remove_manifest("alice/app", first)
    freed = store.collect(time.time() + 1)
    assert sorted(freed.values()) == sorted([len(b"own"), len(b"v1"), freed[first]])
    assert store.has_blob("alice/app", "sha256:" + hashlib.sha256(b"shared").hexdigest())
    assert not store.has_blob("alice/app", "sha256:" + hashlib.sha256(b"own").hexdigest())
    assert store.garbage(time.time() + 1) == {}


def test_a_blob_that_waits_for_its_manifest_is_spared(tmp_path: Path) -> None:
    store = RegistryStore(tmp_path)
    digest = put_blob(store, b"just arrived")
    assert store.collect(time.time() - 3600) == {}
    assert store.collect(time.time() + 1) == {digest: 12}


def test_only_uploads_that_are_long_abandoned_are_swept(tmp_path: Path) -> None:
    store = RegistryStore(tmp_path)
    old, young = store.start_upload("alice/app"), store.start_upload("alice/app")
    os.utime(old.path, (0, 0))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "half").write_bytes(b"half")
    store.expire_uploads(time.time() - 3600)
    store.clear_temporary()
    assert (old.path.exists(), young.path.exists(), (tmp_path / "tmp" / "half").exists()) == (False, True, False)


def test_a_finished_session_does_not_come_to_life_again(tmp_path: Path) -> None:
    store = RegistryStore(tmp_path)
    upload = store.start_upload("alice/app")
    upload.discard()
    with pytest.raises(Problem):
        upload.append(b"late")
    assert not upload.path.exists()
