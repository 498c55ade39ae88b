"""``docker export``: the whole file system of a container as a plain tar."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from dockersim.engine.sources import open_in_layer
from dockersim.filesystem import Entry, Kind, LayerWriter, Tree, layer_between

if TYPE_CHECKING:
    from dockersim.engine.engine import Engine


def export_container(engine: Engine, name: str, out: BinaryIO) -> None:
    """Write the files of a container, which may run. Raises NoSuchContainer; ContentError if one changes meanwhile."""
    files = engine.containers.files(name)
    writer = LayerWriter(out)
    for entry in layer_between(Tree.EMPTY, files.tree):
        node = files.tree.get(entry.path)
        if isinstance(entry, Entry) and entry.kind is Kind.FILE and node is not None:
            with files.open(node) or open_in_layer(engine.store.layers, node) as content:
                writer.add(entry, content)
        else:
            writer.add(entry)
    writer.close()
