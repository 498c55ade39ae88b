"""``builder prune``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("condition", "gone"),
    [
        ("until=24h", []),
        ("until=0s", ["exec.cachemount", "regular"]),
        ("unused-for=1ms", ["exec.cachemount", "regular"]),
        ("type=exec.cachemount", ["exec.cachemount"]),
        ("type=regular", ["regular"]),
        ("type=nothing", []),
        ("id=zz", []),
        ("id={id}", ["exec.cachemount"]),
    ],
)
def test_prune_takes_what_passes(ok: Ok, root: Path, app: Path, condition: str, gone: list[str]) -> None:
    """Two of the four records are the layers of an image."""
    (app / "Dockerfile").write_text("FROM scratch\nCOPY app.py /\nCOPY requirements.txt /\n")
    ok("build", "-t", "app", app)
    (app / "Dockerfile").write_text("FROM scratch\nCOPY app.py /\nCOPY app.py /again.py\n")
    ok("build", app)
    ok("image", "prune", "--force")
    mount = root / "cache-mounts" / "0123456789abcdef"
    mount.mkdir(parents=True)
    mount.with_name(f"{mount.name}.used").touch()
    kinds = {row["ID"]: row["CacheType"] for row in _cache(ok)}
    assert sorted(kinds.values()) == ["exec.cachemount", "regular", "regular", "regular"]
    said = ok("builder", "prune", "--force", "--filter", condition.format(id="789abc")).splitlines()
    left = {row["ID"] for row in _cache(ok)}
    assert sorted(kind for name, kind in kinds.items() if name not in left) == gone
    assert len(said) == (len(gone) + 3 if gone else 1)


def test_prune_keeps_as_much_as_is_said(ok: Ok, app: Path) -> None:
    (app / "app.py").write_bytes(b"x" * 2000)
    ok("build", app)
    ok("image", "prune", "--force")
    for keep in ("2kB", "1 kib", "0.9k"):
        said = ok("builder", "prune", "--force", "--keep-storage", keep)
        assert ("Deleted" in said) is (keep == "1 kib"), keep


def _cache(ok: Ok) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(ok("system", "df", "--verbose", "--format", "json"))["BuildCache"]
    return rows
