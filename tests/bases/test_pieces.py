"""Collecting files with the links that lead to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockersim.bases.pieces import FileSet
from dockersim.errors import ImageError
from dockersim.filesystem import Kind


def rows(files: FileSet, root: Path) -> list[tuple[str, str, str]]:
    """Return (path below ``root``, kind, link) of what is below it."""
    start = str(root).strip("/") + "/"
    return [
        (piece.entry.path.removeprefix(start), piece.entry.kind.value, piece.entry.link)
        for piece in files
        if piece.entry.path.startswith(start)
    ]


def test_a_merged_usr_is_kept(tmp_path: Path) -> None:
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "dash").write_text("x")
    (tmp_path / "usr" / "bin" / "sh").symlink_to("dash")
    (tmp_path / "bin").symlink_to("usr/bin")
    files = FileSet()
    assert files.host(f"{tmp_path}/bin/sh") == f"{tmp_path}/usr/bin/dash"
    assert rows(files, tmp_path) == [
        ("bin", "symlink", "usr/bin"),
        ("usr", "dir", ""),
        ("usr/bin", "dir", ""),
        ("usr/bin/dash", "file", ""),
        ("usr/bin/sh", "symlink", "dash"),
    ]


@pytest.mark.parametrize("target", ["{root}/real", "../{name}/real", "./real", "sub/../real"])
def test_links_of_every_form_are_followed(target: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to(target.format(root=tmp_path, name=tmp_path.name))
    files = FileSet()
    assert files.host(f"{tmp_path}/link") == f"{tmp_path}/real"


def test_a_ring_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ImageError, match="more than 40 links"):
        FileSet().host(f"{tmp_path}/a")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot have .*/gone: No such file or directory"):
        FileSet().host(f"{tmp_path}/gone")


@pytest.mark.parametrize(("on_disk", "in_layer"), [(0o600, 0o644), (0o700, 0o755), (0o4711, 0o4755), (0o664, 0o644)])
def test_the_umask_of_the_host_is_not_seen(on_disk: int, in_layer: int, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    file.chmod(on_disk)
    files = FileSet()
    files.copy(str(file), "file")
    assert [piece.entry.mode for piece in files] == [in_layer]


def test_the_upper_layer_has_only_what_is_new() -> None:
    below, above = FileSet(), FileSet()
    below.text("etc/one", "1")
    below.text("etc/two", "2")
    above.update(below)
    above.text("etc/two", "changed")
    above.text("etc/three/four", "4")
    upper = above.minus(below)
    assert [(piece.entry.path, piece.entry.kind) for piece in upper] == [
        ("etc", Kind.DIRECTORY),
        ("etc/three", Kind.DIRECTORY),
        ("etc/three/four", Kind.FILE),
        ("etc/two", Kind.FILE),
    ]


def test_order_is_by_bytes_and_depth_first() -> None:
    files = FileSet()
    for path in ["a-b", "a/b", "a/B", os.fsdecode(b"a/\xff"), "ä"]:
        files.text(path, "")
    assert [piece.entry.path for piece in files] == ["a", "a/B", "a/b", os.fsdecode(b"a/\xff"), "a-b", "ä"]
