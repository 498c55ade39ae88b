"""The image store: docker's rules for names and ids, and stores that survive a kill and many writers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dockersim.content import collect
from dockersim.digest import DiffID, Digest, chain_id, sha256
from dockersim.errors import ContentError, ImageError, ImageNotFound, InvalidReference
from dockersim.images import ImageStore
from dockersim.oci import ImageConfig, parse_reference
from tests.peers import needs, run

from .making import ARCHITECTURE, build, open_store


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    return open_store(tmp_path / "root")


def names_in_index(images: ImageStore) -> list[str]:
    index = json.loads((images.content.root / "index.json").read_text())
    return [entry.get("annotations", {}).get("org.opencontainers.image.ref.name", "-") for entry in index["manifests"]]


def test_reading_an_empty_store_makes_nothing(images: ImageStore) -> None:
    assert images.list() == ()
    assert not images.has("x")
    assert not images.content.root.exists()


def test_the_id_is_the_digest_of_the_config(images: ImageStore) -> None:
    image = build(images, "app")
    assert image.id == sha256(image.config.to_json()) == image.manifest.config.digest
    assert image.descriptor.digest == sha256(image.manifest.to_json())


def test_the_id_of_a_pulled_config_stays_what_it_was(images: ImageStore) -> None:
    text = json.dumps(json.loads(ImageConfig("amd64").to_json()) | {"unknown": 1}, indent=2).encode()
    assert images.put(text, []).id == sha256(text)


@pytest.mark.parametrize(
    "text", ["app", "app:latest", "docker.io/library/app", "docker.io/library/app:latest", "library/app"]
)
def test_found_by_name(images: ImageStore, text: str) -> None:
    image = build(images, "app")
    assert images.get(text) == image
    assert str(images.find(text)[1]) == "app:latest"


@pytest.mark.parametrize("cut", [slice(None), slice(7, None), slice(7, 19), slice(0, 12), slice(7, 8)])
def test_found_by_id_or_its_beginning(images: ImageStore, cut: slice) -> None:
    image = build(images, "app")
    assert images.find(image.id[cut]) == (image, None)


def test_a_beginning_that_fits_two_images_is_unclear(images: ImageStore) -> None:
    ids = [build(images, content=str(number).encode()).id for number in range(17)]
    digits = [image_id[7] for image_id in ids]
    twice = next(digit for digit in digits if digits.count(digit) > 1)
    with pytest.raises(ImageError, match="multiple IDs found with provided prefix"):
        images.get(twice)


def test_a_name_wins_over_the_beginning_of_an_id(images: ImageStore) -> None:
    other = build(images, content=b"other")
    image = build(images, other.id[7:13])
    assert images.get(other.id[7:13]) == image


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nix", "No such image: nix:latest"),
        ("localhost:5000/nix:v1", "No such image: localhost:5000/nix:v1"),
        ("docker.io/library/nix", "No such image: nix:latest"),
        ("sha256:" + "0" * 64, "No such image: sha256:" + "0" * 64),
    ],
)
def test_not_found_in_dockers_words(images: ImageStore, text: str, message: str) -> None:
    with pytest.raises(ImageNotFound) as caught:
        images.get(text)
    assert caught.value.message == message


def test_a_text_that_is_neither_name_nor_id(images: ImageStore) -> None:
    with pytest.raises(InvalidReference, match="must be lowercase"):
        images.get("NIX")


def test_a_name_moves_to_the_newest_image_and_leaves_the_old_one_dangling(images: ImageStore) -> None:
    old, new = build(images, "app", content=b"1"), build(images, "app", content=b"2")
    assert images.get("app").id == new.id
    assert images.get(old.id).dangling
    assert not new.dangling
    assert {image.id for image in images.list()} == {old.id, new.id}
    assert sorted(names_in_index(images)) == ["-", "app:latest"]


def test_putting_the_same_image_again_writes_nothing(images: ImageStore) -> None:
    image = build(images, "app")
    index = images.content.root / "index.json"
    before = index.stat().st_mtime_ns, index.stat().st_ino
    assert build(images, "app") == image
    assert (index.stat().st_mtime_ns, index.stat().st_ino) == before


def test_tag_and_untag(images: ImageStore) -> None:
    image = build(images, "app")
    assert [str(name) for name in images.tag("app", "me/app:v1").names] == ["app:latest", "me/app:v1"]
    assert sorted(names_in_index(images)) == ["app:latest", "me/app:v1"]
    images.untag("app")
    images.untag("me/app:v1")
    assert images.get(image.id).dangling
    with pytest.raises(ImageNotFound):
        images.untag("app")
    with pytest.raises(ImageError, match="is an id"):
        images.untag(image.short_id)


def test_a_tag_is_not_a_digest(images: ImageStore) -> None:
    build(images, "app")
    with pytest.raises(ImageError, match="refusing to create a tag with a digest reference"):
        images.tag("app", f"other@{sha256(b'')}")


def test_a_name_by_digest(images: ImageStore) -> None:
    image = build(images, "app", f"app@{sha256(b'from the registry')}")
    assert [str(name) for name in image.digests] == [f"app@{sha256(b'from the registry')}"]
    assert images.get(f"app:anything@{sha256(b'from the registry')}") == image


def test_a_digest_that_a_registry_knows_the_image_by(images: ImageStore) -> None:
    image, name = build(images, "app"), parse_reference(f"app@{sha256(b'from the registry')}")
    for _ in range(2):
        images.add_digest(image.id, name)
    known = images.get("app")
    assert known.digests == (name,) and known.tagged_at == image.tagged_at, "it is no tag"
    images.untag("app")
    assert images.get(str(name)).dangling and names_in_index(images) == ["-"]
    other = build(images, content=b"other")
    images.add_digest(other.id, name)
    assert images.get(str(name)).id == other.id and not images.get(image.id).digests
    images.remove(image.id)
    images.add_digest(image.id, name)
    assert images.get(str(name)).id == other.id, "an image that is gone gets no names"


def test_an_image_without_its_layers_is_refused(images: ImageStore) -> None:
    missing = DiffID(sha256(b"missing"))
    with pytest.raises(ContentError, match="is not in the store"):
        images.put(ImageConfig("amd64", diff_ids=(missing,)), [], [parse_reference("app")])
    assert images.list() == ()


def test_the_size_is_that_of_the_files(images: ImageStore) -> None:
    image = build(images, "app")
    assert image.layer_sizes == (len("hello") + len("app"), 5)  # a link counts with its text
    assert image.size == 13


# docker rmi


def removed(images: ImageStore, text: str, *, force: bool = False) -> list[str]:
    return [str(step) for step in images.remove(text, force=force)]


def test_remove_the_only_name(images: ImageStore) -> None:
    image = build(images, "app")
    first, second = image.config.diff_ids
    assert removed(images, "app") == [
        "Untagged: app:latest",
        f"Deleted: {image.id}",
        f"Deleted: {chain_id([first, second])}",
        f"Deleted: {first}",
    ]
    assert images.list() == ()
    assert names_in_index(images) == []


def test_remove_one_of_two_names(images: ImageStore) -> None:
    build(images, "app", "app:v1")
    assert removed(images, "app:v1") == ["Untagged: app:v1"]
    assert images.has("app")


def test_remove_by_id_takes_the_only_name_along(images: ImageStore) -> None:
    image = build(images, "app")
    assert removed(images, image.short_id)[:2] == ["Untagged: app:latest", f"Deleted: {image.id}"]


def test_remove_by_id_with_two_names_needs_force(images: ImageStore) -> None:
    image = build(images, "app", "me/app")
    with pytest.raises(ImageError) as caught:
        images.remove(image.short_id)
    assert caught.value.message == (
        f"conflict: unable to delete {image.short_id} (must be forced) - image is referenced in multiple repositories"
    )
    assert removed(images, image.short_id, force=True)[:3] == [
        "Untagged: app:latest", "Untagged: me/app:latest", f"Deleted: {image.id}"
    ]  # fmt: skip


def test_the_digests_of_a_repository_go_with_its_last_tag(images: ImageStore) -> None:
    by_digest = f"app@{sha256(b'')}"
    image = build(images, "app", by_digest)
    assert removed(images, "app")[:3] == [
        "Untagged: app:latest", f"Untagged: {by_digest}", f"Deleted: {image.id}"
    ]  # fmt: skip


def test_shared_layers_are_not_deleted(images: ImageStore) -> None:
    base = build(images, "base")
    image = build(images, "app", content=b"more", base=base.config.diff_ids)
    assert removed(images, "base") == ["Untagged: base:latest", f"Deleted: {base.id}"]
    assert len(removed(images, "app")) == 2 + len(image.config.diff_ids)


def test_a_sweep_after_removal_keeps_the_other_images_whole(images: ImageStore) -> None:
    keep = build(images, "keep")
    build(images, "gone", content=b"gone")
    images.remove("gone")
    collect(images.layers, images.roots(), grace_seconds=-1)
    wanted = {keep.descriptor.digest, keep.id, *keep.config.diff_ids}
    assert set(images.content.walk()) == wanted
    assert open_store(images.content.root).get("keep") == keep


# Several processes, and kills

PUT = """if True:
    import os, sys
    from pathlib import Path
    from tests_images_making import build, open_store
    images = open_store(Path(sys.argv[1]))
    print("ready", flush=True)
    for number in range(int(sys.argv[3])):
        build(images, f"{sys.argv[2]}:{number}", content=f"{sys.argv[2]} {number}".encode())
"""


def child(root: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    program = PUT.replace("tests_images_making", f"{__package__}.making")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, str(root), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def test_several_processes_put_and_tag_at_once(tmp_path: Path) -> None:
    children = [child(tmp_path, name, 8) for name in ("a", "b", "c")]
    for process in children:
        process.communicate()
    assert [process.returncode for process in children] == [0, 0, 0]
    images = open_store(tmp_path)
    assert len(images.list()) == 24
    assert sorted(names_in_index(images)) == sorted(f"{name}:{number}" for name in "abc" for number in range(8))


@needs("skopeo")
def test_kill_at_any_moment_leaves_a_store_that_opens(tmp_path: Path) -> None:
    chance = random.Random(11)
    for attempt in range(6):
        with child(tmp_path, f"n{attempt}", 1000) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.15))
            process.send_signal(signal.SIGKILL)
    images = open_store(tmp_path)
    for image in images.list():
        for layer in image.manifest.layers:
            images.content.verify(layer.digest)
            assert images.layers.entries(DiffID(Digest(layer.digest)))
    build(images, "after:all")
    listed = names_in_index(images)
    assert sorted(listed) == sorted(name.familiar() for image in images.list() for name in image.names)
    for name in (listed[0], "after:all"):
        assert json.loads(run("skopeo", "inspect", f"oci:{tmp_path}:{name}"))["Architecture"] == ARCHITECTURE


@pytest.mark.parametrize("left", [0, 10], ids=["nothing", "a part"])
@pytest.mark.parametrize("what", ["manifest", "config"])
def test_an_image_that_a_power_cut_has_damaged_takes_no_other_away(images: ImageStore, what: str, left: int) -> None:
    damaged, whole = build(images, "app:1", content=b"one"), build(images, "app:2", content=b"two")
    path = images.content.path(damaged.id if what == "config" else damaged.descriptor.digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:left])
    assert [image.id for image in images.list()] == [whole.id]
    images.tag("app:2", "app:3")
    assert names_in_index(images) == ["app:2", "app:3"]
    assert not images.has("app:1")
    with pytest.raises(ContentError, match="pull or build the image again"):
        images.get("app:1")
    assert build(images, "app:1", content=b"one").id == damaged.id
    assert {image.id for image in images.list()} == {damaged.id, whole.id}
