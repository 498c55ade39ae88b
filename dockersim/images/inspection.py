"""What ``docker history`` and ``docker inspect`` show of an image."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from dockersim.images.image import Image
from dockersim.oci import ContainerConfig, History

MISSING = "<missing>"
"""What docker shows for the id of a step: only the last step of an image has one, the image's own."""


class HistoryRow(Struct, frozen=True):
    """One row of ``docker history``; ``size`` in bytes, ``created`` in RFC 3339."""

    id: str
    created: str
    created_by: str
    size: int
    comment: str
    names: tuple[str, ...] = ()


def history(image: Image) -> tuple[HistoryRow, ...]:
    """List the steps that made the image, latest first.

    An entry with ``empty_layer`` has size 0; each other one takes the next layer. Layers that the history does not
    tell of are left out, as docker does.
    """
    sizes = iter(image.layer_sizes)
    rows = [_row(entry, 0 if entry.empty_layer else next(sizes, 0)) for entry in image.config.history]
    if rows:
        last = rows[-1]
        names = tuple(name.familiar() for name in image.names)
        rows[-1] = HistoryRow(image.id, last.created, last.created_by, last.size, last.comment, names)
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


def _row(entry: History, size: int) -> HistoryRow:
    return HistoryRow(MISSING, entry.created, entry.created_by, size, entry.comment)


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
