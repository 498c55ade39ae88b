"""ADD of Git repositories, from a server on loopback."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from dockersim import Engine
from dockersim.engine import Build
from dockersim.engine.fetching import Fetching
from dockersim.engine.git import Git, GitFailed
from dockersim.errors import BuildError, Cancelled, DockerfileError, DockersimError
from dockersim.filesystem import Entry
from dockersim.solver import Verdict
from tests.engine.git_server import COMMITTED, GitServer, Repository, needs_git
from tests.engine.web import listening

pytestmark = needs_git


@pytest.fixture
def repository(server: GitServer) -> Repository:
    """A repository with a few files, a branch, a tag, an executable and a link."""
    made = server.repository("app")
    made.commit(readme="one\n", docs__page="page\n")
    made.git("tag", "--annotate", "--message", "first", "v1")
    (made.folder / "run").write_text("#!/bin/sh\n")
    (made.folder / "run").chmod(0o755)
    (made.folder / "link").symlink_to("readme")
    made.commit(readme="two\n")
    made.git("branch", "next")
    return made


def _add(engine: Engine, context: Path, words: str, before: str = "FROM scratch") -> Build:
    build = engine.build(context, text=f"{before}\nADD {words} /src\n")
    build.finish()
    assert build.step is not None
    return build


def _entry(build: Build, path: str) -> Entry:
    """Give what stands at a path itself, be it a link."""
    assert build.step is not None
    node = build.step.files.tree.get(path.strip("/"))
    assert node is not None
    return node.entry


def _with_submodule(server: GitServer, repository: Repository) -> None:
    """Give a repository a submodule, whose address is relative to where it is cloned from."""
    server.repository("library").commit(code="code\n")
    repository.git("submodule", "--quiet", "add", str(server.folder / "library"), "lib")
    repository.git("config", "--file", ".gitmodules", "submodule.lib.url", "../library.git")
    repository.commit()


def _files(build: Build) -> dict[str, str]:
    assert build.step is not None
    found = build.step.files.tree.walk("src")
    return {
        node.entry.path: build.step.files.text(f"/{node.entry.path}")
        for node in found
        if node.entry.kind.value == "file"
    }


def test_the_files_of_the_default_branch_are_added(engine: Engine, context: Path, repository: Repository) -> None:
    build = _add(engine, context, repository.url)
    assert _files(build) == {"src/readme": "two\n", "src/docs/page": "page\n", "src/run": "#!/bin/sh\n"}
    assert build.step is not None
    entries = {name: build.step.files.stat(f"/src/{name}") for name in ("readme", "run", "docs")}
    assert [(one.mode, one.uid, one.gid) for one in entries.values()] == [(0o644, 0, 0), (0o755, 0, 0), (0o755, 0, 0)]
    assert _entry(build, "/src/link").link == "readme"
    assert build.finished is not None and build.finished.config is not None
    assert build.finished.config.history[-1].created_by == f"ADD {repository.url} /src # buildkit"


def test_modes_do_not_depend_on_the_learners_umask(engine: Engine, context: Path, repository: Repository) -> None:
    before = os.umask(0o077)
    try:
        build = _add(engine, context, repository.url)
    finally:
        os.umask(before)
    assert build.step is not None
    assert build.step.files.stat("/src/readme").mode == 0o644
    assert build.step.files.stat("/src/docs").mode == 0o755


@pytest.mark.parametrize(
    ("asked", "readme"),
    [
        ("#v1", "one\n"),
        ("#next", "two\n"),
        ("?ref=refs/tags/v1", "one\n"),
        ("?tag=v1", "one\n"),
        ("?branch=next", "two\n"),
        ("#{commit}", "one\n"),
        ("?fetch-by-commit&checksum={commit}", "one\n"),
        ("?fetch-by-commit&checksum={commit}#any", "one\n"),
    ],
)
def test_a_ref_is_a_branch_a_tag_or_a_commit(
    engine: Engine, context: Path, repository: Repository, asked: str, readme: str
) -> None:
    commit = repository.git("rev-parse", "v1^{commit}")
    assert _files(_add(engine, context, repository.url + asked.format(commit=commit)))["src/readme"] == readme


def test_a_branch_goes_before_a_tag_of_the_same_name(engine: Engine, context: Path, repository: Repository) -> None:
    repository.git("tag", "next", "v1^{commit}")
    assert _files(_add(engine, context, f"{repository.url}#next"))["src/readme"] == "two\n"


def test_a_subdir_is_all_that_is_added(engine: Engine, context: Path, repository: Repository) -> None:
    for asked in ("#:docs", "?subdir=/docs", "#main:/docs/../../docs/."):
        assert _files(_add(engine, context, repository.url + asked)) == {"src/page": "page\n"}


def test_the_commit_is_the_key(engine: Engine, context: Path, server: GitServer, repository: Repository) -> None:
    """BuildKit: source/git, ``CacheKey``. The server is asked each time, the files are fetched once."""
    assert _verdict(_add(engine, context, repository.url)) is Verdict.MISS
    fetched = _fetches(server)
    assert _verdict(_add(engine, context, repository.url)) is Verdict.HIT
    assert _verdict(_add(engine, context, f"{repository.url}#next")) is Verdict.HIT
    assert _fetches(server) == fetched and server.asked.count("/app.git/info/refs") > 2
    assert _verdict(_add(engine, context, f"--keep-git-dir=true {repository.url}")) is Verdict.MISS
    assert _verdict(_add(engine, context, f"{repository.url}#:docs")) is Verdict.MISS
    checksum = repository.git("rev-parse", "HEAD")
    assert _verdict(_add(engine, context, f"--checksum={checksum} {repository.url}")) is Verdict.HIT
    old = checksum[:7]
    new = repository.commit(readme="three\n")[:7]
    build = _add(engine, context, repository.url)
    assert build.step is not None
    assert build.step.cache.because == f"the Git repository is at another commit ({old} → {new})"


def _fetches(server: GitServer) -> int:
    """Count the calls that ask for more than refs."""
    return server.asks.count("fetch")


def _verdict(build: Build) -> Verdict:
    assert build.step is not None
    return build.step.cache.verdict


def test_a_tag_counts_as_its_commit_unless_git_is_kept(engine: Engine, context: Path, repository: Repository) -> None:
    commit = repository.git("rev-parse", "v1^{commit}")
    assert _verdict(_add(engine, context, f"{repository.url}#v1")) is Verdict.MISS
    assert _verdict(_add(engine, context, f"{repository.url}#{commit}")) is Verdict.HIT
    assert _verdict(_add(engine, context, f"--keep-git-dir {repository.url}#v1")) is Verdict.MISS
    assert _verdict(_add(engine, context, f"--keep-git-dir {repository.url}#{commit}")) is Verdict.MISS


def test_a_prediction_asks_no_server_and_writes_nothing(
    engine: Engine, context: Path, server: GitServer, repository: Repository
) -> None:
    text = f"FROM scratch\nADD {repository.url} /src\n"

    def predicted() -> Verdict:
        plan = engine.plan(context, text=text)
        plan.finish()
        return _verdict(plan)

    assert predicted() is Verdict.UNKNOWN
    assert server.asked == [] and not (engine.root / "repositories").exists()
    engine.build(context, text=text).finish()
    asked = len(server.asked)
    assert predicted() is Verdict.HIT and len(server.asked) == asked
    repository.commit(readme="three\n")
    assert predicted() is Verdict.HIT  # as far as is known here


def test_a_commit_in_full_is_known_without_asking(engine: Engine, context: Path, repository: Repository) -> None:
    commit = repository.git("rev-parse", "HEAD")
    plan = engine.plan(context, text=f"FROM scratch\nADD {repository.url}#{commit} /src\n")
    plan.finish()
    assert _verdict(plan) is Verdict.MISS


def test_the_git_dir_is_kept_if_asked(engine: Engine, context: Path, repository: Repository, tmp_path: Path) -> None:
    build = _add(engine, context, f"--keep-git-dir=true {repository.url}#next")
    assert build.step is not None
    files = build.step.files
    assert files.text("/src/.git/refs/heads/next").strip() == repository.git("rev-parse", "next")
    assert f"url = {repository.url}" in files.text("/src/.git/config")
    assert not files.exists("/src/.git/FETCH_HEAD") and not files.exists("/src/.git/hooks")
    assert str(tmp_path) not in files.text("/src/.git/config")
    assert not _add(engine, context, f"--keep-git-dir=true {repository.url}#next:docs").step.files.exists("/src/.git")  # type: ignore[union-attr]
    tagged = _add(engine, context, f"{repository.url}?keep-git-dir=1&tag=v1")
    assert tagged.step is not None
    assert tagged.step.files.text("/src/.git/refs/tags/v1").strip() == repository.git("rev-parse", "v1")


def test_no_password_gets_into_the_image_or_a_message(
    engine: Engine, context: Path, server: GitServer, repository: Repository
) -> None:
    _with_submodule(server, repository)
    secret = repository.url.replace("://", "://me:hunter2@")
    kept = _files(_add(engine, context, f"--keep-git-dir {secret}"))
    assert "xxxxx@127.0.0.1" in kept["src/.git/config"] and "src/.git/modules/lib/config" in kept
    assert not [path for path, text in kept.items() if "hunter2" in text]
    noted = [path for path in (engine.root / "repositories").rglob("*") if path.is_file()]
    assert noted and not [path for path in noted if b"hunter2" in path.read_bytes()]
    with pytest.raises(BuildError) as caught:
        _add(engine, context, f"{secret.replace('app.git', 'none.git')}")
    assert "hunter2" not in str(caught.value) and "xxxxx@127.0.0.1" in str(caught.value)


def test_times_are_the_checkouts_or_the_commits(engine: Engine, context: Path, repository: Repository) -> None:
    def mtime(build: Build, path: str) -> int:
        assert build.step is not None
        return _entry(build, path).mtime_ns // 10**9

    assert mtime(_add(engine, context, repository.url), "/src/readme") > COMMITTED
    dated = _add(engine, context, f"{repository.url}?mtime=commit")
    assert [mtime(dated, f"/src/{name}") for name in ("readme", "docs", "docs/page", "link")] == [COMMITTED] * 4


def test_with_source_date_epoch_the_image_is_the_same_everywhere(
    make_engine: object, context: Path, repository: Repository
) -> None:
    manifests = set()
    for name in ("one", "two"):
        engine = make_engine(name)  # type: ignore[operator]
        arguments = {"SOURCE_DATE_EPOCH": str(COMMITTED + 5)}
        finished = engine.build(
            context, text=f"FROM scratch\nADD {repository.url} /src\n", build_args=arguments
        ).finish()
        manifests.add(finished.image.manifest)
    assert len(manifests) == 1


def test_a_server_that_gives_no_single_commits_is_asked_for_all(
    engine: Engine, context: Path, server: GitServer, repository: Repository
) -> None:
    """A web server that knows nothing of git: what the repository's files say is all there is ("dumb http")."""
    repository.git("update-server-info")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(server.folder))
    with listening(handler) as url:
        build = _add(engine, context, f"--keep-git-dir {url}/app.git#v1")
    assert _files(build)["src/readme"] == "one\n"
    assert _files(build)["src/.git/refs/tags/v1"].strip() == repository.git("rev-parse", "v1")


def test_a_repository_may_name_its_commits_with_sha256(engine: Engine, context: Path, server: GitServer) -> None:
    made = server.repository("long", "--object-format=sha256")
    made.commit(readme="long\n")
    build = _add(engine, context, f"--keep-git-dir {made.url}")
    assert _files(build)["src/readme"] == "long\n"
    assert len(_files(build)["src/.git/refs/heads/main"].strip()) == 64


def test_submodules_come_along(engine: Engine, context: Path, server: GitServer, repository: Repository) -> None:
    _with_submodule(server, repository)
    files = _files(_add(engine, context, repository.url))
    assert files["src/lib/code"] == "code\n" and "src/lib/.git" not in files
    assert "src/lib/code" not in _files(_add(engine, context, f"{repository.url}?submodules=false"))


def test_flags_of_add_count(engine: Engine, context: Path, repository: Repository) -> None:
    build = _add(engine, context, f"--chown=5:6 --chmod=700 --exclude=docs --link {repository.url}")
    assert build.step is not None
    one = build.step.files.stat("/src/readme")
    assert (one.mode, one.uid, one.gid) == (0o700, 5, 6) and not build.step.files.exists("/src/docs")


def test_two_repositories_and_a_file_go_into_one_directory(
    engine: Engine, context: Path, server: GitServer, repository: Repository
) -> None:
    server.repository("other").commit(more="more\n")
    build = engine.build(context, text=f"FROM scratch\nADD {repository.url} {server.url}/other.git app.py /src/\n")
    build.finish()
    assert {"src/readme", "src/more", "src/app.py"} <= set(_files(build))


# ---------------------------------------------------------------- what is refused

BAD = {
    "no repository": ("{url}/none.git", BuildError, "failed to fetch remote {url}/none.git: fatal: "),
    "no server": ("http://127.0.0.1:1/x.git", BuildError, "failed to fetch remote http://127.0.0.1:1/x.git: fatal: "),
    "no ref": ("{url}/app.git#nope", BuildError, "repository does not contain ref nope"),
    "no commit": (f"{{url}}/app.git#{'0' * 39}1", BuildError, "failed to fetch remote {url}/app.git: fatal: "),
    "no subdir": ("{url}/app.git#:nope", BuildError, "invalid subdir nope: nope is not a directory"),
    "subdir is a file": ("{url}/app.git#:readme", BuildError, "invalid subdir readme: readme is not a directory"),
    "another commit": ("--checksum=dead {url}/app.git", BuildError, "expected checksum to match dead, got "),
    "no hex": ("--checksum=nope {url}/app.git", DockerfileError, "invalid checksum nope for Git URL, expected hex"),
    "two checksums": ("--checksum=aa {url}/app.git?checksum=bb", DockerfileError, 'checksum mismatch "aa" != "bb"'),
    "two minds": ("--keep-git-dir {url}/app.git?keep-git-dir=0", DockerfileError, "inconsistent keep-git-dir"),
    "fetch by branch": ("{url}/app.git?fetch-by-commit#main", BuildError, "fetch-by-commit requires a full commit"),
    "unknown query": ("{url}/app.git?x=1", DockerfileError, 'unexpected query "x"'),
    "several sources": ("--checksum=aa {url}/app.git {url}/b.git", DockerfileError, "for multiple sources"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_added_is_told_in_one_line(
    engine: Engine, context: Path, server: GitServer, repository: Repository, name: str
) -> None:
    words, error, said = BAD[name]
    with pytest.raises(error) as caught:
        engine.build(context, text=f"FROM scratch\nADD {words.format(url=server.url)} /src/").finish()
    assert said.format(url=server.url) in str(caught.value) and str(caught.value).startswith("Dockerfile:2: ")
    assert "\n" not in str(caught.value)
    assert list((engine.root / "repositories" / "staging").glob("*")) == []


def test_copy_takes_no_repository(engine: Engine, context: Path) -> None:
    with pytest.raises(DockerfileError, match="source can't be a git ref for COPY"):
        engine.build(context, text="FROM scratch\nCOPY git@example.com:a/b /x").finish()


def test_without_git_it_says_what_to_install(tmp_path: Path, context: Path) -> None:
    engine = Engine(tmp_path / "root", environment={"PATH": str(tmp_path / "nothing")})
    with pytest.raises(
        BuildError, match=r"https://example\.com/x\.git cannot be fetched: there is no git here; install"
    ):
        engine.build(context, text="FROM scratch\nADD https://example.com/x.git /x").finish()


# ---------------------------------------------------------------- attacks


def test_a_subdir_that_is_a_link_leads_nowhere(engine: Engine, context: Path, repository: Repository) -> None:
    (repository.folder / "out").symlink_to("/etc")
    (repository.folder / "in").symlink_to("docs")
    repository.commit()
    for subdir in ("out", "in", "out/ssl"):
        with pytest.raises(BuildError, match="is not a directory"):
            _add(engine, context, f"{repository.url}#:{subdir}")


def test_a_link_to_outside_stays_a_link(engine: Engine, context: Path, repository: Repository) -> None:
    (repository.folder / "passwd").symlink_to("/etc/passwd")
    repository.commit()
    build = _add(engine, context, repository.url)
    assert _entry(build, "/src/passwd").link == "/etc/passwd"


@pytest.mark.parametrize("address", ["file://{folder}", "ext::sh -c touch% {mark}", "{folder}"])
def test_a_submodule_from_elsewhere_than_the_network_is_refused(
    engine: Engine, context: Path, server: GitServer, repository: Repository, tmp_path: Path, address: str
) -> None:
    secret, mark = server.repository("secret"), tmp_path / "mark"
    secret.commit(secret="secret\n")
    repository.git("submodule", "--quiet", "add", str(secret.folder), "lib")
    url = address.format(folder=secret.folder, mark=mark)
    repository.git("config", "--file", ".gitmodules", "submodule.lib.url", url)
    repository.commit()
    with pytest.raises(BuildError, match="failed to fetch remote"):
        _add(engine, context, repository.url)
    assert not mark.exists()


@pytest.mark.parametrize(
    "source", ["file://{folder}", "ext::sh -c touch% {mark}", "{folder}/.git", "--upload-pack={mark}"]
)
def test_nothing_but_the_network_is_a_repository(
    engine: Engine, context: Path, repository: Repository, tmp_path: Path, source: str
) -> None:
    mark = tmp_path / "mark"
    named = source.format(folder=repository.folder, mark=mark)
    with pytest.raises(DockersimError):
        engine.build(context, text=f'FROM scratch\nADD ["{named}", "/src/"]\n').finish()
    assert not mark.exists() and not (engine.root / "repositories").exists()


def test_a_ref_that_looks_like_a_flag_is_refused(
    engine: Engine, context: Path, repository: Repository, tmp_path: Path
) -> None:
    with pytest.raises(DockerfileError, match="invalid git ref"):
        _add(engine, context, f"{repository.url}#--upload-pack=touch${{IFS}}{tmp_path}/mark")
    assert not (tmp_path / "mark").exists()


def test_hooks_and_filters_of_the_learner_and_the_repository_are_not_run(
    engine: Engine, context: Path, repository: Repository, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    repository.commit(**{".gitattributes": "* filter=evil\n", "hooks__post-checkout": f"#!/bin/sh\ntouch {mark}\n"})
    (repository.folder / "hooks/post-checkout").chmod(0o755)
    repository.commit()
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[filter "evil"]\n\tsmudge = touch {mark}\n[core]\n\thooksPath = hooks\n')
    guarded = Engine(engine.root, environment={"HOME": str(home), "PATH": os.environ["PATH"]})
    assert _files(_add(guarded, context, repository.url))["src/readme"] == "two\n"
    assert not mark.exists()


@contextmanager
def _silent_server() -> Iterator[tuple[str, socket.socket]]:
    """Listen, and say nothing to whoever calls."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/app.git", listening


def _that_name(url: str) -> list[str]:
    """Find the processes on whose command line an address stands."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += [file.parent.name] if url.encode() in file.read_bytes() else []
    return found


def _soon_gone(url: str) -> bool:
    """Say whether no process names an address any more; who is killed may take a moment to be gone."""
    until = time.monotonic() + 5
    while (left := _that_name(url)) and time.monotonic() < until:
        time.sleep(0.02)
    return not left


needs_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system has no /proc")


@needs_proc
@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_no_git_is_left_that_waits_for_a_server(tmp_path: Path, word: signal.Signals) -> None:
    """Only dockersim is sent the signal, as a notebook or a supervisor does; a terminal sends it to git, too."""
    environment = {**os.environ, "DOCKERSIM_HOME": str(tmp_path / "root")}
    with _silent_server() as (url, listening):
        command = [sys.executable, "-m", "dockersim.cli", "build", url]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as build:
            caller, _ = listening.accept()
            with caller:
                assert len(_that_name(url)) >= 3  # dockersim, git, and git's helper, which is the one that has called
                build.send_signal(word)
                output, _ = build.communicate(timeout=30)
                ended = 130 if word is signal.SIGINT else -word
                assert build.returncode == ended and b"Traceback" not in output, output
                assert _soon_gone(url)


@needs_proc
def test_a_cancelled_fetch_ends_and_can_be_asked_for_again(
    engine: Engine, context: Path, repository: Repository
) -> None:
    with _silent_server() as (url, listening):
        text = f"FROM scratch\nADD {repository.url} /there\nADD {url} /src\n"
        build = engine.build(context, text=text)
        build.go_to(2)
        for _ in range(2):
            with ThreadPoolExecutor(1) as thread:
                taken = thread.submit(build.next)
                with listening.accept()[0]:
                    build.cancel()
                    with pytest.raises(Cancelled, match="stopped"):
                        taken.result(timeout=30)
            assert _soon_gone(url)
        assert [step.number for step in build.steps] == [1, 2] and build.error is None


def test_a_cancel_between_two_programs_of_a_fetch_ends_it() -> None:
    fetching = Fetching()

    def run() -> str:
        done = fetching.run(["sh", "-c", "echo $x; umask"], directory=None, variables={"x": "1"}, umask=0o27)
        return done.stdout

    fetching.begin()
    assert run() == "1\n0027\n"
    fetching.cancel()
    with pytest.raises(Cancelled):
        run()
    fetching.begin()
    assert run() == "1\n0027\n"


def test_ssh_is_told_each_option_once(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/words\n")
    program.chmod(0o755)
    git = Git({"PATH": f"{program.parent}:{os.environ['PATH']}"}, tmp_path / "known hosts", Fetching())
    with pytest.raises(GitFailed):
        git.ask("ssh://git@host/x.git", "ls-remote", "--", "ssh://git@host/x.git")
    options = [word for word in (tmp_path / "words").read_text().splitlines() if "=" in word]
    names = [option.partition("=")[0] for option in options]
    assert {"StrictHostKeyChecking=accept-new", f'UserKnownHostsFile="{tmp_path}/known hosts"'} <= set(options)
    assert len(names) == len(set(names))
