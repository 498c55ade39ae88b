"""Tokens, with a registry that plays Docker Hub: fetched where it says, kept by scope, fetched anew when they end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from image import Store
from stranger import Hub, Stranger, hub, stranger
from test_transfer import run as drive

from dockersim.errors import AccessDenied, RegistryError
from dockersim.oci import ImageConfig, Platform, parse_reference
from dockersim.registry import Address, Credentials, MemoryLog, RegistryClient, Settings, endpoint_of, pull, push
from dockersim.registry.client.challenge import Challenge, parse_challenge

ALICE = Credentials("alice", "wonderland")
AMD64 = Platform("amd64", "linux")


def client_of(address: str, credentials: Credentials | None = None, log: MemoryLog | None = None) -> RegistryClient:
    return RegistryClient(endpoint_of(address, Settings()), credentials, log or MemoryLog())


def fill(registry: Hub, folder: Path, name: str = "latest") -> None:
    """Put an image of four layers in."""
    store = Store(folder)
    manifest = store.image(*({f"file{number}": bytes(100_000)} for number in range(4)))
    for blob in (manifest.config, *manifest.layers):
        registry.blobs[blob.digest] = store.content.read(blob.digest)
    registry.put(name, manifest.to_json())


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Hub]:
    with hub() as registry:
        fill(registry, tmp_path / "made")
        yield registry


def pull_app(client: RegistryClient, folder: Path) -> None:
    store = Store(folder)
    reference = parse_reference(f"{client.endpoint.registry}/alice/app")
    drive(pull(client, reference, store.content, store.layers, AMD64))


def scopes(registry: Hub) -> list[list[str]]:
    return [parse_qs(urlsplit(ask["path"]).query).get("scope", []) for ask in registry.seen_by_auth]


@pytest.mark.parametrize("who", [None, ALICE], ids=["anonymous", "alice"])
def test_one_token_does_for_all_layers_though_they_are_fetched_at_once(
    filled: Hub, tmp_path: Path, who: Credentials | None
) -> None:
    with client_of(filled.address, who) as client:
        pull_app(client, tmp_path / "there")
    assert scopes(filled) == [["repository:alice/app:pull"]]
    assert filled.seen_by_auth[0].get("authorization") == (who.basic() if who else None)
    assert len(filled.seen_by_store) == 5
    assert not any("authorization" in ask for ask in filled.seen_by_store)


def test_a_token_that_has_ended_is_fetched_anew_in_the_middle_of_a_pull(tmp_path: Path) -> None:
    with hub(expire=5) as registry, client_of(registry.address) as client:
        fill(registry, tmp_path / "made")
        pull_app(client, tmp_path / "there")
        assert scopes(registry) == [["repository:alice/app:pull"]] * 2


def test_every_scope_has_a_token_of_its_own(filled: Hub) -> None:
    with client_of(filled.address, ALICE) as client:
        for _ in range(2):
            client.resolve("alice/app", "latest")
            client.has_blob("alice/app", "sha256:" + "0" * 64, push=True)
    assert scopes(filled) == [["repository:alice/app:pull"], ["repository:alice/app:pull,push"]]


def test_what_the_registry_asks_for_is_asked_of_the_token_server(filled: Hub) -> None:
    realm = f'Bearer realm="http://{filled.auth}/token",scope="repository:alice/app:pull registry:audit:read"'
    with (
        stranger(lambda ask: ask.say(401, WWW_Authenticate=realm)) as (address, _),
        client_of(address) as client,
        pytest.raises(AccessDenied),
    ):
        client.resolve("alice/app", "latest")
    assert scopes(filled) == [["repository:alice/app:pull", "registry:audit:read"]]


def test_layers_that_are_pushed_at_once_need_one_token(filled: Hub, tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), MemoryLog()
    manifest = store.image(*({f"file{number}": b"x"} for number in range(6)))
    name = parse_reference(f"{filled.address}/alice/app")
    with client_of(filled.address, ALICE, log) as client, pytest.raises(RegistryError):  # this Hub takes nothing
        drive(push(client, name, manifest, store.content, store.layers))
    assert [event.status for event in log.events].count(401) == 1
    assert scopes(filled) == [["repository:alice/app:pull,push"]]


@pytest.mark.parametrize("source", ["", "alice/base"], ids=["sent", "mounted"])
def test_where_everybody_may_look_the_first_upload_alone_is_refused(
    server: Address, tmp_path: Path, source: str
) -> None:
    store, log = Store(tmp_path / "store"), MemoryLog()
    manifest = store.image(*({f"file{number}": b"x"} for number in range(8)))
    diff_ids = ImageConfig.from_json(store.content.read(manifest.config.digest)).diff_ids
    with client_of(server.registry, ALICE, log) as client:
        client.login()
        log.events.clear()
        name = parse_reference(f"{server.registry}/alice/app")
        # Nobody has the layers: each mount is answered by a session, which the client gives up again.
        mounts = dict.fromkeys(diff_ids, source) if source else None
        drive(push(client, name, manifest, store.content, store.layers, mounts=mounts))
    # One for the right to push, and one for that together with the right to look into the other repository.
    assert [event.status for event in log.events].count(401) == (2 if source else 1)
    assert [event.path.partition("?")[0] for event in log.events].count("/token") == (2 if source else 1)


def test_who_may_not_even_look_hears_it_before_anything_is_compressed(filled: Hub, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    manifest = store.image({"a": b"one"})
    name = parse_reference(f"{filled.address}/alice/app")
    with client_of(filled.address, Credentials("alice", "guess")) as client, pytest.raises(AccessDenied):
        drive(push(client, name, manifest, store.content, store.layers))
    assert len(list(store.content.walk())) == 2  # the config, and the layer as it was


def test_an_identity_token_is_exchanged_in_the_body_of_a_post(filled: Hub) -> None:
    with client_of(filled.address, Credentials("", "", filled.identity_token)) as client:
        client.resolve("alice/app", "latest")
        asked = filled.seen_by_auth
    assert [(ask["method"], urlsplit(ask["path"]).query) for ask in asked] == [("POST", "")]
    form = parse_qs(asked[0]["body"])
    assert form["grant_type"] == ["refresh_token"] and form["scope"] == ["repository:alice/app:pull"]
    with client_of(filled.address, Credentials("", "", "forged")) as client, pytest.raises(AccessDenied):
        client.resolve("alice/app", "latest")


def test_a_token_server_that_knows_only_oauth2_is_asked_in_its_way() -> None:
    with hub(oauth_only=True) as registry, client_of(registry.address, ALICE) as client:
        client.login()
    assert [ask["method"] for ask in registry.seen_by_auth] == ["GET", "POST"]
    assert parse_qs(registry.seen_by_auth[1]["body"])["grant_type"] == ["password"]


@pytest.mark.parametrize("token", ['"a b"', '"a\\nb"', "7", "null"], ids=["space", "line break", "number", "none"])
def test_what_cannot_be_a_token_is_refused_and_not_repeated(token: str) -> None:
    def auth(ask: Stranger) -> None:
        ask.say(200, f'{{"token": {token}}}'.encode())

    with stranger(auth) as (place, _):
        realm = f'Bearer realm="http://{place}/token"'
        with (
            stranger(lambda ask: ask.say(401, WWW_Authenticate=realm)) as (address, _),
            client_of(address) as client,
            pytest.raises(RegistryError, match=r"gave no token \(200\)$"),
        ):
            client.resolve("alice/app", "latest")


@pytest.mark.parametrize("said", ["9" * 400, "9" * 5, "-5", "true", "1e999", '"soon"'], ids=lambda said: said[:9])
def test_a_token_may_say_anything_of_its_end(said: str) -> None:
    def auth(ask: Stranger) -> None:
        ask.say(200, f'{{"token": "t", "expires_in": {said}}}'.encode())

    with stranger(auth) as (place, _):
        realm = f'Bearer realm="http://{place}/token"'

        def registry(ask: Stranger) -> None:
            known = ask.headers.get("Authorization") == "Bearer t"
            ask.say(200, Docker_Content_Digest="x") if known else ask.say(401, WWW_Authenticate=realm)

        with stranger(registry) as (address, _), client_of(address) as client:
            assert client.resolve("alice/app", "latest") == "x"


@pytest.mark.parametrize(
    "header,challenge",
    [
        ('Basic realm="a"', Challenge("basic", "a")),
        ('BASIC realm="a, b" , Bearer realm="c",scope="x:y:z"', Challenge("bearer", "c", "", "x:y:z")),
        ('Negotiate, Basic realm="a"', Challenge("basic", "a")),
        ('Bearer realm="say \\"hi\\"",error="insufficient_scope"', Challenge("bearer", 'say "hi"')),
        ("Bearer realm=c,service=d", Challenge("bearer", "c", "d")),
        ("Digest realm=x", Challenge("")),
        ("", Challenge("")),
        ('="' * 40, Challenge("")),
    ],
)
def test_challenges(header: str, challenge: Challenge) -> None:
    assert parse_challenge(header) == challenge
