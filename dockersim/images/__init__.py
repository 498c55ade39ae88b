"""Images: names for manifests, and the archives in which images travel without a registry.

An image is a manifest, the config it names and the layers it names; all of them are blobs in the content store. Its
*id* is the digest of the config. A name, ``ubuntu:latest``, is only a pointer to it, and may be moved; an image that
lost its last tag is *dangling*. Names live in the database, and ``index.json`` repeats them for other tools:

    skopeo inspect oci:ROOT:my-flask-app:latest

The real things: docker's reference store (``daemon/images``), the image layout (image-spec, image-layout.md), and
moby's ``image/tarexport`` for ``docker save`` and ``docker load``. The law of the package: an image is in the store
whole, with every layer, or it is not there; which one it was is decided by one database transaction.

>>> import tempfile
>>> from pathlib import Path
>>> from dockersim.content import ContentStore, Database, LayerStore
>>> from dockersim.oci import ImageConfig, parse_reference
>>> with tempfile.TemporaryDirectory() as folder:
...     layers = LayerStore(ContentStore(Path(folder)))
...     images = ImageStore(layers, Database(Path(folder) / "dockersim.db"))
...     image = images.put(ImageConfig("amd64"), [], [parse_reference("empty")])
...     images.get("empty") == image, images.get(image.id[7:15]) == image, [str(name) for name in image.names]
(True, True, ['empty:latest'])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from dockersim.images.image import Image
from dockersim.images.store import ImageStore

if TYPE_CHECKING:
    from dockersim.images.inspection import HistoryRow, history, inspect
    from dockersim.images.loading import Loaded, import_rootfs, load
    from dockersim.images.removal import Deleted, Removal, Untagged
    from dockersim.images.saving import Choice, choose, save_docker, save_oci

__all__ = [
    "Choice",
    "Deleted",
    "HistoryRow",
    "Image",
    "ImageStore",
    "Loaded",
    "Removal",
    "Untagged",
    "choose",
    "history",
    "import_rootfs",
    "inspect",
    "load",
    "save_docker",
    "save_oci",
]

_LATE = {
    "inspection": ("HistoryRow", "history", "inspect"),
    "loading": ("Loaded", "import_rootfs", "load"),
    "removal": ("Deleted", "Removal", "Untagged"),
    "saving": ("Choice", "choose", "save_docker", "save_oci"),
}
"""What a build does not need is imported when it is first asked for (PEP 562)."""


def __getattr__(name: str) -> object:
    for module, names in _LATE.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
