"""The starter images: this machine's own files, put into layers.

Two layers, because that is what they teach: ``starter:python`` is ``starter:shell`` with one layer more, and
the store keeps the layer that both have once.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from dockersim.bases.hostpython import ask
from dockersim.bases.libraries import LibrarySearch
from dockersim.bases.pieces import Piece
from dockersim.bases.python import collect_python
from dockersim.bases.shell import collect_shell, has_bash, host_name
from dockersim.content import LayerStore
from dockersim.digest import DiffID
from dockersim.errors import ImageError

if TYPE_CHECKING:
    from dockersim.bases.debian import Progress

CREATED = "1980-01-01T00:00:00Z"
"""The time of the images, which is the time of their files (``pieces.EPOCH``): what does not change has no date."""


class StarterLayers(Struct, frozen=True):
    """The layers with what made them, lowest first, and the command that starts the shell there is."""

    layers: tuple[tuple[DiffID, str], ...]
    shell: tuple[str, ...]


def make_layers(layers: LayerStore, progress: Progress, *, python: bool) -> StarterLayers:
    """Collect the starter image from this machine into ``layers``. Equal files give equal digests."""
    search = LibrarySearch()
    progress("collecting the shell and its programs")
    shell = collect_shell(search)
    made = [(write_layer(shell, layers), f"# the shell and programs of this machine ({host_name()})")]
    if python:
        host = ask()
        progress(f"collecting Python {host.version} and pip from {host.prefix}")
        upper = collect_python(host, shell, search)
        made.append((write_layer(upper, layers), f"# Python {host.version} and pip of this machine, wheels for Flask"))
    return StarterLayers(tuple(made), ("bash",) if has_bash(shell) else ("/bin/sh",))


def write_layer(files: Iterable[Piece], layers: LayerStore) -> DiffID:
    """Store ``files`` as a layer; return its diff id."""
    with layers.new_layer() as new:
        for piece in files:
            with ExitStack() as stack:
                new.add(piece.entry, _content(piece, stack))
        return new.commit().diff_id


def _content(piece: Piece, stack: ExitStack) -> BinaryIO | bytes | None:
    if not isinstance(piece.source, str):
        return piece.source
    try:
        return stack.enter_context(open(piece.source, "rb"))
    except OSError as error:
        raise ImageError(f"a starter image cannot have {piece.source}: {error.strerror}") from error
