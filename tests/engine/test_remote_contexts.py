"""Build contexts that have to be fetched: Git repositories, archives and Dockerfiles, from servers on loopback."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator

import pytest

from dockersim import Engine
from dockersim.errors import BuildError, ContextError, DockerfileError
from dockersim.solver import Event, SourceAwaited, Verdict
from dockersim.views import PlainProgress
from tests.engine.git_server import COMMITTED, GitServer, Repository, needs_git
from tests.engine.web import Site, serving

TEXT = "FROM scratch\nCOPY . /all/\n"


@pytest.fixture
def repository(server: GitServer) -> Repository:
    """A repository that is a context, and has another one in a folder."""
    made = server.repository("app")
    ignore = {".dockerignore": "readme\n"}
    made.commit(Dockerfile=TEXT, readme="one\n", sub__Dockerfile="FROM scratch\nCOPY x /\n", sub__x="x\n", **ignore)
    return made


@pytest.fixture
def site() -> Iterator[Site]:
    """Serve a Dockerfile and an archive."""
    with serving({"/Dockerfile": TEXT.encode(), "/app.tgz": _archive()}) as site:
        yield site


def _archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in {"./Dockerfile": TEXT.encode(), "./x": b"x", "./.dockerignore": b"x\n"}.items():
            member = tarfile.TarInfo(name)
            member.size, member.uid = len(data), 7
            tar.addfile(member, io.BytesIO(data))
        for name, link in {"out": "/etc", "inside": "Dockerfile", "Dockerfile.evil": "/etc/passwd"}.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, link
            tar.addfile(member)
    return gzip.compress(out.getvalue(), mtime=0)


@needs_git
def test_a_repository_is_a_context(engine: Engine, repository: Repository) -> None:
    """As in BuildKit .dockerignore does not count in what was fetched, and .git is left out."""
    events: list[Event] = []
    build = engine.build(repository.url, on_event=events.append)
    build.finish()
    assert build.step is not None
    assert [one.path for one in build.step.files.ls("/all")] == [
        "all/.dockerignore", "all/Dockerfile", "all/readme", "all/sub",
    ]  # fmt: skip
    commit = repository.git("rev-parse", "HEAD")
    progress = PlainProgress()
    lines = [line for event in events for line in progress.feed(event)]
    assert lines[:2] == [f"#1 [internal] load git source {repository.url}", f"#1 {commit}\trefs/heads/main"]


@needs_git
def test_ref_folder_and_file_can_be_chosen(engine: Engine, repository: Repository) -> None:
    build = engine.build(f"{repository.url}#main:sub")
    build.finish()
    assert build.step is not None and build.step.files.text("/x") == "x\n"
    build = engine.build(repository.url, "sub/Dockerfile", text=None, build_args={})
    with pytest.raises(ContextError, match='"/x": not found'):
        build.finish()
    build = engine.build(repository.url, text="FROM scratch\nCOPY sub/x /y\n")
    build.finish()
    assert build.step is not None and build.step.files.exists("/y")


@needs_git
def test_copies_are_keyed_by_content(engine: Engine, repository: Repository) -> None:
    text = "FROM scratch\nCOPY sub /sub\n"
    engine.build(repository.url, text=text).finish()
    repository.commit(readme="two\n")
    build = engine.build(repository.url, text=text)
    build.finish()
    assert build.step is not None and build.step.cache.verdict is Verdict.HIT


@needs_git
def test_git_is_kept_and_dated_as_buildkit_does(engine: Engine, repository: Repository) -> None:
    arguments = {"BUILDKIT_CONTEXT_KEEP_GIT_DIR": "1"}
    build = engine.build(repository.url, build_args=arguments)
    build.finish()
    assert build.step is not None and build.step.files.exists("/all/.git/HEAD")
    build = engine.build(repository.url, build_args={"SOURCE_DATE_EPOCH": "1800000000"})
    build.finish()
    assert build.step is not None
    assert build.step.files.stat("/all/readme").mtime_ns == COMMITTED * 10**9


@needs_git
def test_a_prediction_fetches_nothing(engine: Engine, server: GitServer, repository: Repository) -> None:
    with pytest.raises(ContextError, match="is not here, and a prediction fetches nothing; build it once"):
        engine.plan(repository.url)
    assert server.asked == []
    engine.build(repository.url).finish()
    asked = len(server.asked)
    plan = engine.plan(repository.url)
    plan.finish()
    assert plan.step is not None and plan.step.cache.verdict is Verdict.HIT and len(server.asked) == asked


def test_an_archive_is_a_context(engine: Engine, site: Site) -> None:
    events: list[Event] = []
    build = engine.build(f"{site.url}/app.tgz", on_event=events.append)
    build.finish()
    assert build.step is not None
    assert build.step.files.read("/all/x") == b"x" and build.step.files.stat("/all/x").uid == 7
    assert events[0] == SourceAwaited("[internal] load remote build context")
    engine.plan(f"{site.url}/app.tgz").finish()
    assert site.answers == [("/app.tgz", 200)]


def test_a_dockerfile_is_a_context_of_one_file(engine: Engine, site: Site) -> None:
    build = engine.build(f"{site.url}/Dockerfile")
    build.finish()
    assert build.step is not None and build.file == "context"
    assert [one.path for one in build.step.files.ls("/all")] == ["all/context"]


def test_bind_mounts_see_a_fetched_context(engine: Engine, site: Site) -> None:
    text = "FROM busybox\nRUN --mount=target=/src cp /src/x /got\n"
    build = engine.build(f"{site.url}/app.tgz", text=text)
    build.finish()
    assert build.step is not None and build.step.files.read("/got") == b"x"


def test_a_dockerfile_that_links_out_of_its_context_is_not_read(engine: Engine, site: Site) -> None:
    for name in ("Dockerfile.evil", "out/passwd", "../../etc/passwd"):
        with pytest.raises(DockerfileError, match=f"failed to read dockerfile: open {name}: no such file"):
            engine.build(f"{site.url}/app.tgz", name)
    engine.build(f"{site.url}/app.tgz", "inside").finish()


@needs_git
def test_a_dockerfile_of_a_repository_that_links_out_is_not_read(engine: Engine, repository: Repository) -> None:
    (repository.folder / "evil").symlink_to("/etc/passwd")
    repository.commit()
    with pytest.raises(DockerfileError, match="failed to read dockerfile: open evil: no such file"):
        engine.build(repository.url, "evil")


@pytest.mark.parametrize(
    ("context", "error", "said"),
    [
        ("{url}/none", BuildError, "invalid response status 404"),
        ("http://127.0.0.1:1/x.git", BuildError, "failed to fetch remote http://127.0.0.1:1/x.git"),
        ("https://host/x.git?nope=1", DockerfileError, 'unexpected query "nope"'),
        ("file:///etc", ContextError, 'path "file:/etc" not found'),
        ("ext::sh -c touch% x", ContextError, "not found"),
        ("https://host/x.git#--upload-pack=id", DockerfileError, "invalid git ref"),
    ],
)
def test_what_cannot_be_fetched_is_told_in_one_line(
    engine: Engine, site: Site, context: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        engine.build(context.format(url=site.url))
    assert said in str(caught.value) and "\n" not in str(caught.value)
