"""Image documents: the verdicts of the OCI's own schema tests, and the bytes that Go would write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from dockersim.digest import DiffID, sha256
from dockersim.errors import ContentError
from dockersim.oci import (
    ContainerConfig,
    Descriptor,
    Healthcheck,
    History,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    check_layout,
    media_types,
)
from tests.recorded import cases

READERS: dict[str, Any] = {
    "descriptor": Descriptor.from_json,
    "manifest": Manifest.from_json,
    "index": Index.from_json,
    "config": ImageConfig.from_json,
    "layout": check_layout,
}
DIGEST = sha256(b"x")
LAYER = Descriptor(media_types.LAYER, DIGEST, 1)
CONFIG = Descriptor(media_types.CONFIG, DIGEST, 1)


@cases("oci-documents.json")
def test_agrees_with_the_schema(case: dict[str, Any]) -> None:
    read = READERS[case["kind"]]
    if case["valid"]:
        read(case["document"].encode())
    else:
        with pytest.raises(ContentError):
            read(case["document"].encode())


ROUND_TRIPS: list[Any] = [
    LAYER,
    Descriptor(
        media_types.MANIFEST,
        DIGEST,
        7,
        ("http://x/y",),
        {"b": "1", "a": "2"},
        b"hello",
        Platform("arm", "linux", "v7"),
    ),
    Manifest(CONFIG, (LAYER, LAYER), annotations={"k": "v"}),
    Manifest(CONFIG, (), media_type=media_types.DOCKER_MANIFEST),
    Manifest(CONFIG, (LAYER,), artifact_type="application/x", subject=CONFIG),
    Index((LAYER, CONFIG), annotations={"k": "<&>"}),
    ImageConfig("amd64"),
    ImageConfig(
        "arm64",
        config=ContainerConfig(
            env=("PATH=/bin", "EMPTY="),
            cmd=("a", "b"),
            entrypoint=("/e",),
            working_dir="/w",
            user="u:g",
            exposed_ports=("443/tcp", "80/tcp"),
            volumes=("/a", "/b"),
            labels={"x": "y", "a": "é"},
            stop_signal="SIGINT",
            healthcheck=Healthcheck(("CMD-SHELL", "true"), 1, 2, 3, 4, 5),
            shell=("/bin/bash", "-c"),
            on_build=("RUN x",),
            args_escaped=True,
        ),
        diff_ids=(DiffID(DIGEST),),
        history=(History("2024-01-02T03:04:05.123456789Z", "RUN x", "me", "buildkit", True), History()),
        created="2024-01-02T03:04:05+02:00",
        author="me <me@example.org>",
        variant="v8",
        os_version="10.0",
        os_features=("win32k",),
    ),
]


@pytest.mark.parametrize("value", ROUND_TRIPS, ids=lambda value: type(value).__name__)
def test_reads_back_what_it_wrote(value: Any) -> None:
    assert type(value).from_json(value.to_json()) == value
    assert type(value).from_json(json.loads(value.to_json())) == value


def test_the_bytes_of_a_manifest_are_gos() -> None:
    assert Manifest(CONFIG, (LAYER,)).to_json().decode() == (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
        f'"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{DIGEST}","size":1}},'
        f'"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{DIGEST}","size":1}}]}}'
    )


def test_the_bytes_of_a_config_are_buildkits() -> None:
    config = ImageConfig(
        "amd64",
        config=ContainerConfig(
            env=("A=1 && 2",),
            cmd=("sh",),
            working_dir="/",
            args_escaped=True,
            exposed_ports=("80/tcp", "443/tcp"),
        ),
        diff_ids=(DiffID(DIGEST),),
        created="2024-01-02T03:04:05Z",
        history=(History("2024-01-02T03:04:05Z", "RUN x > y", comment="buildkit.dockerfile.v0"),),
    )
    assert config.to_json().decode() == (
        '{"architecture":"amd64","config":{"ExposedPorts":{"443/tcp":{},"80/tcp":{}},'
        '"Env":["A=1 \\u0026\\u0026 2"],"Cmd":["sh"],"WorkingDir":"/","ArgsEscaped":true},'
        '"created":"2024-01-02T03:04:05Z","history":[{"created":"2024-01-02T03:04:05Z",'
        '"created_by":"RUN x \\u003e y","comment":"buildkit.dockerfile.v0"}],"os":"linux",'
        f'"rootfs":{{"type":"layers","diff_ids":["{DIGEST}"]}}}}'
    )


def test_the_order_in_which_labels_were_put_does_not_matter() -> None:
    one, other = ContainerConfig(labels={"a": "1", "b": "2"}), ContainerConfig(labels={"b": "2", "a": "1"})
    assert ImageConfig("amd64", config=one).to_json() == ImageConfig("amd64", config=other).to_json()


def test_bytes_that_are_no_text_become_the_replacement_character() -> None:
    name = b"caf\xe9".decode(errors="surrogateescape")
    config = ImageConfig("amd64", history=(History(created_by=name),))
    assert ImageConfig.from_json(config.to_json()).history[0].created_by == "caf\ufffd"


def config_with(**fields: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ImageConfig("amd64").to_json())
    return document | fields


BLOB = {"mediaType": "a/b", "digest": DIGEST, "size": 1}
BAD: list[tuple[Any, Any, str]] = [
    (ImageConfig, config_with(os=1), "config.os must be a string, not a number"),
    (ImageConfig, config_with(os=None), "config.os is missing"),
    (ImageConfig, config_with(config={"Env": [1]}), "config.config.Env[0] must be a string, not a number"),
    (ImageConfig, config_with(config={"Env": ["A"]}), "config.config.Env[0] must be NAME=value, not 'A'"),
    (ImageConfig, config_with(config={"Volumes": ["/a"]}),
     "config.config.Volumes must be an object, not a list"),
    (ImageConfig, config_with(config=[]), "config.config must be an object, not a list"),
    (ImageConfig, config_with(history="x"), "config.history must be a list, not a string"),
    (ImageConfig, config_with(history=["{}"]), "config.history[0] must be a JSON object, not a list"),
    (ImageConfig, config_with(history=[{"empty_layer": 1}]),
     "config.history[0].empty_layer must be true or false, not a number"),
    (ImageConfig, config_with(created="yesterday"), "config.created is not an RFC 3339 time: 'yesterday'"),
    (ImageConfig, config_with(rootfs={"type": "x", "diff_ids": []}),
     "config.rootfs.type must be 'layers', not 'x'"),
    (ImageConfig, config_with(rootfs={"type": "layers", "diff_ids": ["sha256:../../etc"]}),
     "config.rootfs.diff_ids[0] is not a digest: 'sha256:../../etc'"),
    (Descriptor, BLOB | {"size": -1}, "descriptor.size must be at least 0, not -1"),
    (Descriptor, BLOB | {"size": True}, "descriptor.size must be a whole number"),
    (Descriptor, BLOB | {"size": 2**63}, "descriptor.size must be a whole number"),
    (Descriptor, BLOB | {"digest": "sha256:ab"}, "descriptor.digest is not a digest: 'sha256:ab'"),
    (Descriptor, {"mediaType": "a/b", "size": 1}, "descriptor.digest is missing"),
    (Manifest, {"schemaVersion": 1}, "manifest.schemaVersion must be 2"),
    (Manifest, {"schemaVersion": 2, "mediaType": media_types.INDEX},
     f"manifest.mediaType is {media_types.INDEX!r}, which is no manifest"),
    (Manifest, {"schemaVersion": 2, "manifests": []},
     "manifest must not have the field 'manifests': it is ambiguous"),
    (Index, {"schemaVersion": 2, "layers": []}, "index must not have the field 'layers': it is ambiguous"),
    (Index, {"schemaVersion": 2}, "index.manifests is missing"),
    (Index, b"[]", "index must be a JSON object, not a list"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "document", "message"), BAD, ids=[message for _, _, message in BAD])
def test_says_which_field_is_wrong(kind: Any, document: Any, message: str) -> None:
    with pytest.raises(ContentError) as caught:
        kind.from_json(document)
    assert caught.value.message == message


@pytest.mark.parametrize("document", [b"", b"{", b"\xff\xfe\xff", b'{"a":' + b"[" * 100_000, b"nul"])
def test_bytes_that_are_no_json(document: bytes) -> None:
    with pytest.raises(ContentError, match="is not JSON"):
        Manifest.from_json(document)


def test_unknown_fields_are_let_pass() -> None:
    document = json.loads(Manifest(CONFIG, (LAYER,)).to_json()) | {"x-new": {"deep": [1]}}
    assert Manifest.from_json(document) == Manifest(CONFIG, (LAYER,))


@pytest.mark.parametrize("text", ["linux", "linux/", "a/b/c/d", ""])
def test_a_platform_that_is_none(text: str) -> None:
    with pytest.raises(ContentError, match="not a platform"):
        Platform.parse(text)


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7"])
def test_platform(text: str) -> None:
    assert str(Platform.parse(text)) == text
    assert Platform.parse(text) != replace(Platform.parse(text), os="windows")


@pytest.mark.parametrize("address", ["here", "//host/x", "https://host/a b", "https://host/{x}", ""])
def test_where_a_blob_may_be_had_is_an_address(address: str) -> None:
    document = {"mediaType": media_types.LAYER, "digest": DIGEST, "size": 1, "urls": ["https://host/x?y#z", address]}
    with pytest.raises(ContentError, match="which is no address"):
        Descriptor.from_json(json.dumps(document))


@pytest.mark.parametrize("data", ["%", "a", "é"])
def test_a_blob_that_a_descriptor_carries_is_in_base64(data: str) -> None:
    document = {"mediaType": media_types.LAYER, "digest": DIGEST, "size": 1, "data": data}
    with pytest.raises(ContentError, match=r"^descriptor\.data is not base64: "):
        Descriptor.from_json(json.dumps(document))
