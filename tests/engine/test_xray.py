"""The X-ray of a context agrees with what a build of it takes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dockersim import Engine
from dockersim.analysis import ContextXray, Use
from dockersim.errors import ContextError, DockerfileError


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path / "root", environment={})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    return folder


def fill(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def uses(xray: ContextXray) -> dict[str, list[int]]:
    return {file.path: [use.line for use in file.uses] for file in xray.files}


RULES = {
    "none": "",
    "files": "*.log\n**/*.pyc\n",
    "exceptions": "*\n!src\nsrc/deep\n!src/deep/keep.txt\n",
    "a directory": "src\n",
    "far away": "**/deep\n!**/keep.txt\n",
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("everything", [False, True])
def test_kept_is_what_a_build_copies(engine: Engine, folder: Path, rules: str, everything: bool) -> None:
    fill(folder, "a.log", "b.txt", "src/c.pyc", "src/d.py", "src/deep/e.txt", "src/deep/keep.txt", "x/deep/keep.txt")
    (folder / ".dockerignore").write_text(rules)
    build = engine.build(folder, text="FROM scratch\nCOPY . /all/\n")
    build.finish()
    assert build.step is not None
    copied = {node.entry.path for node in build.step.files.tree.walk("all") if node.children is None}
    xray, _ = engine.context(folder, text="FROM scratch\nCOPY . /all/\n", everything=everything)
    assert {f"all/{file.path}" for file in xray.files if file.kept} == copied
    assert {f"all/{file.path}" for file in xray.files if file.uses} == copied
    on_disk = sum(len(names) for _, _, names in os.walk(folder))
    assert sum(file.files for file in xray.files) == on_disk


def test_every_instruction_that_takes_a_file_is_told(engine: Engine, folder: Path) -> None:
    fill(folder, "app/a.py", "app/b.txt", "other", "unused")
    (folder / "link").symlink_to("other")
    text = (
        "FROM scratch AS first\nARG WHERE=app\nCOPY $WHERE /a\nADD --chown=1:1 app/*.py link /b/\n"
        "COPY --exclude=*.txt app /c\nRUN --mount=type=bind,source=other,target=/o true\n"
        "FROM scratch\nCOPY --from=first / /\nCOPY <<unused /d/\ntext\nunused\n"
    )
    xray, _ = engine.context(folder, text=text)
    assert uses(xray) == {"app/a.py": [3, 4, 5], "app/b.txt": [3], "link": [], "other": [4, 6], "unused": []}
    assert xray.files[0].uses[1] == Use(4, "ADD")
    assert engine.context(folder, build_args={"WHERE": "other"}, text=text)[0].files[1].uses == ()


def test_a_stage_that_is_not_built_uses_nothing(engine: Engine, folder: Path) -> None:
    fill(folder, "a", "b")
    text = "FROM scratch AS one\nCOPY a /\nFROM scratch AS two\nCOPY b /\n"
    assert uses(engine.context(folder, text=text)[0]) == {"a": [], "b": [4]}
    assert uses(engine.context(folder, target="one", text=text)[0]) == {"a": [2], "b": []}


def test_the_base_image_need_not_be_here(engine: Engine, folder: Path) -> None:
    fill(folder, "a")
    xray, _ = engine.context(folder, text="FROM registry.invalid/nosuch:9\nCOPY a /\n")
    assert (xray.uses_unknown, uses(xray)) == ("", {"a": [2]})
    assert not engine.root.exists()


def test_a_source_that_is_left_out_is_told_with_the_line_that_did_it(engine: Engine, folder: Path) -> None:
    fill(folder, "a.log", "b")
    (folder / ".dockerignore").write_text("# logs\n*.log\n")
    xray, _ = engine.context(folder, text="FROM scratch\nCOPY a.log gone b /\n")
    told = [(one.use.line, one.message.rpartition(": ")[0], one.decision.line) for one in xray.missing]
    assert told == [(2, 'failed to compute cache key: "/a.log"', 2), (2, 'failed to compute cache key: "/gone"', 0)]
    assert uses(xray)["b"] == [2]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "failed to read dockerfile: open Dockerfile: no such file or directory"),
        ("FORM scratch\n", "unknown instruction: FORM"),
        ("FROM scratch\nCOPY a\n", "COPY requires at least two arguments"),
        ("FROM ${x:?nothing}\n", "nothing"),
        ("FROM UPPER:x:y\n", "UPPER"),
    ],
)
def test_a_bad_dockerfile_leaves_only_the_uses_unknown(
    engine: Engine, folder: Path, text: str | None, why: str
) -> None:
    fill(folder, "a")
    xray, _ = engine.context(folder, text=text)
    assert why in xray.uses_unknown
    assert uses(xray) == {"a": []}


def test_the_ignore_file_beside_the_dockerfile_goes_first_and_is_named(engine: Engine, folder: Path) -> None:
    fill(folder, "a", "b")
    (folder / ".dockerignore").write_text("a\n")
    (folder / "Dockerfile.dockerignore").write_text("\nb\n")
    xray, _ = engine.context(folder, text="FROM scratch\n")
    assert xray.ignore_file == "Dockerfile.dockerignore"
    assert [(file.path, file.decision.line) for file in xray.files if not file.kept] == [("b", 2)]


def test_a_bad_context_or_ignore_file_is_an_error(engine: Engine, folder: Path) -> None:
    with pytest.raises(ContextError, match="not found"):
        engine.context(folder / "nope")
    (folder / ".dockerignore").write_text("a\n[\n")
    with pytest.raises(DockerfileError) as caught:
        engine.context(folder)
    assert caught.value.at is not None and caught.value.at.line == 2


def test_a_link_is_not_followed_out_of_the_context(engine: Engine, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    (folder / "way").symlink_to("../outside")
    (folder / "left").mkdir()
    (folder / "left" / "way").symlink_to("../../outside")
    (folder / "key.pem").symlink_to("../outside/secret.pem")
    (folder / ".dockerignore").write_text("left\n")
    xray, cautions = engine.context(folder, text="FROM scratch\nCOPY . /\n", everything=True)
    assert {(file.path, file.kind.value) for file in xray.files if file.path != ".dockerignore"} == {
        ("way", "symlink"),
        ("left/way", "symlink"),
        ("key.pem", "symlink"),
    }
    assert cautions == ()


def test_a_key_is_told_from_a_certificate(engine: Engine, folder: Path) -> None:
    (folder / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (folder / "both.pem").write_text("-----BEGIN CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\n")
    assert [one.path for one in engine.context(folder)[1]] == ["both.pem"]


def test_sockets_are_not_listed_and_pipes_are_not_opened(engine: Engine, folder: Path) -> None:
    os.mkfifo(folder / "pipe.pem")
    xray, cautions = engine.context(folder, text="FROM scratch\n")
    assert [(file.path, file.kind.value) for file in xray.files] == [("pipe.pem", "fifo")]
    assert cautions == ()


def test_a_large_context_is_listed_while_one_waits(engine: Engine, folder: Path) -> None:
    for number in range(100):
        (folder / "node_modules" / f"m{number}").mkdir(parents=True)
        for name in range(100):
            (folder / "node_modules" / f"m{number}" / f"{name}.js").touch()
    (folder / ".dockerignore").write_text("**/node_modules\n")
    started = time.perf_counter()
    xray, _ = engine.context(folder, text="FROM scratch\nCOPY . /\n")
    print(f"\n10,000 files: {time.perf_counter() - started:.2f} s")
    assert [(file.path, file.files) for file in xray.files] == [(".dockerignore", 1), ("node_modules", 10_000)]
