"""The client against registries that are not ours: Debian's, one that redirects, one that breaks off, one that lies."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from image import Store
from stranger import Stranger, stranger
from test_transfer import run as drive

from dockersim.errors import AccessDenied, ContentError, RegistryError
from dockersim.oci import Descriptor, Platform, parse_reference
from dockersim.registry import (
    CredentialFile,
    Credentials,
    MemoryLog,
    RegistryClient,
    Settings,
    TooManyRequests,
    endpoint_of,
    pull,
    push,
)

BLOB = bytes(range(256)) * 4000
DIGEST = "sha256:" + hashlib.sha256(BLOB).hexdigest()
LAYER = Descriptor("application/octet-stream", DIGEST, len(BLOB))
ALICE = Credentials("alice", "wonderland")


def client_of(registry: str, credentials: Credentials | None = None, log: MemoryLog | None = None) -> RegistryClient:
    return RegistryClient(endpoint_of(registry, Settings()), credentials, log or MemoryLog())


def fetch(client: RegistryClient, store: Store, blob: Descriptor = LAYER) -> None:
    with store.content.writer() as into:
        for _ in client.fetch_blob("alice/app", blob, into):
            pass


@pytest.mark.peer
def test_push_and_pull_with_debians_registry(debian_registry: str, tmp_path: Path) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    registry = debian_registry.removeprefix("http://")
    reference = parse_reference(f"{registry}/alice/app")
    manifest = here.image({"a": b"one"}, {"b": BLOB * 10})
    with client_of(registry) as client:
        _, pushed = drive(push(client, reference, manifest, here.content, here.layers))
        _, pulled = drive(pull(client, reference, there.content, there.layers, Platform("amd64", "linux")))
        assert client.tags("alice/app") == ["latest"]
    assert pulled.manifest.digest == pushed.digest


def test_a_redirect_to_a_blob_store_carries_no_credentials_and_logs_no_signature(tmp_path: Path) -> None:
    with stranger(lambda ask: ask.say(200, BLOB)) as (blob_store, seen_there):

        def registry(ask: Stranger) -> None:
            if ask.headers["Authorization"] is None:
                ask.say(401, WWW_Authenticate='Basic realm="x"')
            else:
                ask.say(307, Location=f"http://{blob_store}/data?X-Amz-Signature=s3cret")

        with stranger(registry) as (address, seen_here):
            log = MemoryLog()
            with client_of(address, ALICE, log) as client:
                fetch(client, Store(tmp_path))
    assert seen_here[-1]["authorization"] == ALICE.basic()
    assert "authorization" not in seen_there[0]
    assert "s3cret" not in "".join(event.to_json() for event in log.events)
    assert [event.status for event in log.events] == [401, 307, 200]


def test_a_download_that_breaks_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def script(ask: Stranger) -> None:
        first = int(ask.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        part = BLOB[first : first + 600_000]
        ask.say(206 if first else 200, part, Content_Length=str(len(BLOB) - first))

    with stranger(script) as (address, seen), client_of(address) as client:
        fetch(client, Store(tmp_path))
    assert [ask.get("range", "") for ask in seen] == ["", "bytes=600000-"]


@pytest.mark.parametrize(
    ("body", "words"),
    [(BLOB + b"more", "longer than"), (b"x" * len(BLOB), "digest")],
    ids=["longer", "other bytes"],
)
def test_a_blob_that_is_not_what_it_should_be_is_not_stored(tmp_path: Path, body: bytes, words: str) -> None:
    store = Store(tmp_path)
    with (
        stranger(lambda ask: ask.say(200, body)) as (address, _),
        client_of(address) as client,
        pytest.raises(ContentError, match=words),
    ):
        fetch(client, store)
    assert not store.content.has(DIGEST)


def test_a_manifest_that_is_not_the_digest_asked_for_is_refused() -> None:
    with (
        stranger(lambda ask: ask.say(200, b"{}")) as (address, _),
        client_of(address) as client,
        pytest.raises(ContentError, match="is not what"),
    ):
        client.fetch_manifest("alice/app", DIGEST)


def test_an_endless_manifest_is_given_up() -> None:
    with (
        stranger(lambda ask: ask.say(200, bytes(9 << 20))) as (address, _),
        client_of(address) as client,
        pytest.raises(RegistryError, match="longer than any document"),
    ):
        client.fetch_manifest("alice/app", "latest")


def test_a_password_is_not_sent_to_a_token_server_without_tls() -> None:
    header = 'Bearer realm="http://tokens.example/token",service="x"'
    with (
        stranger(lambda ask: ask.say(401, WWW_Authenticate=header)) as (address, _),
        client_of(address, ALICE) as client,
        pytest.raises(RegistryError, match="not safe"),
    ):
        client.login()


@pytest.mark.parametrize(
    "mount",
    [
        lambda ask: ask.say(401),
        lambda ask: ask.say(403),
        lambda ask: ask.say(404),
        lambda ask: ask.say(202),
        lambda ask: ask.say(202, Location="http://[/"),
        lambda ask: ask.say(202, Location="/session"),
    ],
    ids=["who are you", "not from there", "not there", "a session nowhere", "a session at no address", "a session"],
)
def test_a_layer_that_may_not_be_mounted_is_sent(mount: Callable[[Stranger], None]) -> None:
    def registry(ask: Stranger) -> None:
        if "mount=" in ask.path:
            mount(ask)
        else:
            ask.say(503)  # to the DELETE of a session

    with stranger(registry) as (address, seen), client_of(address, ALICE) as client:
        assert not client.mount_blob("alice/app", DIGEST, "bob/base")
    assert [ask["path"] for ask in seen[1:]] in ([], ["/session"])


@pytest.mark.parametrize(
    "address",
    [
        "http://xn--/",
        "http://.../",
        f"http://{'a' * 70}.test/",
        "https://xn--/",
        "https://[x",
        "https://",
        "https://registry.test:99999/x",
        "https://registry.test:port/x",
        "mailto:someone",
    ],
)
@pytest.mark.parametrize("status", [307, 401])
def test_an_address_that_is_none_is_the_registrys_fault(address: str, status: int) -> None:
    headers = {"WWW_Authenticate": f'Bearer realm="{address}"'} if status == 401 else {"Location": address}
    with (
        stranger(lambda ask: ask.say(status, **headers)) as (registry, _),
        client_of(registry, ALICE) as client,
        pytest.raises(RegistryError, match=r"an address that is none|a token server that is not safe") as caught,
    ):
        client.resolve("alice/app", "latest")
    assert registry in str(caught.value)
    assert "[" in address or repr(address)[:60] in str(caught.value), "what cannot be taken apart may be a secret"


@pytest.mark.parametrize("status", [202, 307])
@pytest.mark.parametrize("host", ["[x", "registry.test:99999", "registry.test:port"])
def test_an_address_that_is_none_is_shown_without_what_may_be_secret(host: str, status: int) -> None:
    location = f"https://alice:s3cret@{host}/\x1b?X-Amz-Signature=s3cret"
    with (
        stranger(lambda ask: ask.say(status, Location=location)) as (registry, seen),
        client_of(registry) as client,
        pytest.raises(RegistryError) as caught,
    ):
        for _ in client.upload_blob("alice/app", LAYER, io.BytesIO(BLOB)):
            pass
    said = f"{registry} sent an address that is none"
    assert (
        str(caught.value).startswith(said if "[" in host else f"{said}: 'https://{host}/")
        and "s3cret" not in str(caught.value)
        and str(caught.value).isprintable()
    )
    assert len(seen) == 1, "the same would come of asking again"


def test_redirects_in_circles_end() -> None:
    with (
        stranger(lambda ask: ask.say(302, Location="/v2/x")) as (address, _),
        client_of(address) as client,
        pytest.raises(RegistryError, match="circles"),
    ):
        client.tags("alice/app")


def test_pages_that_lead_round_in_a_circle_end() -> None:
    def pages(ask: Stranger) -> None:
        following = "b" if ask.path.endswith("last=a") else "a"
        link = f'</v2/alice/app/tags/list?last={following}>; rel="next"'
        ask.say(200 if len(seen) < 20 else 403, b'{"tags": ["x"]}', Link=link)

    with stranger(pages) as (address, seen), client_of(address) as client:
        assert client.tags("alice/app") == ["x"] * 3
    assert [ask["path"].partition("?")[2] for ask in seen] == ["", "last=a", "last=b"]


@pytest.mark.parametrize("size", [0, 4_000_000], ids=["many pages", "much of it"])
@pytest.mark.parametrize("listing", ["tags of alice/app", "catalogue"])
def test_pages_that_lead_on_for_ever_end(listing: str, size: int) -> None:
    def pages(ask: Stranger) -> None:
        body = json.dumps({"tags": ["x"], "repositories": ["x"], "more": "x" * size}).encode()
        ask.say(200, body, Link=f'<{ask.path.partition("?")[0]}?last={len(seen)}>; rel="next"')

    with (
        stranger(pages) as (address, seen),
        client_of(address) as client,
        pytest.raises(RegistryError, match=f"^{address} lists the {listing} without end: given up after") as caught,
    ):
        _ = client.catalog() if listing == "catalogue" else client.tags("alice/app")
    assert len(seen) <= 1001 and str(caught.value).isprintable()


def test_docker_hubs_limit_is_told_in_words() -> None:
    body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'
    with (
        stranger(lambda ask: ask.say(429, body, Retry_After="30")) as (address, _),
        client_of(address) as client,
        pytest.raises(TooManyRequests, match="try again in 30 seconds") as caught,
    ):
        client.resolve("alice/app", "latest")
    assert caught.value.retry_after == 30


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors":[]}', b'{"errors":[{"code":1}]}', b"\xff"])
def test_an_error_body_of_another_kind_is_no_trouble(body: bytes) -> None:
    with (
        stranger(lambda ask: ask.say(403, body)) as (address, _),
        client_of(address) as client,
        pytest.raises(AccessDenied),
    ):
        client.resolve("alice/app", "latest")


@pytest.mark.parametrize("part", ["code", "message"])
def test_what_a_registry_says_is_shown_in_one_line_of_what_can_be_shown(part: str) -> None:
    said = {"code": "DENIED", "message": "no", part: "\x1b[2J\r\n" + "x" * 10_000}
    body = json.dumps({"errors": [said]}).encode()
    with stranger(lambda ask: ask.say(403, body)) as (address, _), client_of(address) as client:
        with pytest.raises(AccessDenied) as caught:
            client.tags("alice/app")
        assert str(caught.value).isprintable() and len(str(caught.value)) < 400


def test_logins_are_kept_for_their_owner_only_and_apart(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path / "folder" / "auth.json")
    assert file.load("ghcr.io") is None and not file.erase("ghcr.io")
    file.save("ghcr.io", ALICE)
    file.save("other", Credentials("bob", "x:y"))
    assert (file.load("ghcr.io"), file.load("other")) == (ALICE, Credentials("bob", "x:y"))
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert "wonderland" not in repr(file.load("ghcr.io"))
    assert file.erase("ghcr.io") and file.load("ghcr.io") is None and file.load("other") is not None
