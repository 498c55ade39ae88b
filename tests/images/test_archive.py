"""Archives: what we save the real tools read, what they save we read, and what a stranger made does no harm."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from dockersim.digest import sha256
from dockersim.errors import ContentError
from dockersim.images import ImageStore, history, import_rootfs, load, save_docker, save_oci
from dockersim.oci import ContainerConfig, ImageConfig, Platform, parse_reference
from tests.peers import Docker, needs, run

from .making import ARCHITECTURE, CREATED, build, layer, open_store

Save = Callable[[ImageStore, list[str], BinaryIO], None]


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    return open_store(tmp_path / "root")


@pytest.fixture
def other(tmp_path: Path) -> ImageStore:
    return open_store(tmp_path / "other")


def saved(save: Save, images: ImageStore, *wanted: str) -> bytes:
    out = io.BytesIO()
    save(images, list(wanted), out)
    return out.getvalue()


def archive(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            add(tar, name, content)
    return out.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    if link:
        member.type, member.linkname = tarfile.SYMTYPE, link
    tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("save", [save_docker, save_oci])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_what_is_saved_loads_as_the_same_image(
    images: ImageStore, other: ImageStore, save: Save, pack: Callable[[bytes], bytes]
) -> None:
    image = build(images, "app", "localhost:5000/me/app:v1", "not-saved")
    data = saved(save, images, "app", "localhost:5000/me/app:v1")
    found = load(other, io.BytesIO(pack(data)))
    assert [str(line) for line in found] == ["Loaded image: app:latest\nLoaded image: localhost:5000/me/app:v1"]
    again = other.get("app")
    assert (again.id, again.config, again.manifest) == (image.id, image.config, image.manifest)
    assert other.get("localhost:5000/me/app:v1") == again
    assert not other.has("not-saved")
    assert [other.layers.entries(diff_id) for diff_id in image.config.diff_ids] == [
        images.layers.entries(diff_id) for diff_id in image.config.diff_ids
    ]


@pytest.mark.parametrize("save", [save_docker, save_oci])
def test_saving_twice_gives_the_same_bytes(images: ImageStore, save: Save) -> None:
    build(images, "app")
    assert saved(save, images, "app") == saved(save, images, "app")


def test_a_damaged_layer_is_not_saved(images: ImageStore) -> None:
    image = build(images, "app")
    path = images.content.path(image.manifest.layers[0].digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ContentError, match=image.manifest.layers[0].digest[7:19]):
        saved(save_docker, images, "app")


@pytest.mark.parametrize("save", [save_docker, save_oci])
def test_two_images_that_share_a_layer(images: ImageStore, other: ImageStore, save: Save) -> None:
    base = build(images, "base")
    build(images, "app", content=b"more", base=base.config.diff_ids)
    data = saved(save, images, "base", "app")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert len(tar.getnames()) == len(set(tar.getnames()))
    assert [str(line) for line in load(other, io.BytesIO(data))] == [
        "Loaded image: base:latest",
        "Loaded image: app:latest",
    ]


@pytest.mark.parametrize("save", [save_docker, save_oci])
def test_an_image_saved_by_id_has_no_name(images: ImageStore, other: ImageStore, save: Save) -> None:
    image = build(images, "app")
    found = load(other, io.BytesIO(saved(save, images, image.short_id)))
    assert [str(line) for line in found] == [f"Loaded image ID: {image.id}"]
    assert other.get(image.id).dangling


def test_save_and_load_go_through_a_pipe(images: ImageStore, other: ImageStore) -> None:
    build(images, "app", content=bytes(300_000))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with open(writing, "wb") as out:
            save_docker(images, ["app"], out)
        os._exit(0)
    os.close(writing)
    with open(reading, "rb", buffering=0) as stream:
        assert load(other, stream)
    os.waitpid(child, 0)


def test_an_image_without_layers(images: ImageStore, other: ImageStore) -> None:
    images.put(ImageConfig("amd64"), [], [parse_reference("empty")])
    for save in (save_docker, save_oci):
        load(other, io.BytesIO(saved(save, images, "empty")))
    assert other.get("empty").config.diff_ids == ()


# Formats of others


def old_docker_archive(images: ImageStore, *, link: bool) -> bytes:
    """Make what docker wrote before version 25: a folder per layer; an equal layer is a link to the first."""
    diff_id = layer(images, a=b"x")
    tar_of_layer = images.layers.open_tar(diff_id).read()
    config = ImageConfig("amd64", diff_ids=(diff_id, diff_id), created=CREATED).to_json()
    entry = {"Config": "c.json", "RepoTags": ["old:1"], "Layers": ["1/layer.tar", "2/layer.tar"]}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        add(tar, "1/layer.tar", tar_of_layer)
        add(tar, "2/layer.tar", b"" if link else tar_of_layer, link="../1/layer.tar" if link else "")
        add(tar, "c.json", config)
        add(tar, "./manifest.json", json.dumps([entry]).encode())
    return out.getvalue()


@pytest.mark.parametrize("link", [False, True])
def test_dockers_old_format(images: ImageStore, other: ImageStore, link: bool) -> None:
    found = load(other, io.BytesIO(old_docker_archive(images, link=link)))
    assert [str(line) for line in found] == ["Loaded image: old:1"]
    assert len(other.get("old:1").config.diff_ids) == 2


def layout(images: ImageStore, **changes: Any) -> bytes:
    """Make a layout whose index.json is changed."""
    build(images, "app")
    with tarfile.open(fileobj=io.BytesIO(saved(save_oci, images, "app"))) as tar:
        files = {name: tar.extractfile(name).read() for name in tar.getnames() if name not in ("blobs", "blobs/sha256")}  # type: ignore[union-attr]
    index = json.loads(files["index.json"])
    for key, value in changes.items():
        index["manifests"][0][key] = value
    return archive(**files | {"index.json": json.dumps(index).encode()})


@pytest.mark.parametrize(
    ("annotations", "line"),
    [
        ({"org.opencontainers.image.ref.name": "me/app:v1"}, "Loaded image: me/app:v1"),
        ({"org.opencontainers.image.ref.name": "latest"}, "Loaded image ID: "),
        ({"org.opencontainers.image.ref.name": "No:Name!"}, "Loaded image ID: "),
        (
            {"io.containerd.image.name": "quay.io/a/b:c", "org.opencontainers.image.ref.name": "c"},
            "Loaded image: quay.io/a/b:c",
        ),
        ({}, "Loaded image ID: "),
    ],
)  # fmt: skip
def test_names_in_a_layout(images: ImageStore, other: ImageStore, annotations: dict[str, str], line: str) -> None:
    (found,) = load(other, io.BytesIO(layout(images, annotations=annotations)))
    assert str(found).startswith(line)


def test_an_index_inside_the_index(images: ImageStore, other: ImageStore) -> None:
    with tarfile.open(fileobj=io.BytesIO(layout(images))) as tar:
        files = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    index = json.loads(files["index.json"])
    absent = {"mediaType": index["manifests"][0]["mediaType"], "digest": sha256(b"arm"), "size": 3}
    statement = absent | {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    annotations = index["manifests"][0].pop("annotations")
    index["manifests"] += [absent, statement]
    inner = json.dumps(index).encode()
    descriptor = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": sha256(inner),
        "size": len(inner),
        "annotations": annotations,
    }
    files[f"blobs/sha256/{sha256(inner)[7:]}"] = inner
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()
    (found,) = load(other, io.BytesIO(archive(**files)))
    assert str(found) == "Loaded image: app:latest"


# Archives made to do harm, or broken


def with_manifest(entry: Any, **files: bytes) -> bytes:
    return archive(**files | {"manifest.json": json.dumps([entry]).encode()})


CONFIG = ImageConfig("amd64").to_json()
BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "holds no image"),
    "no tar": (b"hello" * 200, "not a tar"),
    "a plain root file system": (archive(**{"etc/motd": b"hi"}), "read with dockersim import"),
    "a cut-off tar": (archive(a=bytes(2000))[:1000], "cut off"),
    "manifest is no JSON": (archive(**{"manifest.json": b"{"}), "manifest.json is not JSON"),
    "manifest is no list": (archive(**{"manifest.json": b"{}"}), "not a list of images"),
    "config is missing": (with_manifest({"Config": "c", "Layers": []}), "the archive has no 'c'"),
    "config is no path": (with_manifest({"Config": 3}), "Config must be a path"),
    "config leads out of the archive": (with_manifest({"Config": "../../etc/passwd"}), "the archive has no"),
    "config is absolute": (with_manifest({"Config": "/etc/passwd"}), "the archive has no"),
    "layers are no list": (with_manifest({"Config": "c", "Layers": "x"}, c=CONFIG), "Layers must be a list"),
    "more layers than diff ids": (with_manifest({"Config": "c", "Layers": ["c"]}, c=CONFIG), "has 1 layers"),
    "a layer that is another": (
        with_manifest(
            {"Config": "c", "Layers": ["l"]},
            c=json.dumps(
                json.loads(CONFIG) | {"rootfs": {"type": "layers", "diff_ids": [sha256(b"promised")]}}
            ).encode(),
            l=gzip.compress(archive(a=b"evil")),
        ),
        "is damaged: it unpacks to",
    ),
    "a layout of the future": (
        archive(**{"oci-layout": b'{"imageLayoutVersion":"9.0.0"}', "index.json": b"{}"}),
        "only 1.0.0 is known",
    ),
    "an empty layout": (
        archive(**{
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": b'{"schemaVersion":2,"manifests":[]}'
        }),
        "lists no image",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_refused_in_one_plain_line(images: ImageStore, name: str) -> None:
    data, message = BROKEN[name]
    with pytest.raises(ContentError, match=message) as caught:
        load(images, io.BytesIO(data))
    assert "\n" not in str(caught.value)
    assert images.list() == ()


def test_links_in_circles(images: ImageStore) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        add(tar, "a", link="b")
        add(tar, "b", link="a")
        add(tar, "manifest.json", b'[{"Config": "a", "Layers": []}]')
    with pytest.raises(ContentError, match="go in circles"):
        load(images, io.BytesIO(out.getvalue()))


def test_an_index_that_contains_itself_deeply(images: ImageStore) -> None:
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    document = b'{"schemaVersion":2,"manifests":[]}'
    for _ in range(8):
        files[f"blobs/sha256/{sha256(document)[7:]}"] = document
        descriptor = {
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "digest": sha256(document),
            "size": len(document),
        }
        document = json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()
    with pytest.raises(ContentError, match="nested too deeply"):
        load(images, io.BytesIO(archive(**files | {"index.json": document})))


def test_names_that_climb_out_are_only_words(images: ImageStore, tmp_path: Path) -> None:
    data = archive(**{"../../../evil": b"x", "/evil": b"x", "manifest.json": b"[]"})
    assert load(images, io.BytesIO(data)) == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


# docker import


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_import_a_root_file_system(images: ImageStore, pack: Callable[[bytes], bytes]) -> None:
    data = archive(**{"etc/motd": b"welcome"})
    image = import_rootfs(
        images,
        io.BytesIO(pack(data)),
        created=CREATED,
        platform=Platform("amd64", "linux"),
        name=parse_reference("mine"),
        config=ContainerConfig(cmd=("sh",)),
    )
    assert images.get("mine") == image
    assert image.config.diff_ids == (sha256(data),)
    assert [(row.created_by, row.size, row.comment) for row in history(image)] == [("", 7, "Imported from -")]


# The real tools


@needs("skopeo")
def test_skopeo_reads_the_store_in_place(images: ImageStore) -> None:
    image = build(images, "my-flask-app")
    found = json.loads(run("skopeo", "inspect", f"oci:{images.content.root}:my-flask-app:latest"))
    assert found["Digest"] == image.descriptor.digest
    assert found["Layers"] == [descriptor.digest for descriptor in image.manifest.layers]
    assert found["Labels"] == {"who": "me"}


@needs("skopeo")
def test_skopeo_copies_to_and_fro(images: ImageStore, other: ImageStore, tmp_path: Path) -> None:
    image = build(images, "app", content=bytes(range(256)) * 1000)
    for save, kind, name in (
        (save_oci, "oci-archive", "app:latest"),
        (save_docker, "docker-archive", "app:latest"),
    ):
        path = tmp_path / f"{kind}.tar"
        path.write_bytes(saved(save, images, "app"))
        copy = tmp_path / f"{kind}-copy.tar"
        run(
            "skopeo",
            "copy",
            "--insecure-policy",
            f"{kind}:{path}:{name}",
            f"oci-archive:{copy}:copied/{kind}:v1",
        )
        with copy.open("rb") as stream:
            (found,) = load(other, stream)
        assert str(found) == f"Loaded image: copied/{kind}:v1"
        assert found.image.config.diff_ids == image.config.diff_ids


@needs("umoci")
def test_umoci_finds_the_layout_sound(images: ImageStore, tmp_path: Path) -> None:
    build(images, "app")
    run(
        "umoci",
        "raw",
        "unpack",
        "--rootless",
        "--image",
        f"{images.content.root}:app:latest",
        tmp_path / "rootfs",
    )
    assert (tmp_path / "rootfs" / "app").read_bytes() == b"hello"
    assert not (tmp_path / "rootfs" / "etc" / "link").exists()


@needs("dockerd", "docker")
def test_docker_loads_what_we_save(images: ImageStore, dockerd: Docker, tmp_path: Path) -> None:
    image = build(images, "we-saved", "localhost:5000/we/saved:v1", content=bytes(12_345))
    path = tmp_path / "image.tar"
    path.write_bytes(saved(save_docker, images, "we-saved", "localhost:5000/we/saved:v1"))
    said = dockerd("load", "-i", path).splitlines()
    assert sorted(said) == ["Loaded image: localhost:5000/we/saved:v1", "Loaded image: we-saved:latest"]
    (theirs,) = json.loads(dockerd("image", "inspect", "we-saved"))
    assert (theirs["Id"], theirs["Architecture"], theirs["Size"]) == (image.id, ARCHITECTURE, image.size)
    assert theirs["RootFS"]["Layers"] == list(image.config.diff_ids)
    rows = dockerd(
        "history",
        "--no-trunc",
        "--human=false",
        "--format",
        "{{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}",
        "we-saved",
    ).splitlines()
    assert rows == [f"{row.id or '<missing>'}|{row.created_by}|{row.size}|{row.comment}" for row in history(image)]


@needs("dockerd", "docker")
def test_we_load_what_docker_saves(images: ImageStore, other: ImageStore, dockerd: Docker, tmp_path: Path) -> None:
    image = build(images, "they-save")
    dockerd("load", stdin=saved(save_docker, images, "they-save"))
    path = tmp_path / "theirs.tar"
    dockerd("save", "-o", path, "they-save")
    with path.open("rb") as stream:
        (found,) = load(other, stream)
    assert str(found) == "Loaded image: they-save:latest"
    assert (found.image.id, found.image.config) == (image.id, image.config)
    assert found.image.layer_sizes == image.layer_sizes


@needs("dockerd", "docker")
def test_docker_removes_with_the_same_words(images: ImageStore, dockerd: Docker) -> None:
    build(images, "to-remove", "to-remove:v1", content=b"only here")
    dockerd("load", stdin=saved(save_docker, images, "to-remove", "to-remove:v1"))
    for name in ("to-remove:v1", "to-remove"):
        ours = [str(step) for step in images.remove(name)]
        assert dockerd("rmi", name).splitlines() == ours


@needs("dockerd", "docker")
def test_docker_imports_to_the_same_config(images: ImageStore, dockerd: Docker) -> None:
    data = archive(**{"etc/motd": b"welcome"})
    dockerd("import", "--change", 'CMD ["sh"]', "-", "imported", stdin=data)
    (theirs,) = json.loads(dockerd("image", "inspect", "imported"))
    platform = Platform(theirs["Architecture"], theirs["Os"])
    ours = import_rootfs(images, io.BytesIO(data), created=CREATED, platform=platform)
    assert theirs["RootFS"]["Layers"] == list(ours.config.diff_ids)
    assert (theirs["Size"], theirs["Comment"]) == (ours.size, "Imported from -")


def test_the_daemon_ends_with_its_test_session() -> None:
    # A daemon that outlives the tests would hold the machine's memory: it must be our child, ended by its pid.
    listed = subprocess.run(["pgrep", "-P", str(os.getpid()), "dockerd"], capture_output=True, text=True, check=False)
    assert len(listed.stdout.split()) <= 1
