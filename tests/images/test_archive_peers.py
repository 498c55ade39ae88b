"""Archives both ways with docker, podman and skopeo: docker's format and the OCI's, several images, packed or not.

What comes back has the same image id, and so the same config and the same layers, byte for byte.
"""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from dockersim.images import ImageStore, load, save_docker, save_oci
from tests.peers import Containers, Docker, needs, run

from .making import build, open_store

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NAMES = ["localhost/peers/one:1", "localhost/peers/two:latest"]
SAVES: dict[str, Callable[[ImageStore, list[str], BinaryIO], None]] = {
    "docker-archive": save_docker,
    "oci-archive": save_oci,
}


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    """A store with two images."""
    store = open_store(tmp_path / "root")
    for number, name in enumerate(NAMES):
        build(store, name, content=bytes([number]) * 100_000)
    return store


@pytest.fixture
def other(tmp_path: Path) -> ImageStore:
    return open_store(tmp_path / "other")


def ids(images: ImageStore) -> dict[str, str]:
    """The image id of each name."""
    return {name: images.get(name).id for name in NAMES if images.has(name)}


def write(images: ImageStore, path: Path, form: str, *names: str) -> Path:
    """Save images into a file."""
    with path.open("wb") as out:
        SAVES[form](images, list(names), out)
    return path


def read(other: ImageStore, path: Path) -> None:
    """Load all images of a file."""
    with path.open("rb") as stream:
        load(other, stream)


@needs("podman")
@pytest.mark.parametrize("form", SAVES)
def test_podman_loads_one_and_saves_one(
    images: ImageStore, other: ImageStore, podman: Containers, tmp_path: Path, form: str
) -> None:
    name = NAMES[0]
    podman("load", "--input", write(images, tmp_path / "ours.tar", form, name))
    assert podman("image", "inspect", "--format", "sha256:{{.Id}}", name).strip() == ids(images)[name]
    podman("save", "--format", form, "--output", tmp_path / "theirs.tar", name)
    podman("rmi", "--all", "--force")
    read(other, tmp_path / "theirs.tar")
    assert ids(other) == {name: ids(images)[name]}


@needs("podman")
def test_podman_loads_two_and_saves_two(
    images: ImageStore, other: ImageStore, podman: Containers, tmp_path: Path
) -> None:
    podman("load", "--input", write(images, tmp_path / "ours.tar", "docker-archive", *NAMES))
    podman("save", "--multi-image-archive", "--output", tmp_path / "theirs.tar", *NAMES)
    podman("rmi", "--all", "--force")
    read(other, tmp_path / "theirs.tar")
    assert ids(other) == ids(images)


@needs("docker", "dockerd")
def test_docker_loads_two_and_saves_two(images: ImageStore, other: ImageStore, dockerd: Docker, tmp_path: Path) -> None:
    said = dockerd("load", "--input", write(images, tmp_path / "ours.tar", "docker-archive", *NAMES))
    assert sorted(said.splitlines()) == [f"Loaded image: {name}" for name in NAMES]
    dockerd("save", "--output", tmp_path / "theirs.tar", *NAMES)
    dockerd("rmi", *NAMES)
    read(other, tmp_path / "theirs.tar")
    assert ids(other) == ids(images)


@needs("skopeo")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("to", ["docker-archive", "oci-archive"])
@pytest.mark.parametrize("form", SAVES)
def test_skopeo_finds_each_image_of_an_archive(
    images: ImageStore, other: ImageStore, tmp_path: Path, form: str, to: str, name: str
) -> None:
    ours = write(images, tmp_path / "ours.tar", form, *NAMES)
    # Between the two formats skopeo writes the config anew, and with it goes the id; the layers stay what they are.
    run("skopeo", "copy", "--insecure-policy", f"{form}:{ours}:{name}", f"{to}:{tmp_path}/theirs.tar:{name}")
    read(other, tmp_path / "theirs.tar")
    assert other.get(name).config.diff_ids == images.get(name).config.diff_ids
    if form == to:
        assert ids(other)[name] == ids(images)[name]


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
@pytest.mark.parametrize("form", SAVES)
def test_an_archive_may_be_packed(
    images: ImageStore, other: ImageStore, tmp_path: Path, form: str, pack: Callable[[bytes], bytes]
) -> None:
    ours = write(images, tmp_path / "ours.tar", form, *NAMES)
    load(other, io.BytesIO(pack(ours.read_bytes())))
    assert ids(other) == ids(images)
