"""Push from one store, pull into another, through the real registry."""

from __future__ import annotations

import random
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest
from image import Store

from dockersim.digest import sha256
from dockersim.errors import AccessDenied, ContentError, ImageError
from dockersim.oci import Descriptor, ImageConfig, Index, Manifest, Platform, parse_reference
from dockersim.registry import (
    Address,
    ConfigSent,
    Credentials,
    LayerExists,
    LayerMounted,
    LayerPulled,
    LayerPushed,
    ManifestPut,
    MemoryLog,
    NotInRegistry,
    Progress,
    RegistryClient,
    Settings,
    Unreachable,
    endpoint_for,
    endpoint_of,
    explain,
    pull,
    push,
)

AMD64 = Platform("amd64", "linux")
ALICE = Credentials("alice", "wonderland")
APP = parse_reference("alice/app")
Event = TypeVar("Event")
Result = TypeVar("Result")


def run(events: Generator[Event, None, Result]) -> tuple[list[Event], Result]:
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as stop:
            return seen, stop.value


def client_of(server: Address, credentials: Credentials | None = ALICE, log: MemoryLog | None = None) -> RegistryClient:
    settings = Settings(practice=server.registry)
    return RegistryClient(endpoint_of("docker.io", settings), credentials, log or MemoryLog())


def test_push_then_pull_into_another_store_keeps_the_image_id(server: Address, tmp_path: Path) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    manifest = here.image({"a": b"one"}, {"b": b"two" * 10_000})
    with client_of(server) as client:
        pushed_events, pushed = run(push(client, APP, manifest, here.content, here.layers))
        pulled_events, pulled = run(pull(client, APP, there.content, there.layers, AMD64))
    assert pulled.named.digest == pulled.manifest.digest == pushed.digest
    arrived = Manifest.from_json(there.content.read(pulled.manifest.digest))
    assert arrived.config == manifest.config
    diff_ids = ImageConfig.from_json(there.content.read(arrived.config.digest)).diff_ids
    assert [there.content.read(diff_id) for diff_id in diff_ids] == [here.content.read(one) for one in diff_ids]
    assert sum(isinstance(event, LayerPushed) for event in pushed_events) == 2
    assert sum(isinstance(event, LayerPulled) for event in pulled_events) == 2
    assert pushed_events[-1] == ManifestPut("latest", pushed.digest, pushed.size)


def test_second_push_sends_no_layer(server: Address, tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), MemoryLog()
    manifest = store.image({"a": b"one"})
    with client_of(server, log=log) as client:
        run(push(client, APP, manifest, store.content, store.layers))
        log.events.clear()
        events, _ = run(push(client, APP, manifest, store.content, store.layers))
    assert [type(event).__name__ for event in events] == ["LayerPreparing", "LayerExists", "ConfigSent", "ManifestPut"]
    assert [event.existed for event in events if isinstance(event, ConfigSent)] == [True]
    assert [event.method for event in log.events] == ["HEAD", "HEAD", "PUT"]
    assert explain(log.events[0]) == "ask whether the blob is already there: it is, so it need not be sent"


def test_second_pull_fetches_no_layer(server: Address, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    manifest = store.image({"a": b"one"})
    with client_of(server) as client:
        run(push(client, APP, manifest, store.content, store.layers))
        events, _ = run(pull(client, APP, store.content, store.layers, AMD64))
    assert any(isinstance(event, LayerExists) for event in events)
    assert not any(isinstance(event, LayerPulled) for event in events)


def test_a_large_layer_goes_in_chunks_with_progress(server: Address, tmp_path: Path) -> None:
    here, there, log = Store(tmp_path / "here"), Store(tmp_path / "there"), MemoryLog()
    manifest = here.image({"noise": random.Random(1).randbytes(20_000_000)})
    with client_of(server, log=log) as client:
        events, _ = run(push(client, APP, manifest, here.content, here.layers))
        run(pull(client, APP, there.content, there.layers, AMD64))
    steps = [event.done for event in events if isinstance(event, Progress) and event.digest]
    assert steps == sorted(steps) and len(steps) == 2
    assert [event.method for event in log.events].count("PATCH") == 1


def test_a_layer_is_mounted_from_another_repository(server: Address, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    manifest = store.image({"a": b"one"})
    diff_id = manifest.layers[0].digest
    other = parse_reference("alice/other")
    with client_of(server) as client:
        run(push(client, APP, manifest, store.content, store.layers))
        events, _ = run(push(client, other, manifest, store.content, store.layers, mounts={diff_id: "alice/app"}))
    assert [event.source for event in events if isinstance(event, LayerMounted)] == ["alice/app"]


def test_an_image_of_another_architecture_names_both(server: Address, tmp_path: Path) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    manifest = here.image({"a": b"one"}, architecture="arm64")
    with client_of(server) as client:
        run(push(client, APP, manifest, here.content, here.layers))
        with pytest.raises(ImageError, match=r"alice/app:latest is an image for linux/arm64, not for linux/amd64"):
            run(pull(client, APP, there.content, there.layers, AMD64))
    assert not there.content.has(manifest.layers[0].digest)


def test_an_index_gives_the_image_of_this_machine(server: Address, tmp_path: Path) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    made = {name: here.image({name: b"x"}, architecture=name) for name in ("arm64", "amd64")}
    with client_of(server) as client:
        entries = []
        for name, manifest in made.items():
            _, pushed = run(push(client, parse_reference(f"alice/app:{name}"), manifest, here.content, here.layers))
            entries.append(Descriptor(pushed.media_type, pushed.digest, pushed.size, platform=Platform(name, "linux")))
        index = Index(tuple(entries))
        client.put_manifest("alice/app", "latest", index.to_json(), index.media_type)
        _, pulled = run(pull(client, APP, there.content, there.layers, AMD64))
        assert pulled.manifest.digest == entries[1].digest
        assert pulled.named.digest == sha256(index.to_json()), "by which the registry knows the name"
        with pytest.raises(ImageError, match=r"no matching manifest for linux/s390x.*linux/amd64, linux/arm64"):
            run(pull(client, APP, there.content, there.layers, Platform("s390x", "linux")))


def test_login_with_a_new_name_registers_it_and_a_wrong_password_is_refused(server: Address) -> None:
    with client_of(server) as client:
        assert client.login().registered
    with client_of(server) as client:
        assert not client.login().registered
    with (
        client_of(server, Credentials("alice", "guess")) as client,
        pytest.raises(AccessDenied, match="unauthorized: incorrect username or password"),
    ):
        client.login()


@pytest.mark.parametrize("who", [None, Credentials("mallory", "m")], ids=["nobody", "another user"])
def test_pushing_to_the_namespace_of_another_is_denied(
    server: Address, tmp_path: Path, who: Credentials | None
) -> None:
    store = Store(tmp_path / "store")
    manifest = store.image({"a": b"one"})
    with (
        client_of(server, who) as client,
        pytest.raises(AccessDenied, match="requested access to the resource is denied"),
    ):
        run(push(client, APP, manifest, store.content, store.layers))


@pytest.mark.parametrize("who", [None, ALICE], ids=["nobody", "a user"])
def test_nobody_pushes_an_official_image_to_the_hub(server: Address, tmp_path: Path, who: Credentials | None) -> None:
    store = Store(tmp_path / "store")
    manifest = store.image({"a": b"one"})
    with client_of(server, who) as client, pytest.raises(AccessDenied, match="denied: requested access"):
        run(push(client, parse_reference("my-flask-app"), manifest, store.content, store.layers))


def test_anonymous_pull_is_allowed(server: Address, tmp_path: Path) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    with client_of(server) as client:
        run(push(client, APP, here.image({"a": b"one"}), here.content, here.layers))
    with client_of(server, None) as client:
        run(pull(client, APP, there.content, there.layers, AMD64))
        assert client.tags("alice/app") == ["latest"]
        assert client.catalog() == ["alice/app"]


def test_what_is_not_there_says_so(server: Address, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with client_of(server) as client:
        with pytest.raises(NotInRegistry, match="manifest for alice/app:latest not found: manifest unknown"):
            run(pull(client, APP, store.content, store.layers, AMD64))
        with pytest.raises(NotInRegistry):
            client.tags("alice/app")


def test_a_registry_that_is_down_is_one_line(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    endpoint = endpoint_for(parse_reference("127.0.0.1:9/app"), Settings())
    with RegistryClient(endpoint, None, MemoryLog()) as client, pytest.raises(Unreachable) as caught:
        run(pull(client, parse_reference("127.0.0.1:9/app"), store.content, store.layers, AMD64))
    assert str(caught.value) == "cannot reach 127.0.0.1:9: connection refused; check the name and your connection"


def test_plain_http_where_tls_is_due_is_one_line(server: Address) -> None:
    endpoint = endpoint_of(server.registry, Settings())
    secure = type(endpoint)(endpoint.registry, endpoint.url.replace("http:", "https:"), "")
    with RegistryClient(secure, None, MemoryLog()) as client, pytest.raises(Unreachable, match="no trusted connection"):
        client.resolve("alice/app", "latest")


def test_a_blob_that_was_damaged_in_the_registry_is_refused(server: Address, root: Path, tmp_path: Path) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    with client_of(server) as client:
        _, pushed = run(push(client, APP, here.image({"a": b"one"}), here.content, here.layers))
        layer = Manifest.from_json(here.content.read(pushed.digest)).layers[0]
        path = root / "blobs" / "sha256" / layer.digest[7:]
        path.write_bytes(bytes(layer.size))
        with pytest.raises(ContentError):
            run(pull(client, APP, there.content, there.layers, AMD64))
    assert not there.content.has(layer.digest)


def test_no_credential_is_in_any_log(server: Address, root: Path, tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), MemoryLog()
    with client_of(server, log=log) as client:
        client.login()
        run(push(client, APP, store.image({"a": b"one"}), store.content, store.layers))
    written = (root / "wire.jsonl").read_text() + "".join(event.to_json() for event in log.events)
    kept = (root / "htpasswd").read_text()
    for secret in ("wonderland", ALICE.basic().removeprefix("Basic "), "Bearer"):
        assert secret not in written + kept
