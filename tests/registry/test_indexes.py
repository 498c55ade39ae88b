"""An image for several platforms goes to a registry and comes back with every byte, with our client and with skopeo."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from dockersim import Engine
from dockersim.errors import ContentError
from dockersim.images import load
from dockersim.registry import Address, PullEvent, PushEvent
from tests.images.several import Several
from tests.images.test_indexes import assert_whole
from tests.peers import needs, run

SEVERAL = Several("amd64", "arm64", "s390x")


@pytest.fixture
def name(server: Address) -> str:
    return f"{server.registry}/test/several:1"


@pytest.fixture
def pusher(tmp_path: Path, name: str) -> Engine:
    """A root that has the image."""
    engine = Engine(tmp_path / "pusher", environment={})
    load(engine.store.images, io.BytesIO(SEVERAL.archive(name)))
    return engine


@pytest.fixture
def puller(tmp_path: Path) -> Engine:
    return Engine(tmp_path / "puller", environment={})


def ignore(event: PushEvent | PullEvent) -> None:
    """Nobody watches."""


def test_pushed_and_pulled_whole(pusher: Engine, puller: Engine, name: str) -> None:
    assert pusher.shipping.push(name, ignore).digest == SEVERAL.digest
    pulled = puller.shipping.pull(name, ignore, all_platforms=True)
    assert pulled.image.id in SEVERAL.ids.values()
    assert_whole(puller.store.images, SEVERAL, name)
    puller.store.images.tag(name, name.replace(":1", ":2"))
    assert puller.shipping.push(name.replace(":1", ":2"), ignore).digest == SEVERAL.digest


def test_a_second_push_and_pull_send_no_blob(pusher: Engine, puller: Engine, name: str) -> None:
    pusher.shipping.push(name, ignore)
    assert not [one for one in pusher.shipping.push(name, ignore).requests if one.method in ("POST", "PATCH")]
    puller.shipping.pull(name, ignore, all_platforms=True)
    again = puller.shipping.pull(name, ignore, all_platforms=True).requests
    assert not [one for one in again if "/blobs/" in one.path]


def test_a_plain_pull_takes_the_image_of_this_machine_alone(pusher: Engine, puller: Engine, name: str) -> None:
    pusher.shipping.push(name, ignore)
    puller.shipping.pull(name, ignore)
    assert puller.store.images.index_of(name) is None
    layers = {digest for digest, data in SEVERAL.blobs.items() if data.startswith(b"\x1f\x8b")}
    assert len([digest for digest in layers if puller.store.content.has(digest)]) == 1


def test_every_manifest_is_fetched_once(pusher: Engine, puller: Engine, name: str) -> None:
    pusher.shipping.push(name, ignore)
    requests = puller.shipping.pull(name, ignore, all_platforms=True).requests
    asked = [one.path.rpartition("/")[2] for one in requests if "/manifests/" in one.path]
    entries = [one["digest"] for one in json.loads(SEVERAL.blobs[SEVERAL.digest])["manifests"]]
    assert sorted(asked) == sorted(["1", *entries])
    again = [one.path for one in puller.shipping.pull(name, ignore, all_platforms=True).requests]
    assert [path.rpartition("/")[2] for path in again] == ["1"], "all else is here"


def test_the_digest_is_that_of_the_index(pusher: Engine, puller: Engine, name: str) -> None:
    by_digest = f"{name.removesuffix(':1')}@{SEVERAL.digest}"
    pusher.shipping.push(name, ignore)
    assert list(map(str, pusher.store.images.get(name).digests)) == [by_digest]
    assert_whole(pusher.store.images, SEVERAL, by_digest)
    pulled = puller.shipping.pull(name, ignore)
    assert pulled.digest == SEVERAL.digest and list(map(str, pulled.image.digests)) == [by_digest]
    assert puller.store.images.index_of(by_digest) is None, "only one of its images was pulled"
    again = puller.shipping.pull(by_digest, ignore)
    assert not again.newer and again.image == pulled.image


def test_what_was_pulled_whole_stays_so(pusher: Engine, puller: Engine, name: str) -> None:
    pusher.shipping.push(name, ignore)
    puller.shipping.pull(name, ignore, all_platforms=True)
    puller.shipping.pull(name, ignore)
    assert_whole(puller.store.images, SEVERAL, name)


def test_a_tag_that_has_moved_leaves_the_index_to_its_digest(pusher: Engine, puller: Engine, name: str) -> None:
    by_digest = f"{name.removesuffix(':1')}@{SEVERAL.digest}"
    pusher.shipping.push(name, ignore)
    puller.shipping.pull(name, ignore, all_platforms=True)
    other = Several("amd64", "arm64", "riscv64")
    load(pusher.store.images, io.BytesIO(other.archive(name)))
    pusher.shipping.push(name, ignore)
    puller.shipping.pull(name, ignore, all_platforms=True)
    images = puller.store.images
    assert_whole(images, other, name)
    assert_whole(images, SEVERAL, by_digest)


def test_an_index_of_which_something_was_lost_is_not_pushed(pusher: Engine, name: str) -> None:
    lost = next(digest for digest, data in SEVERAL.blobs.items() if data.startswith(b"\x1f\x8b"))
    pusher.store.content.path(lost).unlink()
    with pytest.raises(ContentError, match=f"blob {lost} is not in the store"):
        pusher.shipping.push(name, ignore)


@needs("skopeo")
def test_skopeo_copies_every_platform(pusher: Engine, puller: Engine, name: str, tmp_path: Path) -> None:
    copy = ["skopeo", "copy", "--insecure-policy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"]
    pusher.shipping.push(name, ignore)
    run(*copy, f"docker://{name}", f"oci:{tmp_path}/layout:all")
    listed = json.loads((tmp_path / "layout" / "index.json").read_bytes())["manifests"]
    assert [one["digest"] for one in listed] == [SEVERAL.digest]
    for digest, data in SEVERAL.blobs.items():
        assert (tmp_path / "layout" / "blobs" / "sha256" / digest[7:]).read_bytes() == data
    again = name.replace(":1", ":again")
    run(*copy, f"oci:{tmp_path}/layout:all", f"docker://{again}")
    puller.shipping.pull(again, ignore, all_platforms=True)
    assert_whole(puller.store.images, SEVERAL, again)
