"""What differs between two images: every file with its sizes, the config, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockersim.filesystem import Entry, Kind, What, Whiteout
from dockersim.images import Image, ImageStore
from dockersim.images.comparison import compare
from dockersim.oci import ContainerConfig, ImageConfig, parse_reference
from dockersim.views.comparison import comparison_document, comparison_lines, comparison_rows

from .making import layer, open_store


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    return open_store(tmp_path)


def image(images: ImageStore, name: str, config: ContainerConfig, *layers: str) -> Image:
    return images.put(ImageConfig("amd64", config=config, diff_ids=tuple(layers)), layers, [parse_reference(name)])  # type: ignore[arg-type]


@pytest.fixture
def two(images: ImageStore) -> tuple[Image, Image]:
    """Two images on one layer."""
    shared = layer(images, Entry("d", Kind.DIRECTORY, 0o755), Entry("d/s", Kind.SYMLINK, 0o777, link="f"), kept=b"k")
    old = layer(images, Entry("old", Kind.DIRECTORY, 0o755), Entry("t", Kind.DIRECTORY, 0o755), app=b"12345", x=b"1")
    one = layer(images, **{"old/a": b"aaa", "t/same": b"="})
    new = layer(images, Entry("x", Kind.FILE, 0o755), app=b"1234567", new=b"n" * 100)
    before = ContainerConfig(env=("A=1", "B=2"), cmd=("sh",), labels={"v": "1"})
    after = ContainerConfig(env=("A=1", "B=3"), cmd=("sh",), labels={"v": "1", "w": "2"}, user="me")
    return image(images, "app:1", before, shared, old, one), image(images, "app:2", after, shared, new)


def test_files_and_config(images: ImageStore, two: tuple[Image, Image]) -> None:
    comparison = compare(images, *two)
    assert {(change.what.value, change.path) for change in comparison.changes} == {
        ("modified", "app"), ("added", "new"), ("deleted", "old"), ("deleted", "old/a"), ("deleted", "t"),
        ("deleted", "t/same"), ("modified", "x"),
    }  # fmt: skip
    assert (comparison.times, comparison.shared_layers) == ((), 1)
    assert list(comparison_lines(comparison)) == [
        "M /app  size 5B -> 7B, sha256 5994… -> 8bb0…",
        "A /new  -rw-r--r-- 0:0 100B",
        "D /old  drwxr-xr-x 0:0",
        "D /old/a  -rw-r--r-- 0:0 3B",
        "D /t  drwxr-xr-x 0:0",
        "D /t/same  -rw-r--r-- 0:0 1B",
        "M /x  mode 0644 -> 0755, size 1B -> 0B, sha256 6b86… -> e3b0…",
        "- Env B=2",
        "+ User me",
        "+ Env B=3",
        "+ Labels w=2",
        "1 added, 2 modified, 4 deleted: 12B -> 109B (+97B)",
    ]


def test_there_and_back(images: ImageStore, two: tuple[Image, Image]) -> None:
    opposite = {What.ADDED: What.DELETED, What.DELETED: What.ADDED, What.MODIFIED: What.MODIFIED}
    there, back = compare(images, *two), compare(images, *two[::-1])
    assert {(change.path, opposite[change.what], change.after, change.before) for change in there.changes} == {
        (change.path, change.what, change.before, change.after) for change in back.changes
    }


def test_an_image_and_itself(images: ImageStore, two: tuple[Image, Image]) -> None:
    comparison = compare(images, two[0], two[0])
    assert list(comparison_lines(comparison)) == ["The files are the same."]
    assert comparison.shared_layers == 3


def test_what_was_only_written_again_is_counted(images: ImageStore) -> None:
    one, two = (
        image(images, f"a:{time}", ContainerConfig(), layer(images, Entry("f", Kind.FILE, mtime_ns=time * 10**9)))
        for time in (1, 2)
    )
    comparison = compare(images, one, two)
    assert list(comparison_lines(comparison)) == [
        "nothing: 0B -> 0B (+0B)", "1 more differs only in time (--times lists them)",
    ]  # fmt: skip
    assert next(iter(comparison_lines(comparison, times=True))) == "M /f  only its time"


def test_a_directory_becomes_a_file(images: ImageStore) -> None:
    folder = layer(images, Entry("d", Kind.DIRECTORY, 0o755), **{"d/in": b"123"})
    comparison = compare(
        images,
        image(images, "a:1", ContainerConfig(), folder),
        image(images, "a:2", ContainerConfig(), folder, layer(images, Whiteout("d")), layer(images, d=b"1")),
    )
    assert {(change.what.value, change.path) for change in comparison.changes} == {
        ("modified", "d"), ("deleted", "d/in"),
    }  # fmt: skip


def test_as_one_document(images: ImageStore, two: tuple[Image, Image]) -> None:
    document = comparison_document(compare(images, *two))
    assert document["before"] == {"id": two[0].id, "names": ["app:1"], "size": 12}
    files = {file["path"]: file for file in document["files"]}
    assert (files["/new"]["what"], files["/new"]["before"], files["/new"]["after"]["size"]) == ("added", None, 100)
    assert files["/old/a"]["after"] is None and files["/old/a"]["before"]["size"] == 3
    assert document["config"] == {"removed": ["Env B=2"], "added": ["User me", "Env B=3", "Labels w=2"]}


def test_as_rows(images: ImageStore, two: tuple[Image, Image]) -> None:
    rows = {row["Path"]: row for row in comparison_rows(compare(images, *two))}
    assert rows["/app"] == {"Type": "modified", "Path": "/app", "Before": 5, "After": 7}
    assert (rows["/new"]["Before"], rows["/old/a"]["After"]) == ("", "")
