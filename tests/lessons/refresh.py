"""Run the lessons and write them back with their outputs, cleaned: ``python -m tests.lessons.refresh [NOTEBOOK ...]``.

Running it twice changes only what the machine or the day changes. The same cleaning by hand:
``nbstripout --keep-output --keep-count --keep-id --extra-keys "metadata.language_info metadata.widgets"``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

LESSONS = Path(__file__).parents[2] / "lessons"
KERNEL = {"name": "python3", "display_name": "Python 3"}
"""The kernel's own display name tells the machine it ran on; the format wants one all the same."""

_WIDGET = "application/vnd.jupyter.widget-view+json"
_SECONDS_PER_CELL = 300


def notebooks() -> list[Path]:
    """List the lessons, in their order."""
    return sorted(LESSONS.glob("*.ipynb"))


def refresh(path: Path) -> None:
    """Run a notebook in a fresh kernel and write it back."""
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=_SECONDS_PER_CELL, resources=place, coalesce_streams=True)
    client.execute()
    clean(notebook)
    nbformat.write(notebook, path)


def clean(notebook: nbformat.NotebookNode) -> None:
    """Take out what differs from run to run without being anybody's output."""
    notebook.metadata.clear()
    notebook.metadata["kernelspec"] = dict(KERNEL)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(_WIDGET, None)


if __name__ == "__main__":
    for notebook in [Path(name) for name in sys.argv[1:]] or notebooks():
        began = time.monotonic()
        refresh(notebook)
        print(f"{notebook.name}: {time.monotonic() - began:.0f} s")
