"""A small image in a content store, made by the test."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from dockersim.content import ContentStore, LayerStore
from dockersim.oci import ContainerConfig, Descriptor, ImageConfig, Manifest, media_types


def tar_of(files: dict[str, bytes]) -> io.BytesIO:
    """A layer with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    out.seek(0)
    return out


class Store:
    """A content store with its layers."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.content = ContentStore(root)
        self.layers = LayerStore(self.content)

    def image(self, *layers: dict[str, bytes], architecture: str = "amd64") -> Manifest:
        """Store an image of these layers, plain as a build leaves them."""
        diff_ids = tuple(self.layers.add_tar(tar_of(files)) for files in layers)
        config = ImageConfig(architecture, config=ContainerConfig(cmd=("sh",)), diff_ids=diff_ids).to_json()
        descriptor = Descriptor(media_types.CONFIG, self.content.put(config), len(config))
        return Manifest(descriptor, tuple(self.layers.descriptor(diff_id) for diff_id in diff_ids))
