"""``builder prune``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .conftest import Run

Ok = Callable[..., str]


def test_prune_asks_first_and_lists_what_is_gone(ok: Ok, run: Run, app: Path) -> None:
    ok("build", "-t", "app", app)
    assert ok("builder", "prune", "-f") == "Total reclaimed space: 0B\n"  # the steps are those of an image
    refused = run("builder", "prune", "--all")
    assert refused.exit_code == 1 and "WARNING! This will remove all build cache." in refused.output
    assert "CACHED" in run("build", app).output
    title, *names, empty, total = ok("builder", "prune", "--all", "--force").splitlines()
    assert (title, empty) == ("Deleted build cache objects:", "") and total.startswith("Total reclaimed space: ")
    assert len(names) == 2 and all(len(name) == 25 for name in names)
    assert "CACHED" not in run("build", app).output
