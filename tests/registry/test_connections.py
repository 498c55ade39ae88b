"""How a registry is reached: over TLS with an authority of one's own, through a proxy, never to a worse place."""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from certificates import make_certificates
from stranger import Stranger, stranger

from dockersim.errors import RegistryError
from dockersim.oci import Descriptor, parse_reference
from dockersim.registry import (
    Credentials,
    Endpoint,
    MemoryLog,
    RegistryClient,
    Settings,
    Unreachable,
    endpoint_for,
    endpoint_of,
    mirrors_of,
)
from tests.peers import needs

ALICE = Credentials("alice", "wonderland")
DIGEST = "sha256:" + "a" * 64


@contextmanager
def secure(folder: Path, script: Callable[[Stranger], None]) -> Iterator[tuple[str, Path]]:
    """Serve a script over TLS; give the address, and the file of the authority."""
    ca, certificate, key = make_certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with stranger(script, context) as (address, _):
        yield address, ca


def client_of(url: str, who: Credentials | None = ALICE) -> RegistryClient:
    return RegistryClient(
        endpoint_of("docker.io", Settings(stand_in=url)), who, MemoryLog(), pause=lambda seconds: None
    )


@needs("openssl")
def test_an_authority_of_ones_own_is_trusted_when_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with secure(tmp_path, lambda ask: ask.say(200, Docker_Content_Digest=DIGEST)) as (address, ca):
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with (
            client_of(f"https://{address}") as client,
            pytest.raises(Unreachable, match=r"no trusted connection.*SSL_CERT"),
        ):
            client.resolve("alice/app", "latest")
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        with client_of(f"https://{address}") as client:
            assert client.resolve("alice/app", "latest") == DIGEST


@needs("openssl")
@pytest.mark.parametrize("what", ["redirect", "upload", "token server"])
def test_nothing_leads_from_tls_to_a_place_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    def registry(ask: Stranger) -> None:
        place = f"http://{elsewhere}/x"
        if what == "token server":
            ask.say(401, WWW_Authenticate=f'Bearer realm="{place}"')
        elif ask.command == "POST" or what == "redirect":
            ask.say(202 if ask.command == "POST" else 307, Location=place)
        else:
            ask.say(404)

    with stranger(lambda ask: ask.say(200)) as (elsewhere, seen), secure(tmp_path, registry) as (address, ca):
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        with client_of(f"https://{address}") as client, pytest.raises(RegistryError, match=r"without TLS|not safe"):
            if what == "upload":
                list(client.upload_blob("alice/app", Descriptor("x/y", DIGEST, 1), io.BytesIO(b"1")))
            else:
                client.resolve("alice/app", "latest")
    assert seen == []


def test_another_port_is_another_place(tmp_path: Path) -> None:
    with stranger(lambda ask: ask.say(200, Docker_Content_Digest=DIGEST)) as (elsewhere, seen):

        def registry(ask: Stranger) -> None:
            if ask.headers["Authorization"] is None:
                ask.say(401, WWW_Authenticate='Basic realm="x"')
            else:
                ask.say(307, Location=f"http://{elsewhere}/v2/")

        with stranger(registry) as (address, _), client_of(address) as client:
            assert client.resolve("alice/app", "latest") == DIGEST
    assert "authorization" not in seen[0]


def test_a_proxy_is_asked_for_what_is_not_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with stranger(lambda ask: ask.say(200, Docker_Content_Digest=DIGEST)) as (proxy, seen):
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy}")
        monkeypatch.setenv("http_proxy", f"http://{proxy}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with client_of("http://registry.test") as client:
            assert client.resolve("alice/app", "latest") == DIGEST
        with (
            stranger(lambda ask: ask.say(404)) as (address, _),
            client_of(address) as client,
            pytest.raises(RegistryError),
        ):
            client.resolve("alice/app", "latest")
    assert [ask["path"] for ask in seen] == ["http://registry.test/v2/alice/app/manifests/latest"]


ENVIRONMENT = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.mark.parametrize(
    "name,value",
    [
        ("SSL_CERT_FILE", "/no/such/file"),
        ("SSL_CERT_FILE", __file__),
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
        ("HTTPS_PROXY", "foo://x"),
        ("HTTPS_PROXY", "http://alice:s3cret/x@proxy"),
    ],
)
def test_an_environment_that_cannot_be_followed_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for one in ENVIRONMENT:
        monkeypatch.delenv(one, raising=False)
        monkeypatch.delenv(one.lower(), raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nothing is asked of the world outside
    monkeypatch.setenv(name, value)
    with client_of("https://registry.test") as client, pytest.raises(RegistryError) as caught:
        client.resolve("alice/app", "latest")
    assert "as the environment says" in str(caught.value) and name in str(caught.value)
    assert "s3cret" not in str(caught.value)
    with stranger(lambda ask: ask.say(200, Docker_Content_Digest=DIGEST)) as (address, _), client_of(address) as client:
        assert client.resolve("alice/app", "latest") == DIGEST


# ---------------------------------------------------------------- which registry

LAN = Settings(stand_in="registry.lan:5000/class-7", practice="127.0.0.1:1")


@pytest.mark.parametrize(
    "name,settings,endpoint",
    [
        ("alice/app", LAN,
         Endpoint("docker.io", "https://registry.lan:5000", "registry.lan:5000", "", True, "class-7/")),
        ("registry.lan:5000/a", LAN, Endpoint("registry.lan:5000", "https://registry.lan:5000", "registry.lan:5000")),
        ("a", Settings(stand_in="http://lan"), Endpoint("docker.io", "http://lan", "lan", "", True)),
        ("lan.x/a", Settings(stand_in="http://lan.x"), Endpoint("lan.x", "http://lan.x", "lan.x")),
        ("a", Settings(stand_in="lan", real_hub=True),
         Endpoint("docker.io", "https://registry-1.docker.io", "https://index.docker.io/v1/")),
        ("localhost:5000/a", LAN, Endpoint("localhost:5000", "http://localhost:5000", "localhost:5000")),
        ("ghcr.io/a/b", LAN, Endpoint("ghcr.io", "https://ghcr.io", "ghcr.io")),
    ],
)  # fmt: skip
def test_which_registry_a_name_means(name: str, settings: Settings, endpoint: Endpoint) -> None:
    assert endpoint_for(parse_reference(name), settings) == endpoint


def test_only_docker_hub_has_mirrors() -> None:
    settings = Settings(mirrors=("mirror.lan", "http://other.lan/proxy"))
    assert [(one.url, one.prefix, one.namespace) for one in mirrors_of("docker.io", settings)] == [
        ("https://mirror.lan", "", "docker.io"),
        ("http://other.lan", "proxy/", "docker.io"),
    ]
    assert mirrors_of("ghcr.io", settings) == ()


@pytest.mark.parametrize(
    "written",
    ["", "://", "ftp://x", "a b", "host:port", "host:99999", "host/UPPER", "host/..", "x?y", "x#y", "http://"],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(RegistryError, match="not the address of a registry"):
        endpoint_of("docker.io", Settings(stand_in=written or " "))
