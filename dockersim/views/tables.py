"""Tables in columns, as ``docker images``, ``docker history`` and ``docker ps`` print them.

docker gives its rows to Go's text/tabwriter with a least width of 10 and a gap of 3 (docker/cli,
cli/command/formatter/formatter.go), so scripts that cut docker's columns cut ours.

>>> print(images_table([ImageRow("my-flask-app", "latest", "abcd1234ef56", "10 minutes ago", "120MB")]))
REPOSITORY     TAG       IMAGE ID       CREATED          SIZE
my-flask-app   latest    abcd1234ef56   10 minutes ago   120MB
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple

from dockersim.printable import printable

LEAST_WIDTH: Final = 10
"""The least width of a column, its gap included."""

GAP: Final = 3
"""Spaces between columns."""

IMAGES: Final = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE")
HISTORY: Final = ("LAYER", "CREATED", "CREATED BY", "SIZE", "COMMENT")
CONTAINERS: Final = ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES")

# Deviation: docker history shows the id of the image in its first row and `<missing>` in all others, since steps have
# no ids; here each row shows the layer that the step made, `<empty>` for none.
NO_LAYER: Final = "<empty>"
"""What stands for the layer of a step that changed only the config."""

CREATED_BY_WIDTH: Final = 45
COMMAND_WIDTH: Final = 20


class ImageRow(Struct, frozen=True):
    """One row of ``docker images``."""

    repository: str
    tag: str
    image_id: str
    created: str
    size: str


class HistoryRow(Struct, frozen=True):
    """One row of ``docker history``; ``created_by`` whole, ``layer`` a short diff id or NO_LAYER."""

    layer: str
    created: str
    created_by: str
    size: str
    comment: str = ""


class ContainerRow(Struct, frozen=True):
    """One row of ``docker ps``; ``command`` whole and without quotes."""

    container_id: str
    image: str
    command: str
    created: str
    status: str
    ports: str
    names: str


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out cells in columns, each as wide as its widest cell; the last one is not padded.

    A cell is one line, and does nothing to the terminal, whatever a label or a history says.
    """
    lines = [list(header), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(LEAST_WIDTH, *(len(cell) + GAP for cell in column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)) + line[-1] for line in lines
    )


def ellipsis(text: str, width: int) -> str:
    """Cut ``text`` to ``width`` characters, the last of them "…" if something was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"


def images_table(rows: Iterable[ImageRow]) -> str:
    """Lay out ``docker images``."""
    return table(IMAGES, (astuple(row) for row in rows))


def history_table(rows: Iterable[HistoryRow], *, truncate: bool = True, human: bool = True) -> str:
    """Lay out ``docker history``; ``--no-trunc`` turns ``truncate`` off, and ``--human=false`` ``human``."""
    cells = []
    for row in rows:
        words = row.created_by.replace("\t", " ")
        words = printable(words)
        shown = ellipsis(words, CREATED_BY_WIDTH) if truncate else words
        cells.append((row.layer, row.created, shown, row.size, row.comment))
    return table([column if human or column != "CREATED" else "CREATED AT" for column in HISTORY], cells)


def containers_table(rows: Iterable[ContainerRow], *, truncate: bool = True) -> str:
    """Lay out ``docker ps``; ``truncate`` is what ``--no-trunc`` turns off."""
    cells = []
    for row in rows:
        words = printable(row.command)
        words = ellipsis(words, COMMAND_WIDTH) if truncate else words
        cells.append((row.container_id, row.image, f'"{words}"', row.created, row.status, row.ports, row.names))
    return table(CONTAINERS, cells)
