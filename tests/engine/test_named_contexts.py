"""``--build-context``: contexts that stand in for stages and images of their names."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from dockersim import Engine
from dockersim.engine import Build, replay
from dockersim.errors import ContextError, DockersimError, ImageError
from dockersim.images.saving import save_oci
from dockersim.solver import Verdict
from tests.engine.conftest import MakeEngine
from tests.engine.git_server import GitServer, needs_git
from tests.engine.web import serving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory that is a context of its own, with a .dockerignore."""
    made = tmp_path / "named"
    (made / "sub").mkdir(parents=True)
    (made / "file").write_text("named\n")
    (made / "sub/run").write_text("run\n")
    (made / "sub/run").chmod(0o755)
    (made / "secret").write_text("secret\n")
    (made / ".dockerignore").write_text("secret\n.dockerignore\n")
    return made


def _build(engine: Engine, context: Path, text: str, **contexts: str | Path) -> Build:
    build = engine.build(context, text=text, build_contexts=contexts)
    build.finish()
    return build


def _paths(build: Build, folder: str = "/") -> list[str]:
    assert build.step is not None
    return [entry.path for entry in build.step.files.walk(folder)]


def test_copy_takes_files_of_a_directory(engine: Engine, context: Path, folder: Path) -> None:
    build = _build(engine, context, "FROM scratch\nCOPY --from=src . /x/\n", src=folder)
    assert _paths(build, "/x") == ["x/file", "x/sub", "x/sub/run"]
    again = _build(engine, context, "FROM scratch\nCOPY --from=src . /x/\n", src=folder)
    assert again.step is not None and again.step.cache.verdict is Verdict.HIT
    (folder / "file").write_text("changed\n")
    changed = _build(engine, context, "FROM scratch\nCOPY --from=src . /x/\n", src=folder)
    assert changed.step is not None and changed.step.cache.because.startswith("file changed (sha256 ")


def test_from_a_directory_its_files_are_the_first_layer(engine: Engine, context: Path, folder: Path) -> None:
    build = engine.build(context, text="FROM src\nCOPY app.py /\n", build_contexts={"src": folder}, tags=["made"])
    finished = build.finish()
    assert _paths(build) == ["app.py", "file", "sub", "sub/run"]
    assert finished.config is not None and finished.image is not None
    assert [one.created_by for one in finished.config.history] == ["local source for src", "COPY app.py / # buildkit"]
    assert build.plan is not None
    assert [step.vertex for step in build.plan.steps] == ["[context src] load from client", "[1/2] COPY app.py /"]
    assert [step.cached for step in build.steps] == [None, False]
    assert len(engine.store.images.get("made").config.diff_ids) == 2


def test_a_mount_shows_files_of_a_directory(engine: Engine, context: Path, folder: Path) -> None:
    text = "FROM busybox\nRUN --mount=from=src,target=/src ls /src/sub > /list && ! test -e /src/secret\n"
    build = _build(engine, context, text, src=folder)
    assert build.step is not None and build.step.files.text("/list") == "run\n"


def test_a_stage_of_that_name_is_not_built(engine: Engine, context: Path, folder: Path) -> None:
    text = (
        "FROM nowhere.invalid/x AS base\nRUN exit 1\nFROM scratch\nCOPY --from=base /file /\nCOPY --from=0 /sub /sub/\n"
    )
    build = _build(engine, context, text, base=folder)
    assert _paths(build) == ["file", "sub", "sub/run"]
    text = "FROM busybox AS parent\nFROM parent AS base\nRUN exit 1\nFROM base\nCOPY app.py /\n"
    assert "file" in _paths(_build(engine, context, text, base=folder))


def test_an_image_stands_in_for_an_image(make_engine: MakeEngine, context: Path) -> None:
    """BuildKit: testNamedImageContext. The platform, tag or registry of the name need not be written."""
    engine = make_engine()
    engine.build(
        context, text="FROM busybox\nENV FOOBAR=foobar\nONBUILD RUN echo $FOOBAR > /env\n", tags=["mine"]
    ).finish()
    for name in ("nowhere", "nowhere:latest", "docker.io/library/nowhere"):
        for written in ("nowhere", "docker.io/library/nowhere:latest"):
            build = _build(engine, context, f"FROM {written}\nCOPY app.py /\n", **{name: "docker-image://mine"})
            assert build.step is not None and build.step.files.text("/env") == "foobar\n"
    assert build.plan is not None
    assert [step.vertex for step in build.plan.steps if step.vertex] == [
        "[context nowhere] mine", "[1/3] ONBUILD RUN echo foobar > /env", "[2/3] COPY app.py /",
    ]  # fmt: skip
    with pytest.raises(DockersimError):
        _build(engine, context, "FROM nowhere.invalid/x:1\n", **{"nowhere.invalid/x": "docker-image://mine"})
    replaced = _build(engine, context, "FROM scratch AS base\nRUN exit 1\nFROM base\n", base="docker-image://mine")
    assert not replaced.step.files.exists("/env")  # type: ignore[union-attr]


def test_an_image_is_copied_from(engine: Engine, context: Path, folder: Path) -> None:
    engine.build(folder, text="FROM scratch\nCOPY file /\n", tags=["files"]).finish()
    build = _build(engine, context, "FROM scratch\nCOPY --from=src /file /got\n", src="docker-image://files")
    assert _paths(build) == ["got"]
    nothing = _build(engine, context, "FROM base\nCOPY app.py /\n", base="docker-image://scratch")
    assert _paths(nothing) == ["app.py"]


def test_scratch_and_context_keep_their_meaning(engine: Engine, context: Path, folder: Path) -> None:
    named = {"scratch": folder, "context": folder}
    build = engine.build(context, text="FROM scratch\nCOPY . /\n", build_contexts=named)
    build.finish()
    assert _paths(build) == ["app.py", "requirements.txt"]


@pytest.fixture
def layout(make_engine: MakeEngine, folder: Path, tmp_path: Path) -> Path:
    """An OCI image layout on disk with one image, ``files:v1``."""
    other = make_engine("other")
    other.build(folder, text="FROM scratch\nCOPY file /\nENV A=b\n", tags=["files:v1"]).finish()
    archive = io.BytesIO()
    save_oci(other.store.images, ["files:v1"], archive)
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        tar.extractall(tmp_path / "layout")  # our own archive; and Debian 12's Python knows no filters
    return tmp_path / "layout"


def test_an_image_comes_from_an_oci_layout(engine: Engine, context: Path, layout: Path) -> None:
    text = "FROM base\nCOPY --from=base /file /two\n"
    value = f"oci-layout://{layout}:v1"
    with pytest.raises(DockersimError, match="No such image"):
        engine.plan(context, text=text, build_contexts={"base": value}).finish()
    build = _build(engine, context, text, base=value)
    assert _paths(build) == ["file", "two"]
    plan = engine.plan(context, text=text, build_contexts={"base": value})
    plan.finish()
    assert [step.cached for step in plan.steps] == [None, True]
    assert build.plan is not None and build.plan.steps[0].vertex == "[context base] OCI load from client"


def test_a_layout_that_lies_is_refused(engine: Engine, context: Path, layout: Path) -> None:
    with pytest.raises(ImageError, match=r'oci-layout reference ".*:v2" could not be resolved'):
        _build(engine, context, "FROM base\n", base=f"oci-layout://{layout}:v2")
    with pytest.raises(ImageError, match="oci-layout cannot be read: No such file"):
        _build(engine, context, "FROM base\n", base=f"oci-layout://{layout}/nope")
    for blob in (layout / "blobs/sha256").iterdir():
        blob.chmod(0o644)
        blob.write_bytes(blob.read_bytes() + b" ")
    with pytest.raises(DockersimError, match="is not what its name says"):
        _build(engine, context, "FROM base\n", base=f"oci-layout://{layout}:v1")


def test_a_layout_that_would_never_end_is_refused(engine: Engine, context: Path, layout: Path) -> None:
    largest = max((layout / "blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    largest.unlink()
    largest.symlink_to("/dev/zero")
    with pytest.raises(ImageError, match="is no regular file"):
        _build(engine, context, "FROM base\n", base=f"oci-layout://{layout}:v1")
    largest.unlink()
    largest.touch()
    os.truncate(largest, 1 << 40)
    with pytest.raises(DockersimError, match="bytes it says"):
        _build(engine, context, "FROM base\n", base=f"oci-layout://{layout}:v1")
    (layout / "oci-layout").unlink()
    os.mkfifo(layout / "oci-layout")
    with pytest.raises(ImageError, match="is no regular file"):
        _build(engine, context, "FROM base\n", base=f"oci-layout://{layout}:v1")
    assert list((engine.root / "ingest").iterdir()) == []


@needs_git
def test_a_repository_is_a_named_context(engine: Engine, context: Path, server: GitServer) -> None:
    repository = server.repository("lib")
    repository.commit(code="code\n", sub__x="x\n")
    text = "FROM scratch\nCOPY --from=lib / /lib/\n"
    assert _paths(_build(engine, context, text, lib=repository.url), "/lib") == ["lib/code", "lib/sub", "lib/sub/x"]
    assert _paths(_build(engine, context, text, lib=f"{repository.url}#main:sub"), "/lib") == ["lib/x"]
    asked = len(server.asked)
    plan = engine.plan(context, text=text, build_contexts={"lib": repository.url})
    plan.finish()
    assert plan.step is not None and plan.step.cached and len(server.asked) == asked


def test_a_download_is_one_file_called_context(engine: Engine, context: Path) -> None:
    """As in BuildKit, where a named context at an address is not unpacked."""
    with serving({"/a.tar": b"content"}) as site:
        build = _build(engine, context, "FROM scratch\nCOPY --from=a / /\n", a=f"{site.url}/a.tar")
    assert _paths(build) == ["context"]


def test_what_is_not_used_is_not_fetched(engine: Engine, context: Path) -> None:
    _build(engine, context, "FROM scratch\nCOPY app.py /\n", unused="http://127.0.0.1:1/x.git")


def test_a_trace_tells_of_contexts_and_can_be_replayed(engine: Engine, context: Path, folder: Path) -> None:
    build = _build(engine, context, "FROM src\nCOPY --from=src file /two\n", src=folder)
    document = engine.trace(build)
    assert document["options"]["contexts"] == {"src": str(folder)}
    again = replay(document)
    again.finish()
    assert [step.event.layers for step in again.steps] == [step.event.layers for step in build.steps]


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("src", "{tmp}/nope", ContextError, "failed to get build context src: stat {tmp}/nope: no such file or"),
        ("src", "{tmp}/named/file", ContextError, "failed to get build context path {tmp}/named/file: not a directory"),
        ("UPPER", "{tmp}", ContextError, "invalid context name UPPER"),
        ("src", "docker-image://UPPER", ContextError, "invalid context value docker-image://UPPER for src"),
        ("src", "ext::sh -c id", ContextError, "failed to get build context src: stat ext::sh -c id"),
        ("src", "file:///etc", ContextError, "failed to get build context src: stat file:///etc"),
    ],
)
def test_what_is_no_context_is_told_before_anything_runs(
    engine: Engine, context: Path, folder: Path, name: str, value: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        _build(engine, context, "FROM scratch\n", **{name: value.format(tmp=folder.parent)})
    assert said.format(tmp=folder.parent) in str(caught.value) and "\n" not in str(caught.value)


def test_a_link_in_a_named_context_leads_nowhere_out_of_it(engine: Engine, context: Path, folder: Path) -> None:
    (folder / "out").symlink_to("/etc")
    with pytest.raises(ContextError, match='"/out/passwd": not found'):
        _build(engine, context, "FROM scratch\nCOPY --from=src out/passwd /\n", src=folder)
