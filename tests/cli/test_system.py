"""``system df``, ``system prune``, ``image prune`` and ``container prune``; for their words see test_docker_alike."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run

Ok = Callable[..., str]


@pytest.fixture
def images(ok: Ok, app: Path) -> tuple[str, str]:
    """An image, and one that lost its name to it."""
    old = ok("build", "-q", "-t", "app", app).strip()
    (app / "app.py").write_text("print('hello, again')\n")
    return old, ok("build", "-q", "-t", "app", app).strip()


def rows(text: str) -> dict[str, dict[str, str]]:
    """The rows of system df by their type."""
    return {row["Type"]: row for row in map(json.loads, text.splitlines())}


def make_old(root: Path) -> None:
    """Let a sweep take what nobody needs: it spares what is young."""
    for blob in (root / "blobs" / "sha256").iterdir():
        os.utime(blob, (0, 0))


def test_usage_is_counted(ok: Ok, images: tuple[str, str]) -> None:
    usage = rows(ok("system", "df", "--format", "json"))
    sizes = [json.loads(ok("image", "inspect", one))[0]["Size"] for one in images]
    assert usage["Images"] == {
        "Type": "Images", "TotalCount": "2", "Active": "0", "Size": f"{sum(sizes)}B",
        "Reclaimable": f"{sum(sizes)}B (100%)",
    }  # fmt: skip
    assert usage["Build Cache"] | {"TotalCount": ""} == {
        "Type": "Build Cache", "TotalCount": "", "Active": "0", "Size": "0B", "Reclaimable": "0B",
    }, "the layers of the cache are those of images"  # fmt: skip
    ok("image", "prune", "--force")
    cached = rows(ok("system", "df", "--format", "json"))["Build Cache"]
    assert cached["Reclaimable"] == f"{sizes[0]}B", "what only the cache has now"


def test_usage_in_detail(ok: Ok, images: tuple[str, str]) -> None:
    text = ok("system", "df", "--verbose")
    assert [line for line in text.splitlines() if "usage" in line] == [
        "Images space usage:", "Containers space usage:", "Local Volumes space usage:", "Build cache usage: 0B",
    ]  # fmt: skip
    details = json.loads(ok("system", "df", "--verbose", "--format", "json"))
    assert {row["ID"] for row in details["Images"]} == set(images)
    assert details["Containers"] == details["Volumes"] == []
    assert {row["Shared"] for row in details["BuildCache"]} == {"true"}


def test_an_empty_root(ok: Ok, root: Path) -> None:
    assert {row["Size"] for row in rows(ok("system", "df", "--format", "json")).values()} == {"0B"}
    assert not root.exists(), "looking makes nothing"
    assert ok("system", "prune", "--force") == "Total reclaimed space: 0B\n"


def test_a_prune_tells_what_is_too_young_to_go(ok: Ok, run: Run, app: Path) -> None:
    (app / "big").write_bytes(bytes(2_000_000))
    ok("build", "-q", "-t", "big", app)
    pruned = run("system", "prune", "--all", "--force")
    assert pruned.stdout.endswith("Total reclaimed space: 0B\n")
    assert re.fullmatch(r"2\.\d+MB more came within the last 10 minutes, and may belong .*\n", pruned.stderr)


def test_prune_takes_what_is_unused_and_no_more(ok: Ok, images: tuple[str, str], root: Path, app: Path) -> None:
    old, new = images
    make_old(root)
    said = ok("system", "prune", "--force").splitlines()
    assert said[:2] == ["Deleted Images:", f"deleted: {old}"]
    assert "Deleted build cache objects:" in said
    assert said[-1].startswith("Total reclaimed space: ") and not said[-1].endswith(": 0B")
    assert ok("images", "--quiet", "--no-trunc").split() == [new]
    ok("system", "prune", "--all", "--force")
    assert ok("images", "--quiet") == ""
    make_old(root)
    ok("system", "prune", "--all", "--force")
    assert list((root / "blobs" / "sha256").iterdir()) == []


def test_prune_asks_and_takes_yes_from_a_pipe(ok: Ok, run: Run, images: tuple[str, str]) -> None:
    refused = run("system", "prune")
    assert refused.exit_code == 1 and "nobody is there to confirm; use --force" in refused.stderr
    assert "Total" not in ok("system", "prune", stdin="n\n")
    assert len(ok("images", "--quiet").split()) == 2
    assert "Total reclaimed space" in ok("system", "prune", stdin="y\n")
    assert len(ok("images", "--quiet").split()) == 1


def test_prune_by_age_and_label(ok: Ok, images: tuple[str, str], root: Path) -> None:
    ok("system", "prune", "--all", "--force", "--filter", "until=24h")
    ok("system", "prune", "--all", "--force", "--filter", "label=nobody")
    ok("image", "prune", "--all", "--force", "--filter", "until=24h")
    assert len(ok("images", "--quiet").split()) == 2
    assert rows(ok("system", "df", "--format", "json"))["Build Cache"]["TotalCount"] != "0"
    make_old(root)  # last used in 1970
    assert "Deleted build cache objects:" in ok("system", "prune", "--all", "--force", "--filter", "until=24h")


def test_stopped_containers_are_pruned(shell: Run) -> None:
    command = ["dockersim/starter:shell", "sh", "-c", "echo x > /y"]
    assert shell("run", "--name", "stopped", "--label", "a=b", *command).exit_code == 0
    container = shell("ps", "-aq", "--no-trunc").stdout.strip()
    try:
        usage = rows(shell("system", "df", "--format", "json").stdout)
        assert usage["Images"]["Active"] == "1"
        assert usage["Containers"]["TotalCount"] == "1" and usage["Containers"]["Size"] != "0B"
        assert "A /y" in shell("diff", "stopped").stdout.splitlines()
        for condition in ("label=nobody", "until=24h", "label!=a"):
            assert "Deleted" not in shell("container", "prune", "--force", "--filter", condition).stdout
    finally:
        pruned = shell("container", "prune", "--force", "--filter", "label=a=b").stdout.splitlines()
    assert pruned[:2] == ["Deleted Containers:", container] and pruned[-1].startswith("Total reclaimed space: ")
    assert shell("ps", "-aq").stdout == ""
