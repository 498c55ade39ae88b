"""ADD of addresses, from a server on loopback."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockersim import Engine
from dockersim.errors import BuildError, DockerfileError
from dockersim.filesystem import Entry
from dockersim.solver import Verdict
from tests.engine.web import Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    """Serve a few files."""
    with serving({"/foo": b"content1", "/": b"content2", "/a.tar.gz": _archive()}) as site:
        yield site


def _archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("inside")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"here"))
    return gzip.compress(out.getvalue(), mtime=0)


def _stat(engine: Engine, context: Path, text: str, path: str) -> Entry:
    build = engine.build(context, text=f"FROM scratch\n{text}")
    build.finish()
    assert build.step is not None
    return build.step.files.stat(path)


def test_a_download_is_a_file_of_root_with_the_servers_time(engine: Engine, context: Path, site: Site) -> None:
    """BuildKit: source/http; recorded in builds-buildkit.json as bk/add-url."""
    entry = _stat(engine, context, f"ADD {site.url}/foo {site.url}/ /dest/", "/dest/foo")
    assert (entry.mode, entry.uid, entry.gid, entry.mtime_ns) == (0o600, 0, 0, 1_700_000_000 * 10**9)
    assert _stat(engine, context, f"ADD {site.url}/ /dest/", "/dest/__unnamed__").size == 8
    assert _stat(engine, context, f"ADD --chmod=755 {site.url}/moved /x", "/x").mode == 0o755


def test_only_what_has_changed_is_sent_again(engine: Engine, context: Path, site: Site) -> None:
    text = f"FROM scratch\nADD {site.url}/foo /foo"
    verdicts, because = [], ""
    for content in (b"content1", b"content1", b"changed!"):
        site.files["/foo"] = content
        build = engine.build(context, text=text)
        build.finish()
        assert build.step is not None and build.step.files.read("/foo") == content
        verdicts.append(build.step.cache.verdict)
        because = build.step.cache.because
    assert verdicts == [Verdict.MISS, Verdict.HIT, Verdict.MISS]
    assert because.startswith("foo changed (sha256 ")
    assert site.answers == [("/foo", 200), ("/foo", 304), ("/foo", 200)]


def test_a_prediction_asks_no_server(engine: Engine, context: Path, site: Site) -> None:
    text = f"FROM scratch\nADD {site.url}/foo /foo"

    def predicted() -> Verdict:
        plan = engine.plan(context, text=text)
        plan.finish()
        assert plan.step is not None
        return plan.step.cache.verdict

    assert predicted() is Verdict.UNKNOWN and site.answers == []
    engine.build(context, text=text).finish()
    assert predicted() is Verdict.HIT and len(site.answers) == 1


def test_archives_are_unpacked_only_if_asked(engine: Engine, context: Path, site: Site) -> None:
    assert _stat(engine, context, f"ADD {site.url}/a.tar.gz /d/", "/d/a.tar.gz").mode == 0o600
    assert _stat(engine, context, f"ADD --unpack=true {site.url}/a.tar.gz /d/", "/d/inside").size == 4


def test_a_checksum_saves_asking_and_is_checked(engine: Engine, context: Path, site: Site) -> None:
    good = "sha256:" + hashlib.sha256(b"content1").hexdigest()
    text = f"FROM scratch\nADD --checksum={good} {site.url}/foo /foo"
    engine.build(context, text=text).finish()
    engine.build(context, text=text).finish()
    assert len(site.answers) == 1
    for algorithm in ("sha384", "sha512"):
        named = f"{algorithm}:{hashlib.new(algorithm, b'content1').hexdigest()}"
        assert _stat(engine, context, f"ADD --checksum={named} {site.url}/foo /{algorithm}", f"/{algorithm}").size == 8
    bad = good[:-1] + ("0" if good[-1] != "0" else "1")
    with pytest.raises(BuildError, match=f"Dockerfile:2: digest mismatch {good}: {bad}"):
        engine.build(context, text=text.replace(good, bad)).finish()


@pytest.mark.parametrize(
    ("flags", "source", "error", "said"),
    [
        ("", "{url}/none", BuildError, "invalid response status 404; that is what {url}/none answers"),
        ("", "http://127.0.0.1:1/x", BuildError, "http://127.0.0.1:1/x cannot be downloaded: "),
        ("", "http://[x/y", BuildError, "cannot be downloaded: "),
        (f"--checksum=sha256:{'0' * 64}", "http://[x/y", BuildError, "cannot be downloaded: "),
        ("--checksum=nonsense", "{url}/foo", DockerfileError, "invalid checksum digest format"),
        ("--checksum=md5:00", "{url}/foo", DockerfileError, "unsupported digest algorithm"),
        ("--checksum=sha256:00", "{url}/foo", DockerfileError, "invalid checksum digest length"),
        (f"--checksum=sha256:{'0' * 64}", "app.py", DockerfileError, "checksum requires HTTP(S) or Git sources"),
        (f"--checksum=sha256:{'0' * 64}", "{url}/foo {url}/", DockerfileError, "can't be specified for multiple"),
    ],
)
def test_what_cannot_be_downloaded_is_told_in_one_line(
    engine: Engine, context: Path, site: Site, flags: str, source: str, error: type[Exception], said: str
) -> None:
    text = f"FROM scratch\nADD {flags} {source.format(url=site.url)} /x/"
    with pytest.raises(error) as caught:
        engine.build(context, text=text).finish()
    assert said.format(url=site.url) in str(caught.value) and str(caught.value).startswith("Dockerfile:2: ")
    assert "\n" not in str(caught.value)


def test_no_password_gets_into_a_note_or_a_message(engine: Engine, context: Path, site: Site) -> None:
    """The note still serves: the same address is asked again and answers "not modified"."""
    secret = site.url.replace("://", "://me:hunter2@")
    for _ in range(2):
        engine.build(context, text=f"FROM scratch\nADD {secret}/foo /foo").finish()
    assert site.answers == [("/foo", 200), ("/foo", 304)]
    engine.build(context, text=f"FROM scratch\nADD {secret.replace('hunter2', 'other')}/foo /foo").finish()
    assert site.answers[2:] == [("/foo", 200)]  # another password may show another file
    noted = [*(engine.root / "downloads").iterdir()]
    assert len(noted) == 2 and all(b"xxxxx@127.0.0.1" in path.read_bytes() for path in noted)
    assert not [path for path in noted if b"hunter2" in path.read_bytes()]


@pytest.mark.parametrize(
    ("flags", "address"),
    [
        ("", "http://me:hunter2@127.0.0.1:1/x"),
        ("", "http://me:hunter2@[x/y"),
        ("", "{url}/none"),
        (f"--checksum=sha256:{'0' * 64}", "{url}/foo"),
    ],
    ids=["no server", "no address", "no such file", "another file"],
)
def test_no_password_is_told_where_a_download_fails(
    engine: Engine, context: Path, site: Site, flags: str, address: str
) -> None:
    source = address.format(url=site.url.replace("://", "://me:hunter2@"))
    with pytest.raises(BuildError) as caught:
        engine.build(context, text=f"FROM scratch\nADD {flags} {source} /x").finish()
    assert "hunter2" not in str(caught.value) and "http://xxxxx@" in str(caught.value)
