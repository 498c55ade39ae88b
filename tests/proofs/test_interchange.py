"""Images go to the real tools and come back: docker load, skopeo from and to layouts, archives and the registry."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.peers import Docker, needs, run
from tests.proofs.installed import Installed, as_root, with_busybox
from tests.proofs.merged import differences, merged

FLASK_APP = Path(__file__).parents[2] / "lessons" / "flask-app"

DOCKERFILE = """\
FROM busybox
LABEL purpose=proof
ENV A=1
COPY . /srv
RUN echo "a line of output" > /made && rm /bin/vi
WORKDIR /srv
CMD ["cat", "/made"]
"""


@pytest.fixture
def built(place: Path) -> Installed:
    """A root with ``test/proof`` of six instructions."""
    ours = with_busybox(as_root(place), place)
    (place / "context").mkdir()
    (place / "context" / "Dockerfile").write_text(DOCKERFILE)
    (place / "context" / "note").write_text("hello\n")
    ours("build", "-t", "test/proof:1", place / "context")
    return ours


# ---------------------------------------------------------------- docker


def history(text: str) -> list[list[str]]:
    """Read the rows of ``docker history --format json`` of either program: CREATED BY and SIZE."""
    return [[row["CreatedBy"], row["Size"]] for row in map(json.loads, text.splitlines())]


def history_with(docker: Docker, name: str) -> list[list[str]]:
    """Ask docker for the same rows; clients of 2020 want a template where later ones have a word."""
    return history(docker("history", "--no-trunc", "--format", "{{json .}}", name))


@needs("dockerd", "docker")
def test_docker_loads_what_is_saved_and_shows_the_same_history(built: Installed, place: Path, docker: Docker) -> None:
    built("save", "-o", place / "saved.tar", "test/proof:1")
    assert "Loaded image: test/proof:1" in docker("load", "-i", place / "saved.tar")

    mine = history(built("history", "--no-trunc", "--format", "{{json .}}", "test/proof:1"))
    assert mine == history_with(docker, "test/proof:1")
    assert len(mine) == 7
    assert docker("inspect", "--format", "{{.Id}}", "test/proof:1") == built("inspect", "--format", "{{.Id}}",
                                                                             "test/proof:1")  # fmt: skip
    assert docker("run", "--rm", "--network=none", "test/proof:1") == "a line of output\n"


@needs("dockerd", "docker")
def test_what_docker_saves_is_loaded(built: Installed, place: Path, docker: Docker) -> None:
    built("save", "-o", place / "saved.tar", "test/proof:1")
    docker("load", "-i", place / "saved.tar")
    docker("save", "-o", place / "theirs.tar", "test/proof:1")
    other = as_root(place / "other")
    other("load", "-i", place / "theirs.tar")
    other("save", "-o", place / "again.tar", "test/proof:1")
    assert differences(merged(place / "again.tar"), merged(place / "saved.tar")) == []


@contextmanager
def container(docker: Docker, *arguments: str) -> Iterator[str]:
    """Run a container in the background; it is gone afterwards."""
    name = docker("run", "-d", *arguments).strip()
    try:
        yield name
    finally:
        docker("rm", "-f", name)


def page(url: str, seconds: float = 20.0) -> str:
    """Fetch a page from a server that may only be starting."""
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@needs("dockerd", "docker")
@pytest.mark.slow
def test_docker_runs_the_flask_image_and_it_serves_its_page(place: Path, docker: Docker) -> None:
    """This daemon has no bridge to publish ports on, so the container shares the host's network."""
    ours = as_root(place)
    ours("build", "-t", "my-flask-app", "-f", FLASK_APP / "Dockerfile.starter", FLASK_APP)
    ours("save", "-o", place / "flask.tar", "my-flask-app")
    docker("load", "-i", place / "flask.tar")
    assert history(ours("history", "--no-trunc", "--format", "{{json .}}", "my-flask-app")) == history_with(
        docker, "my-flask-app"
    )

    port = free_port()
    serve = f"import app; app.app.run(host='127.0.0.1', port={port})"
    with container(docker, "--network=host", "--entrypoint=python3", "my-flask-app", "-c", serve):
        assert page(f"http://127.0.0.1:{port}/") == "Hello from a container!\n"
    # And as the image itself says, on the port of its own network: asked from inside.
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:5000/').read().decode(), end='')"
    with container(docker, "--network=none", "my-flask-app") as name:
        assert _patiently(docker, "exec", name, "python3", "-c", ask) == "Hello from a container!\n"


def _patiently(docker: Docker, *arguments: str, seconds: float = 20.0) -> str:
    until = time.monotonic() + seconds
    while True:
        try:
            return docker(*arguments)
        except AssertionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


# ---------------------------------------------------------------- skopeo


def inspected(where: str, *flags: str) -> dict[str, object]:
    """Ask skopeo what an image is."""
    found: dict[str, object] = json.loads(run("skopeo", "inspect", *flags, where))
    return found


@needs("skopeo")
def test_skopeo_reads_the_root_as_a_layout(built: Installed, place: Path) -> None:
    seen = inspected(f"oci:{built.root}:test/proof:1")
    assert seen["Labels"] == {"purpose": "proof"} and seen["Architecture"]
    assert json.loads(run("skopeo", "inspect", "--config", f"oci:{built.root}:test/proof:1"))["config"]["Cmd"] == [
        "cat", "/made",
    ]  # fmt: skip
    run("skopeo", "copy", "--insecure-policy", f"oci:{built.root}:test/proof:1", f"docker-archive:{place}/out.tar:x:1")
    built("save", "-o", place / "saved.tar", "test/proof:1")
    assert differences(merged(place / "out.tar"), merged(place / "saved.tar")) == []


@needs("skopeo")
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_skopeo_reads_saved_archives(built: Installed, place: Path, kind: str) -> None:
    built("save", "-o", place / "saved.tar", "test/proof:1")
    if kind == "oci-archive":
        save_oci(built.root, place / "saved.oci.tar", "test/proof:1")
    archive = place / ("saved.oci.tar" if kind == "oci-archive" else "saved.tar")
    seen = inspected(f"{kind}:{archive}")
    run("skopeo", "copy", "--insecure-policy", f"{kind}:{archive}", f"docker-archive:{place}/out.tar:x:1")
    assert seen["Labels"] == {"purpose": "proof"}
    assert differences(merged(place / "out.tar"), merged(place / "saved.tar")) == []


def save_oci(root: Path, archive: Path, name: str) -> None:
    """Save an OCI archive; the command line, as docker's, only writes the other kind."""
    from dockersim import Engine
    from dockersim.images import save_oci as save

    with archive.open("wb") as out:
        save(Engine(root, environment={}).store.images, [name], out)


@contextmanager
def practice_registry(ours: Installed) -> Iterator[str]:
    """Have the practice registry running."""
    address = ours("registry", "serve", "--detach").strip().splitlines()[-1]
    try:
        yield address
    finally:
        ours("registry", "stop")


@needs("skopeo")
def test_skopeo_pulls_from_the_practice_registry_and_what_it_pushes_is_built_from(
    built: Installed, place: Path
) -> None:
    copy = ["skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"]
    with practice_registry(built) as address:
        assert re.fullmatch(r"127\.0\.0\.1:\d+", address)
        built("login", "-u", "test", "-p", "secret")
        built("push", "test/proof:1")
        run(*copy, f"docker://{address}/test/proof:1", f"docker-archive:{place}/out.tar:x:1")
        built("save", "-o", place / "saved.tar", "test/proof:1")
        assert differences(merged(place / "out.tar"), merged(place / "saved.tar")) == []

        run(*copy, "--dest-creds", "test:secret", f"docker-archive:{place}/saved.tar", f"docker://{address}/test/image")
        other = Installed(place / "second" / "root")
        (place / "context" / "Dockerfile").write_text(f"FROM {address}/test/image\nRUN cat /made && test -f note\n")
        assert "a line of output" in other("build", "-t", "derived", place / "context")


def test_a_layer_that_was_pushed_is_pushed_once(built: Installed) -> None:
    with practice_registry(built):
        built("login", "-u", "test", "-p", "secret")
        assert "Pushed" in built("push", "test/proof:1")
        again = built("push", "test/proof:1")
    assert "Layer already exists" in again and "Pushed" not in again


@needs("skopeo")
def test_skopeo_refuses_a_damaged_blob(built: Installed, place: Path) -> None:
    """The comparisons above can fail: a changed byte is noticed."""
    layer = str(inspected(f"oci:{built.root}:test/proof:1")["Layers"][-1])  # type: ignore[index]
    blob = built.root / "blobs" / "sha256" / layer.partition(":")[2]
    blob.chmod(0o644)
    blob.write_bytes(b"x" + blob.read_bytes()[1:])
    copy = ["skopeo", "copy", "--insecure-policy", f"oci:{built.root}:test/proof:1", f"dir:{place}/out"]
    assert subprocess.run(copy, capture_output=True, check=False).returncode != 0
