"""Makes images for the tests of this folder."""

from __future__ import annotations

import platform
from pathlib import Path

from dockersim.content import ContentStore, Database, LayerStore
from dockersim.digest import DiffID
from dockersim.filesystem import Entry, Kind, LayerEntry, Whiteout
from dockersim.images import Image, ImageStore
from dockersim.oci import ContainerConfig, History, ImageConfig, parse_reference

CREATED = "2024-01-02T03:04:05.123456789Z"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def open_store(root: Path) -> ImageStore:
    """Open a root as another process would."""
    return ImageStore(LayerStore(ContentStore(root)), Database(root / "dockersim.db"))


def layer(images: ImageStore, *entries: LayerEntry, **files: bytes) -> DiffID:
    """Store a layer of some entries and some files."""
    with images.layers.new_layer() as new:
        for entry in entries:
            new.add(entry)
        for name, content in files.items():
            new.add(Entry(name, Kind.FILE), content)
        return new.commit().diff_id


def build(images: ImageStore, *names: str, content: bytes = b"hello", base: tuple[DiffID, ...] = ()) -> Image:
    """Store an image of two layers with a history of three steps, on top of the layers of a base."""
    first = layer(
        images,
        Entry("etc", Kind.DIRECTORY, 0o755),
        Entry("etc/link", Kind.SYMLINK, 0o777, link="app"),
        app=content,
    )
    second = layer(images, Whiteout("etc/link"), more=b"12345")
    config = ImageConfig(
        ARCHITECTURE,
        config=ContainerConfig(env=("A=1 & 2",), cmd=("sh",), labels={"who": "me"}, exposed_ports=("80/tcp",)),
        diff_ids=(*base, first, second),
        history=(
            *(History(CREATED, "base") for _ in base),
            History(CREATED, "COPY app / # buildkit", comment="buildkit.dockerfile.v0"),
            History(CREATED, "ENV A=1 & 2", comment="buildkit.dockerfile.v0", empty_layer=True),
            History(CREATED, "RUN rm etc/link # buildkit", comment="buildkit.dockerfile.v0"),
        ),
        created=CREATED,
        author="me",
    )
    return images.put(config, config.diff_ids, [parse_reference(name) for name in names])
