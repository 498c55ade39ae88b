"""What ``docker history`` and ``docker inspect`` show of an image."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dockersim.images.image import Image
from dockersim.oci import ContainerConfig, History


class HistoryRow(Struct, frozen=True):
    """One row of ``docker history``; ``size`` in bytes, ``created`` in RFC 3339.

    ``layer`` is the diff id of the layer that the step made, "" for none. ``id`` is the image's id in the row of its
    last step, "" in the others: only a finished image has one.
    """

    layer: str
    created: str
    created_by: str
    size: int
    comment: str
    id: str = ""
    names: tuple[str, ...] = ()


def history(image: Image) -> tuple[HistoryRow, ...]:
    """List the steps that made the image, latest first.

    An entry with ``empty_layer`` has size 0; each other one takes the next layer. Layers that the history does not
    tell of are left out, as docker does.
    """
    layers = iter(zip(image.config.diff_ids, image.layer_sizes, strict=False))
    rows = [_row(entry, ("", 0) if entry.empty_layer else next(layers, ("", 0))) for entry in image.config.history]
    if rows:
        rows[-1] = replace(rows[-1], id=image.id, names=tuple(name.familiar() for name in image.names))
    return tuple(reversed(rows))


def inspect(image: Image) -> dict[str, Any]:
    """Return what ``docker image inspect`` prints, with docker's keys in docker's order."""
    config = image.config
    document: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": [name.familiar() for name in image.names],
        "RepoDigests": [name.familiar() for name in image.digests],
        "Parent": "",
        "Comment": config.history[-1].comment if config.history else "",
        "Created": config.created,
        "DockerVersion": "",
        "Author": config.author,
        "Config": _config(config.config),
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "Size": image.size,
        "RootFS": {"Type": "layers", "Layers": list(config.diff_ids)},
        "Metadata": {"LastTagTime": image.tagged_at},
        "Descriptor": image.descriptor.as_json(),
    }
    if not config.variant:
        del document["Variant"]
    return document


def _row(entry: History, layer: tuple[str, int]) -> HistoryRow:
    return HistoryRow(layer[0], entry.created, entry.created_by, layer[1], entry.comment)


def _config(config: ContainerConfig) -> dict[str, Any]:
    """Return the config with the keys that docker always prints, ``null`` where there is nothing."""
    always: dict[str, Any] = {
        "User": "",
        "Env": None,
        "Cmd": None,
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": None,
    }
    return always | config.as_json()
