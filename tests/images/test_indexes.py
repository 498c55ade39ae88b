"""An image for several platforms stays whole: in the store, in archives, beside a sweep, and for the real tools."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from dockersim.content import collect
from dockersim.errors import ImageNotFound
from dockersim.images import ImageStore, Loaded, load, save_docker, save_oci
from dockersim.oci import Platform, media_types, parse_reference
from tests.peers import needs, run

from .making import build, open_store
from .several import Several

AMD64, ARM64 = Platform("amd64", "linux"), Platform("arm64", "linux")


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    return open_store(tmp_path / "root")


@pytest.fixture
def several() -> Several:
    return Several("amd64", "arm64", "s390x")


def loaded(images: ImageStore, data: bytes, platform: Platform | None = AMD64) -> Loaded:
    (found,) = load(images, io.BytesIO(data), platform)
    return found


def assert_whole(images: ImageStore, several: Several, name: str) -> None:
    """The name stands for the index, and every byte of it is there."""
    index = images.index_of(name)
    assert index is not None and index.digest == several.digest
    for digest, data in several.blobs.items():
        assert images.content.read(digest) == data


def age(images: ImageStore) -> None:
    """Make every blob so old that a sweep may take it."""
    for digest in images.content.walk():
        os.utime(images.content.path(digest), (0, 0))


@pytest.mark.parametrize("platform", [AMD64, ARM64, Platform("riscv64", "linux"), None], ids=str)
def test_the_name_stands_for_the_image_of_this_machine(
    images: ImageStore, several: Several, platform: Platform | None
) -> None:
    found = loaded(images, several.archive("app:1"), platform)
    fits = platform is not None and platform.architecture in several.ids
    assert found.image.id == several.ids[platform.architecture if platform and fits else "amd64"]
    assert str(found) == "Loaded image: app:1"
    assert [image.id for image in images.list()] == [found.image.id], (
        "the other platforms are no images of this machine"
    )
    assert_whole(images, several, "app:1")


@pytest.mark.parametrize("save", [save_oci, save_docker])
def test_saved_and_loaded_again(images: ImageStore, several: Several, tmp_path: Path, save: object) -> None:
    loaded(images, several.archive("app:1"))
    build(images, "beside")
    out, other = io.BytesIO(), open_store(tmp_path / "other")
    save(images, ["app:1", "beside"], out)  # type: ignore[operator]
    found = load(other, io.BytesIO(out.getvalue()), ARM64)
    assert [str(one) for one in found] == ["Loaded image: app:1", "Loaded image: beside:latest"]
    assert other.get("app:1").id == several.ids["arm64"]
    assert_whole(other, several, "app:1")
    assert other.index_of("beside") is None


def test_an_index_without_a_name(images: ImageStore, several: Several, tmp_path: Path) -> None:
    found = loaded(images, several.archive())
    assert str(found) == f"Loaded image ID: {several.ids['amd64']}"
    images.tag(found.image.id, "named")
    assert_whole(images, several, "named")
    out, other = io.BytesIO(), open_store(tmp_path / "other")
    save_oci(images, [found.image.id], out)
    assert_whole(other, several, loaded(other, out.getvalue()).image.id)


def test_a_name_takes_the_index_along_and_another_image_takes_its_place(images: ImageStore, several: Several) -> None:
    loaded(images, several.archive("app:1"))
    images.tag("app:1", "me/app")
    assert_whole(images, several, "me/app")
    images.tag(build(images).id, "app:1")
    assert images.index_of("app:1") is None and images.index_of("me/app") is not None
    image = images.get("me/app")
    images.put(image.config.to_json(), image.config.diff_ids, [parse_reference("me/app")])
    assert images.index_of("me/app") is None, "an image that was built is for one platform"
    with pytest.raises(ImageNotFound):
        images.index_of("nosuch")


@pytest.mark.parametrize("way", ["tag", "build", "untag"])
def test_an_image_that_loses_its_name_keeps_its_index(images: ImageStore, several: Several, way: str) -> None:
    image_id = loaded(images, several.archive("app:1")).image.id
    match way:
        case "tag":
            images.tag(build(images).id, "app:1")
        case "build":
            build(images, "app:1")
        case "untag":
            images.untag("app:1")
    age(images)
    collect(images.layers, images.roots())
    image = images.get(image_id)
    images.put(image.config.to_json(), image.config.diff_ids)
    assert_whole(images, several, image_id)
    assert {"": several.digest}.items() <= listed(images).items()
    images.tag(image_id, "found:again")
    assert_whole(images, several, "found:again")
    assert listed(images)["found:again"] == several.digest and "" not in listed(images)
    images.remove(image_id, force=True)
    collect(images.layers, images.roots())
    assert several.digest not in images.content.walk()


def test_a_name_by_digest_keeps_the_index_too(images: ImageStore, several: Several) -> None:
    image_id = loaded(images, several.archive("app:1")).image.id
    by_digest = parse_reference(f"app@{several.digest}")
    images.add_digest(image_id, by_digest, images.index_of("app:1"))
    assert listed(images) == {"app:1": several.digest}, "what has a name is not listed without one"
    build(images, "app:1")
    assert_whole(images, several, str(by_digest))
    assert listed(images)[""] == several.digest
    out = io.BytesIO()
    save_oci(images, [str(by_digest)], out)
    assert several.digest[7:].encode() in out.getvalue()


def listed(images: ImageStore) -> dict[str, str]:
    """What index.json tells other tools: digests by name, "" for what has none."""
    found = json.loads((images.content.root / "index.json").read_bytes())["manifests"]
    return {one.get("annotations", {}).get(media_types.REFERENCE_NAME, ""): one["digest"] for one in found}


def test_a_sweep_spares_all_platforms_until_the_last_name_goes(images: ImageStore, several: Several) -> None:
    loaded(images, several.archive("app:1"))
    images.tag("app:1", "app:2")
    images.remove("app:1")
    age(images)
    collect(images.layers, images.roots())
    assert_whole(images, several, "app:2")
    images.remove("app:2")
    collect(images.layers, images.roots())
    assert list(images.content.walk()) == []


def test_an_index_that_is_not_whole_is_not_kept(images: ImageStore, several: Several) -> None:
    for digest in several.blobs:
        if digest != several.digest and digest not in _needed(several, "amd64"):
            assert loaded(images, several.archive("app:1", leave_out=digest)).image.id == several.ids["amd64"]
            assert images.index_of("app:1") is None, digest
            images.remove("app:1")
            age(images)
            collect(images.layers, images.roots())


def _needed(several: Several, architecture: str) -> set[str]:
    """The blobs without which there is no image for a platform."""
    index = json.loads(several.blobs[several.digest])
    (manifest,) = (one["digest"] for one in index["manifests"] if one["platform"]["architecture"] == architecture)
    document = json.loads(several.blobs[manifest])
    return {manifest, document["config"]["digest"], document["layers"][0]["digest"]}


def test_an_archive_cannot_borrow_what_only_the_store_has(images: ImageStore, several: Several) -> None:
    loaded(images, several.archive("app:1"))
    layer = next(iter(_needed(several, "arm64")))
    assert loaded(images, several.archive("thief:1", leave_out=layer)).image.id == several.ids["amd64"]
    assert images.index_of("thief:1") is None


def test_the_image_is_chosen_of_those_in_the_archive(images: ImageStore, several: Several) -> None:
    """The store may have the one for this machine, loaded before; what ``save`` left out cannot be loaded again."""
    loaded(images, several.archive("app:1"))
    (manifest,) = (one for one in _needed(several, "amd64") if media_types.MANIFEST.encode() in several.blobs[one])
    assert loaded(images, several.archive("app:2", leave_out=manifest)).image.id == several.ids["arm64"]


@needs("skopeo")
def test_skopeo_copies_all_platforms_out_and_in(images: ImageStore, several: Several, tmp_path: Path) -> None:
    loaded(images, several.archive("app:1"))
    copy = ["skopeo", "copy", "--insecure-policy", "--all"]
    run(*copy, f"oci:{images.content.root}:app:1", f"oci-archive:{tmp_path}/all.tar:app:2")
    with tarfile.open(tmp_path / "all.tar") as archive:
        assert {f"blobs/sha256/{digest[7:]}" for digest in several.blobs} <= set(archive.getnames())
    other = open_store(tmp_path / "other")
    with (tmp_path / "all.tar").open("rb") as stream:
        assert [str(one) for one in load(other, stream, ARM64)] == ["Loaded image: app:2"]
    assert_whole(other, several, "app:2")


@needs("skopeo")
def test_skopeo_finds_the_image_of_this_machine(images: ImageStore, several: Several) -> None:
    loaded(images, several.archive("app:1"))
    asking = ["skopeo", "--override-arch", "arm64", "inspect", f"oci:{images.content.root}:app:1"]
    assert json.loads(run(*asking))["Architecture"] == "arm64"


def test_an_index_that_names_another_a_thousand_times_over_and_over(images: ImageStore, several: Several) -> None:
    """Ten to the power of twelve manifests in a few hundred kilobytes: each is looked at once."""
    inner = several.index
    for _ in range(3):
        inner = several.blob(json.dumps({"schemaVersion": 2, "manifests": [inner] * 1000}).encode(), media_types.INDEX)
    several.index = inner
    assert str(loaded(images, several.archive("app:1"))) == "Loaded image: app:1"
    assert_whole(images, several, "app:1")
