"""The store below the requests: what garbage collection frees, and what it spares."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from plain import Client, Image, Refused

from dockersim.registry import Address
from dockersim.registry.problems import Problem
from dockersim.registry.server.housekeeping import keeping_house
from dockersim.registry.server.inventory import Inventory
from dockersim.registry.server.manifests import Entry
from dockersim.registry.server.repositories import RegistryStore

TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


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


@pytest.mark.parametrize(
    "foreign",
    [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "urls": ["https://example.com/x"]},
        {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar"},
    ],
    ids=["urls", "media type"],
)
def test_a_layer_that_need_not_be_there_stays_if_it_is(tmp_path: Path, foreign: dict[str, object]) -> None:
    store = RegistryStore(tmp_path)
    pushed = put_blob(store, b"pushed all the same")
    never = "sha256:" + hashlib.sha256(b"never pushed").hexdigest()
    digest = put_document(store, "v1", {"layers": [{"digest": one, **foreign} for one in (pushed, never)]})
    assert store.collect(time.time() + 1) == {} and store.has_blob("alice/app", pushed)
    inventory = Inventory.read(store)
    freed = inventory.plan_removal("alice/app", digest).freed
    assert [blob.digest for blob in freed if blob.what == "layer"] == [pushed]
    assert [str(one) for one in inventory.holders(pushed)] == ["alice/app:v1"]


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


def test_untagged_manifests_go_only_if_asked_for_and_if_nothing_tagged_leads_to_them(tmp_path: Path) -> None:
    store = RegistryStore(tmp_path)
    old, new = put_image(store, b"old", tag="v1"), put_image(store, b"new", tag="v1b")
    child, lost = put_image(store, b"child", tag="x"), put_image(store, b"lost", tag="y")
    index = put_document(store, "all", {"manifests": [{"digest": child}]}, INDEX)
    signature = put_document(store, "s", {"layers": [], "subject": {"digest": index}})
    of_lost = put_document(store, "t", {"layers": [], "subject": {"digest": lost}})
    for tag in ("v1", "x", "y", "s", "t"):
        store.remove_tag("alice/app", tag)
    now = time.time() + 1
    assert store.garbage(now) == {} and store.collect(now) == {}
    everything = store.untagged(now)
    assert store.remove_untagged(everything, time.time() - 60) == [], "they may be waiting for their index"
    expected = [("alice/app", digest) for digest in sorted((old, lost, of_lost))]
    assert store.remove_untagged([], now) == [], "they were not shown to whoever confirmed"
    assert store.untagged(now) == expected == store.remove_untagged(everything, now)
    assert {old, lost, of_lost} < store.collect(now).keys()
    assert all(store.resolve("alice/app", one) == one for one in (new, child, index, signature))
    assert list(store.referrers("alice/app", lost)) == []


def put_document(store: RegistryStore, tag: str, document: dict[str, object], media_type: str = TYPE) -> str:
    data = json.dumps({"schemaVersion": 2, "mediaType": media_type, **document}).encode()
    if "layers" in document:
        config = {"digest": put_blob(store, tag.encode())}
        data = json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": config, **document}).encode()
    entry = Entry.read(data, media_type)
    store.put_manifest("alice/app", data, entry, tags=[tag])
    return entry.digest


def aged(store: RegistryStore, repository: str, digest: str) -> Path:
    """Make it look as if a blob had come into the repository long ago."""
    link = store.root / "repositories" / repository / "_blobs" / digest.replace(":", "/")
    os.utime(link, (0, 0))
    return link


@pytest.mark.parametrize("how", ["asked for", "mounted", "pushed again"])
def test_what_a_client_was_told_is_here_is_spared_again(tmp_path: Path, how: str) -> None:
    store = RegistryStore(tmp_path)
    digest = put_blob(store, b"old")
    link = aged(store, "alice/app", digest)
    match how:
        case "asked for":
            assert store.keep_blob("alice/app", digest) == 3
        case "mounted":
            assert store.mount("bob/app", digest, "alice/app")
        case _:
            put_blob(store, b"old")
    assert store.collect(time.time() - 60) == {}
    for repository in ("alice/app", "bob/app"):
        if store.has_blob(repository, digest):
            aged(store, repository, digest)
    assert store.collect(time.time() - 60) == {digest: 3}
    assert not link.exists() and not store.has_blob("bob/app", digest)


def test_a_manifest_that_is_damaged_keeps_the_blobs_that_it_may_have_named(tmp_path: Path) -> None:
    store = RegistryStore(tmp_path)
    digest = put_image(store, b"layer", tag="v1")
    aged(store, "alice/app", put_blob(store, b"layer"))
    store.blobs.path(digest).write_bytes(b"")
    assert store.collect(time.time() + 1) == {}


def test_what_a_disk_has_failed_on_the_way_is_another_state(tmp_path: Path) -> None:
    store = RegistryStore(tmp_path)
    digest = put_image(store, b"layer", tag="v1")
    data, media_type = store.manifest("alice/app", digest)
    before, known = store.state(), Inventory.read(store).manifests.keys()
    (tmp_path / "repositories/alice/app/_tags/v2").mkdir()  # so that the tag cannot be written
    other = data + b"\n"
    entry = Entry.read(other, media_type, f"sha256:{hashlib.sha256(other).hexdigest()}")
    with pytest.raises(OSError):
        store.put_manifest("alice/app", other, entry, tags=["v2"])
    (tmp_path / "repositories/alice/app/_tags/v2").rmdir()
    assert Inventory.read(store).manifests.keys() > known and store.state() != before


def test_a_plan_reads_each_manifest_once(tmp_path: Path) -> None:
    class Counting(RegistryStore):
        def manifest(self, repository: str, digest: str) -> tuple[bytes, str]:
            read.append(digest)
            return super().manifest(repository, digest)

    read: list[str] = []
    store = Counting(tmp_path)
    digests = [put_image(store, b"shared", tag=f"v{number}") for number in range(3)]
    store.remove_tag("alice/app", "v1")
    read.clear()
    plan = Inventory.read(store).plan_collection(time.time() + 1)
    assert sorted(read) == sorted(digests)
    assert [blob.digest for blob in plan.untagged] == [digests[1]]


def test_garbage_is_collected_beside_pushes_by_another_process(server: Address, root: Path) -> None:
    """Without any grace: so a push may be told that its blob is gone, but what was acknowledged is whole."""
    program = """if True:
        import sys, time
        from pathlib import Path
        from dockersim.registry.server.repositories import RegistryStore
        store, freed = RegistryStore(Path(sys.argv[1])), 0
        print("ready", flush=True)
        while sys.stdin.read(1):
            freed += len(store.collect(time.time() + 1))
        print(freed)
    """
    command = [sys.executable, "-c", program, str(root)]
    collector = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert collector.stdin is not None and collector.stdout is not None
    collector.stdout.readline()

    def push(number: int) -> None:
        with Client(server.url, f"writer{number}/app") as client:
            for turn in range(12):
                image = Image.of(b"shared by all", f"{number} {turn}".encode(), name=str(turn))
                push_in_the_end(client, image)
                assert client.pull("v1") == image.digest
                client.delete(image)

    with ThreadPoolExecutor(3) as pool:
        pushes = [pool.submit(push, number) for number in range(3)]
        while not all(one.done() for one in pushes):
            collector.stdin.write("x")
            collector.stdin.flush()
            wait(pushes, timeout=0.1)
    freed = collector.communicate()[0]
    for one in pushes:
        one.result()
    assert int(freed) > 0, "nothing was collected, so nothing was tested"


def push_in_the_end(client: Client, image: Image) -> None:
    """Push, and again if a blob was collected before the manifest came."""
    while True:
        try:
            return client.push(image, "v1")
        except Refused as refused:
            assert "BLOB_UNKNOWN" in str(refused)


def test_a_registry_that_runs_keeps_house_by_itself(tmp_path: Path) -> None:
    store = RegistryStore(tmp_path)
    with keeping_house(store, 0.01):
        upload, young = store.start_upload("alice/app"), store.start_upload("alice/app")
        garbage, waiting = put_blob(store, b"garbage"), put_blob(store, b"waiting")
        os.utime(upload.path, (0, 0))
        aged(store, "alice/app", garbage)
        until = time.monotonic() + 30
        while upload.path.exists() or store.has_blob("alice/app", garbage):
            assert time.monotonic() < until
            time.sleep(0.01)
    assert young.path.exists() and store.has_blob("alice/app", waiting)
    assert not [thread for thread in threading.enumerate() if thread.name == "housekeeping"]


def test_a_finished_session_does_not_come_to_life_again(tmp_path: Path) -> None:
    store = RegistryStore(tmp_path)
    upload = store.start_upload("alice/app")
    upload.discard()
    with pytest.raises(Problem):
        upload.append(b"late")
    assert not upload.path.exists()
