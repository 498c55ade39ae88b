"""Beyond one machine: another registry is the practice registry, and mirrors stand before Docker Hub."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from msgspec import Struct

from dockersim import Engine
from dockersim.errors import AccessDenied, ImageNotFound, RegistryError
from dockersim.oci import parse_reference
from dockersim.registry.server.service import make_app
from dockersim.solver import CacheMoved, Event, State
from tests.peers import needs
from tests.registry.certificates import make_certificates
from tests.registry.conftest import debian_registry
from tests.registry.servers import docker_registry, serving
from tests.registry.stranger import stranger

__all__ = ["debian_registry"]  # a fixture

ALICE = "alice:$2b$04$kYv0QtMZzGS8w182PDYLU.Wi5q28c0Wy1Jo9pJ/4TzamJcjU19Dta"
"""A line of ``htpasswd -B``: the password is wonderland."""

TEXT = "FROM scratch\nCOPY app.py /app/\n"
AGAIN = "FROM alice/app\nCOPY app.py /again/\n"


class Registry(Struct, frozen=True):
    """One that stands in: the setting that names it, and whether it wants a login."""

    setting: str
    host: str
    login: bool = False

    def engine(self, folder: Path, **more: str) -> Engine:
        return Engine(folder, environment={"DOCKERSIM_REGISTRY": self.setting, **more})


@contextmanager
def over_tls(folder: Path) -> Iterator[str]:
    """Serve Debian's registry over TLS to whoever knows alice's password; the authority is in ``ca.pem``."""
    ca, certificate, key = make_certificates(folder)
    (folder / "htpasswd").write_text(f"{ALICE}\n")
    more = (
        f"  tls: {{certificate: {certificate}, key: {key}}}\n"
        f"auth: {{htpasswd: {{realm: a class, path: {folder / 'htpasswd'}}}}}\n"
    )
    with docker_registry(folder, more, ca) as url:
        yield url


@pytest.fixture(params=["plain", "below a path", "over TLS, with a login", "another practice registry"])
def registry(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    match request.param:
        case "another practice registry":
            with serving(make_app(tmp_path / "theirs")) as address:
                yield Registry(address.registry, address.registry, login=True)
        case "over TLS, with a login":
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
            with over_tls(tmp_path) as url:
                yield Registry(url, url.removeprefix("https://"), login=True)
        case kind:
            host = str(request.getfixturevalue("debian_registry")).removeprefix("http://")
            yield Registry(f"{host}/class-{tmp_path.name[-1]}" if kind == "below a path" else host, host)


def build(engine: Engine, context: Path, text: str = TEXT, **options: object) -> tuple[object, list[Event]]:
    said: list[Event] = []
    built = engine.build(context, text=text, on_event=said.append, **options)  # type: ignore[arg-type]
    built.finish()
    return built, said


@needs("docker-registry", "openssl")
def test_it_is_pushed_to_built_from_and_holds_the_cache(registry: Registry, context: Path, tmp_path: Path) -> None:
    here, there, third = (registry.engine(tmp_path / name) for name in ("here", "there", "third"))
    if registry.login:
        for engine in (here, there, third):
            endpoint, _ = engine.shipping.login("", "alice", "wonderland")
            assert endpoint.credential_key == registry.host
    build(here, context, tags=["alice/app"], cache_to=["type=registry,ref=alice/app:cache,mode=max"])
    pushed = here.shipping.push("alice/app", lambda event: None)
    assert pushed.endpoint.is_practice and registry.host in pushed.endpoint.title
    assert not (here.root / "registry").exists()  # none of our own was started

    _, said = build(there, context, AGAIN)
    assert "came from the practice registry" in "".join(map(str, said))

    built, said = build(third, context, cache_from=["alice/app:cache"])
    assert [event.title for event in said if isinstance(event, CacheMoved)]
    assert built.steps[-1].event.state is State.CACHED  # type: ignore[attr-defined]
    for engine in (here, there, third):
        engine.close()


@needs("docker-registry", "openssl")
def test_a_login_of_docker_counts_and_a_wrong_one_is_one_line(
    tmp_path: Path, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with over_tls(tmp_path) as url:
        host = url.removeprefix("https://")
        auth = base64.b64encode(b"alice:wonderland").decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
        registry = Registry(url, host)
        engine = registry.engine(tmp_path / "here", DOCKER_CONFIG=str(tmp_path))
        build(engine, context, tags=["alice/app"])
        assert engine.shipping.push("alice/app", lambda event: None).digest
        assert engine.shipping.who() == "alice" and not (engine.root / "auth.json").exists()

        stranger = registry.engine(tmp_path / "there")
        with pytest.raises(AccessDenied, match="unauthorized: authentication required; log in with dockersim login"):
            stranger.shipping.pull("alice/app", lambda event: None)
        with pytest.raises(AccessDenied, match="unauthorized"):
            stranger.shipping.login("", "alice", "guess")


def test_one_that_is_down_is_told_and_docker_hub_is_asked(tmp_path: Path, context: Path) -> None:
    engine = Engine(tmp_path / "root", environment={"DOCKERSIM_REGISTRY": "127.0.0.1:9"})
    with pytest.raises(RegistryError, match=r"cannot reach the practice registry \(127.0.0.1:9\): connection refused"):
        engine.shipping.pull("alice/app", lambda event: None)
    with pytest.raises(ImageNotFound, match=r"the practice registry cannot be reached .*; Docker Hub"):
        build(engine, context, AGAIN)


def test_one_that_has_trouble_is_asked_once_a_build(tmp_path: Path, context: Path) -> None:
    with stranger(lambda ask: ask.say(500)) as (down, seen), serving(make_app(tmp_path / "theirs")) as mirror:
        there = Engine(tmp_path / "there", environment={"DOCKERSIM_REGISTRY": mirror.registry})
        for name in ("one", "two"):
            build(there, context, tags=[f"alice/{name}"])
            there.shipping.push(f"alice/{name}", lambda event: None)
        here = Engine(tmp_path / "here", environment={"DOCKERSIM_REGISTRY": down, "DOCKERSIM_MIRRORS": mirror.registry})
        _, said = build(here, context, "FROM alice/one AS one\nFROM alice/two\nCOPY --from=one /app /one\n")
        assert len(seen) == 1 and "the practice registry cannot be reached" in "".join(map(str, said))
        with pytest.raises(ImageNotFound, match="the practice registry cannot be reached"):
            build(here, context, "FROM alice/three\n")
        assert len(seen) == 2, "in the next build it is asked again: somebody may have set it right"


def test_a_build_does_not_wait_long_for_one_that_does_not_answer(tmp_path: Path, context: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, ExitStack() as stack:
        for _ in range(3):  # who comes when the queue is full hears nothing
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        here = Engine(tmp_path / "here", environment={"DOCKERSIM_REGISTRY": address})
        began = time.monotonic()
        with pytest.raises(RegistryError, match="timed out"):
            here.shipping.find(parse_reference("alice/app"), lambda event: None, practice=True)
        assert time.monotonic() - began < 9, "ten seconds are for a registry that somebody asks for"


@pytest.mark.peer
def test_a_mirror_is_asked_before_docker_hub_and_told_whose_it_is(
    tmp_path: Path, context: Path, debian_registry: str
) -> None:
    mirror = debian_registry.removeprefix("http://")
    here = Engine(tmp_path / "here", environment={"DOCKERSIM_REGISTRY": mirror})
    build(here, context, tags=["mirrored"])
    here.shipping.push("mirrored", lambda event: None)

    mirrors = f"127.0.0.1:9, {mirror}"
    there = Engine(tmp_path / "there", environment={"DOCKERSIM_HUB": "real", "DOCKERSIM_MIRRORS": mirrors})
    pulled = there.shipping.pull("mirrored", lambda event: None)
    assert pulled.endpoint.title == f"the mirror {mirror}"
    assert all(request.path.endswith("?ns=docker.io") for request in pulled.requests)
    with pytest.raises(RegistryError, match="Docker Hub"):
        there.shipping.pull("not-mirrored", lambda event: None)
    build(there, context, "FROM mirrored\nCOPY app.py /again/\n")
