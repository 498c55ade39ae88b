"""What is different between two images, as lines and as one JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dockersim.filesystem import Change, What
from dockersim.images.comparison import Comparison
from dockersim.images.image import Image
from dockersim.printable import printable
from dockersim.trace.rows import entry_to_json
from dockersim.views.steps import MARKS, config_lines, diff_lines, ls_line
from dockersim.views.units import human_size

HEADER = {"Type": "TYPE", "Path": "PATH", "Before": "BEFORE", "After": "AFTER"}


def comparison_lines(comparison: Comparison, *, times: bool = False) -> Iterator[str]:
    """Write the files that differ with their sizes, then the config, then what it comes to.

    ``times`` also lists the files that differ in nothing but their time.
    """
    for change in _in_order([*comparison.changes, *(comparison.times if times else ())]):
        yield from diff_lines([change]) if change.after else [_deleted(change)]
    yield from config_lines(comparison.before.config, comparison.after.config)
    yield from _totals(comparison, times=times)


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Write all of it with sizes in bytes; an entry is written as in a trace."""
    lines = list(config_lines(comparison.before.config, comparison.after.config))
    return {
        "before": _image(comparison.before),
        "after": _image(comparison.after),
        "sharedLayers": comparison.shared_layers,
        "files": [_file(change) for change in _in_order([*comparison.changes, *comparison.times])],
        "config": {
            "removed": [line[2:] for line in lines if line.startswith("- ")],
            "added": [line[2:] for line in lines if line.startswith("+ ")],
        },
    }


def comparison_rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Give the fields of each file for a template; sizes in bytes, "" where there is no file."""
    for change in comparison.changes:
        yield {
            "Type": change.what.value,
            "Path": f"/{change.path}",
            "Before": "" if change.before is None else change.before.size,
            "After": "" if change.after is None else change.after.size,
        }


def _deleted(change: Change) -> str:
    """Write what is gone with what it was, since that is what became free."""
    return f"{MARKS[change.what]} /{printable(change.path)}  {ls_line(change.before) if change.before else ''}"


def _totals(comparison: Comparison, *, times: bool) -> Iterator[str]:
    if not comparison.changes and not comparison.times:
        yield "The files are the same."
        return
    words = [f"{len(found)} {what.value}" for what in What if (found := comparison.of(what))]
    yield f"{', '.join(words) or 'nothing'}: {_growth(comparison.before.size, comparison.after.size)}"
    if comparison.times and not times:
        count = len(comparison.times)
        yield f"{count} more {'differs' if count == 1 else 'differ'} only in time (--times lists them)"


def _growth(before: int, after: int) -> str:
    sign = "+" if after >= before else "-"
    return f"{human_size(before)} -> {human_size(after)} ({sign}{human_size(abs(after - before))})"


def _file(change: Change) -> dict[str, Any]:
    return {
        "path": f"/{change.path}",
        "what": change.what.value,
        "before": entry_to_json(change.before),
        "after": entry_to_json(change.after),
    }


def _image(image: Image) -> dict[str, Any]:
    return {"id": image.id, "names": [name.familiar() for name in image.names], "size": image.size}


def _in_order(changes: Iterable[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: change.path.split("/"))
