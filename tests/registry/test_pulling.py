"""What can be pulled: indexes with variants and attestations, foreign and zstd layers; and descriptors that lie."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from image import Store
from msgspec.structs import replace
from stranger import Hub, hub, stranger
from test_transfer import run as drive

from dockersim.digest import Digest, sha256
from dockersim.errors import ContentError, DockersimError, ImageError
from dockersim.oci import Descriptor, ImageConfig, Index, Manifest, Platform, media_types, parse_reference
from dockersim.registry import (
    Address,
    LayerExists,
    LayerPulled,
    MemoryLog,
    Progress,
    PullEvent,
    RegistryClient,
    Settings,
    endpoint_of,
    pull,
    pull_index,
    push,
)
from dockersim.registry.client.platforms import choose

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

AMD64 = Platform("amd64", "linux")


@pytest.fixture
def registry() -> Iterator[Hub]:
    with hub() as found:
        yield found


def pulled(registry: Hub, store: Store, name: str = "latest", platform: Platform = AMD64) -> list[PullEvent]:
    reference = parse_reference(f"{registry.address}/alice/app:{name}")
    endpoint = endpoint_of(registry.address, Settings())
    with RegistryClient(endpoint, None, MemoryLog(), pause=lambda seconds: None) as client:
        events, _ = drive(pull(client, reference, store.content, store.layers, platform))
    return events


def offer(registry: Hub, made: Store, manifest: Manifest, name: str = "latest") -> Descriptor:
    """Put an image in, with what its store has."""
    for blob in (manifest.config, *manifest.layers):
        if made.content.has(blob.digest):
            registry.blobs[blob.digest] = made.content.read(blob.digest)
    data = manifest.to_json()
    return Descriptor(manifest.media_type, registry.put(name, data, manifest.media_type), len(data))


def packed(registry: Hub, made: Store, pack: Any, kind: str, urls: tuple[str, ...] = ()) -> tuple[Manifest, bytes]:
    """Put an image in whose only layer is packed in this way; return its manifest and the blob."""
    manifest = made.image({"file": bytes(range(256)) * 1000})
    blob = pack(made.content.read(manifest.layers[0].digest))
    layer = Descriptor(kind, made.content.put(blob), len(blob), urls)
    manifest = replace(manifest, layers=(layer,))
    offer(registry, made, manifest)
    return manifest, blob


@pytest.mark.parametrize("kind", sorted(media_types.ZSTD_LAYERS))
def test_a_zstd_layer_is_pulled_and_pushed_as_it_is(registry: Hub, server: Address, tmp_path: Path, kind: str) -> None:
    manifest, blob = packed(registry, Store(tmp_path / "made"), zstd.compress, kind)
    there = Store(tmp_path / "there")
    pulled(registry, there)
    diff_id = ImageConfig.from_json(there.content.read(manifest.config.digest)).diff_ids[0]
    assert there.layers.entries(diff_id)[0].path == "file"
    name = parse_reference(f"{server.registry}/test/app")
    with RegistryClient(endpoint_of(server.registry, Settings()), None, MemoryLog()) as client:
        drive(push(client, name, manifest, there.content, there.layers))
        again = Manifest.from_json(client.fetch_manifest("test/app", "latest")[1])
        assert again.layers == manifest.layers and client.has_blob("test/app", again.layers[0].digest)
        last = Store(tmp_path / "last")
        drive(pull(client, name, last.content, last.layers, AMD64))
    assert last.content.read(manifest.layers[0].digest) == blob and last.layers.has(diff_id)


@pytest.mark.parametrize("kind", sorted(media_types.LAYERS))
def test_what_a_layer_is_packed_in_is_told_by_its_bytes(registry: Hub, tmp_path: Path, kind: str) -> None:
    for number, pack in enumerate((gzip.compress, zstd.compress, bytes)):
        there = Store(tmp_path / f"there{number}")
        manifest, _ = packed(registry, Store(tmp_path / f"made{number}"), pack, kind)
        assert any(isinstance(event, LayerPulled) for event in pulled(registry, there))
        assert there.layers.has(ImageConfig.from_json(there.content.read(manifest.config.digest)).diff_ids[0])


@pytest.mark.parametrize("kind", sorted(one for one in media_types.FOREIGN_LAYERS if "gzip" in one))
@pytest.mark.parametrize("published", [True, False], ids=["where its maker says", "in the registry"])
def test_a_foreign_layer_is_fetched_without_credentials_and_never_pushed(
    registry: Hub, server: Address, tmp_path: Path, kind: str, published: bool
) -> None:
    made, there = Store(tmp_path / "made"), Store(tmp_path / "there")
    with stranger(lambda ask: ask.say(200, blob) if published else ask.say(404)) as (maker, seen):
        manifest, blob = packed(registry, made, gzip.compress, kind, (f"http://{maker}/layer.tar.gz",))
        if published:
            del registry.blobs[manifest.layers[0].digest]
        pulled(registry, there)
    assert [ask["path"] for ask in seen] == ["/layer.tar.gz"] and "authorization" not in seen[0]
    with RegistryClient(endpoint_of(server.registry, Settings()), None, MemoryLog()) as client:
        drive(push(client, parse_reference(f"{server.registry}/test/app"), manifest, there.content, there.layers))
        assert Manifest.from_json(client.fetch_manifest("test/app", "latest")[1]).layers == manifest.layers
        assert not client.has_blob("test/app", manifest.layers[0].digest)


@pytest.mark.parametrize("shown", [b"<html>moved</html>", bytes(20_000)], ids=["shorter", "longer"])
def test_a_foreign_layer_that_is_something_else_by_now_is_fetched_from_the_registry(
    registry: Hub, tmp_path: Path, shown: bytes
) -> None:
    made, there = Store(tmp_path / "made"), Store(tmp_path / "there")
    with stranger(lambda ask: ask.say(200, shown)) as (first, _), stranger(lambda ask: ask.say(200, same)) as (then, _):
        urls = (f"http://{first}/x", f"http://{then}/x")
        manifest, blob = packed(registry, made, gzip.compress, min(media_types.FOREIGN_LAYERS), urls)
        same = bytes(len(blob))
        pulled(registry, there)
    assert there.content.read(manifest.layers[0].digest) == blob


def test_a_foreign_layer_of_a_whole_index_is_fetched_where_its_maker_says(registry: Hub, tmp_path: Path) -> None:
    made, there = Store(tmp_path / "made"), Store(tmp_path / "there")
    with stranger(lambda ask: ask.say(200, blob)) as (maker, _):
        kind, urls = min(media_types.FOREIGN_LAYERS), (f"http://{maker}/x",)
        manifest, blob = packed(registry, made, gzip.compress, kind, urls)
        del registry.blobs[manifest.layers[0].digest]
        data = manifest.to_json()
        entry = Descriptor(manifest.media_type, registry.put("v1", data, manifest.media_type), len(data))
        index = Index((entry,))
        registry.put("all", index.to_json(), index.media_type)
        with RegistryClient(endpoint_of(registry.address, Settings()), None, MemoryLog()) as client:
            there.content.put(index.to_json())
            named = Descriptor(index.media_type, sha256(index.to_json()), len(index.to_json()))
            list(pull_index(client, parse_reference(f"{registry.address}/alice/app:all"), named, there.content))
    assert there.content.read(manifest.layers[0].digest) == blob


# ---------------------------------------------------------------- indexes


def entry(architecture: str, variant: str = "", system: str = "linux", **more: Any) -> Descriptor:
    name = f"{system}/{architecture}/{variant}"
    digest = "sha256:" + name.encode().hex().ljust(64, "0")[:64]
    return Descriptor(media_types.MANIFEST, digest, 7, platform=Platform(architecture, system, variant), **more)


ATTESTATION = entry("unknown", system="unknown", annotations={"vnd.docker.reference.type": "attestation-manifest"})


@pytest.mark.parametrize(
    "wanted,offered,chosen",
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
        ("linux/arm", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/arm/v6", ["linux/arm/v7", "linux/arm/v5"], "linux/arm/v5"),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v4", "linux/amd64/v2"], "linux/amd64/v2"),
        ("linux/amd64", ["linux/amd64/v2", "windows/amd64"], ""),
        ("linux/arm/v6", ["linux/arm/v7"], ""),
        ("linux/s390x", [], ""),
    ],
)
def test_the_image_of_a_platform(wanted: str, offered: list[str], chosen: str) -> None:
    platforms = map(Platform.parse, offered)
    index = Index((ATTESTATION, *(entry(one.architecture, one.variant, one.os) for one in platforms)))
    if chosen:
        assert str(choose(index, Platform.parse(wanted), "app").platform) == chosen
        return
    with pytest.raises(ImageError, match=f"no matching manifest for {wanted} in the manifest list of app") as caught:
        choose(index, Platform.parse(wanted), "app")
    assert "unknown" not in str(caught.value)


def test_what_is_no_image_is_passed_over(registry: Hub, tmp_path: Path) -> None:
    made, there = Store(tmp_path / "made"), Store(tmp_path / "there")
    image = replace(offer(registry, made, made.image({"a": b"1"}), "image"), platform=AMD64)
    others = [
        ATTESTATION,
        Descriptor("application/vnd.example.sbom", image.digest, image.size, platform=AMD64),
        replace(image, artifact_type="application/vnd.example.sbom"),
    ]
    registry.put("latest", Index((*others, image)).to_json(), media_types.INDEX)
    pulled(registry, there)
    assert there.content.has(image.digest)


def test_an_index_within_an_index_is_followed_and_one_without_end_is_not(registry: Hub, tmp_path: Path) -> None:
    made, there = Store(tmp_path / "made"), Store(tmp_path / "there")
    inner = offer(registry, made, made.image({"a": b"1"}), "image")
    for depth in range(4):
        data = Index((inner,)).to_json()
        inner = Descriptor(media_types.INDEX, registry.put(f"depth{depth}", data, media_types.INDEX), len(data))
    pulled(registry, there, "depth2")
    with pytest.raises(ContentError, match="is not an image but"):
        pulled(registry, there, "depth3")


def test_a_layer_that_is_in_an_image_twice_is_moved_once(registry: Hub, server: Address, tmp_path: Path) -> None:
    made, there = Store(tmp_path / "made"), Store(tmp_path / "there")
    manifest = made.image({"a": b"1"}, {"b": b"2"}, {"a": b"1"})
    name, log = parse_reference(f"{server.registry}/test/app"), MemoryLog()
    with RegistryClient(endpoint_of(server.registry, Settings()), None, log) as client:
        drive(push(client, name, manifest, made.content, made.layers))
        events, found = drive(pull(client, name, there.content, there.layers, AMD64))
    assert len(Manifest.from_json(there.content.read(found.manifest.digest)).layers) == 3
    assert sum(isinstance(event, LayerPulled) for event in events) == 2
    assert [event.method for event in log.events].count("POST") == 3  # two layers and the config


# ---------------------------------------------------------------- sha512


def sha512(data: bytes) -> Digest:
    """The other digest that the image-spec registers."""
    return Digest(f"sha512:{hashlib.sha512(data).hexdigest()}")


def by_sha512(registry: Hub, blob: Descriptor) -> Descriptor:
    """Let the registry have a blob under its sha512, and under no other digest."""
    data = registry.blobs.pop(blob.digest)
    registry.blobs[sha512(data)] = data
    return replace(blob, digest=sha512(data))


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress, bytes])
def test_what_has_a_sha512_is_checked_by_it_and_kept_by_its_sha256(
    registry: Hub, server: Address, tmp_path: Path, pack: Any
) -> None:
    given, _ = packed(registry, Store(tmp_path / "made"), pack, media_types.LAYER_GZIP)
    named = replace(
        given, config=by_sha512(registry, given.config), layers=(by_sha512(registry, given.layers[0]),)
    ).to_json()
    registry.manifests[sha512(named)] = (media_types.MANIFEST, named)
    entry = Descriptor(media_types.MANIFEST, sha512(named), len(named), platform=AMD64)
    registry.put("latest", Index((entry,)).to_json(), media_types.INDEX)
    there, name = Store(tmp_path / "there"), parse_reference(f"{registry.address}/alice/app")
    with RegistryClient(endpoint_of(registry.address, Settings()), None, MemoryLog()) as client:
        for _ in range(2):
            _, arrived = drive(pull(client, name, there.content, there.layers, AMD64))
            manifest = Manifest.from_json(there.content.read(arrived.manifest.digest))
            assert manifest.config == given.config
            assert all(there.content.has(blob.digest) for blob in manifest.layers)
        with pytest.raises(ContentError, match="not a sha256 digest: 'sha512:"):
            drive(pull_index(client, name, arrived.named, there.content))
    there.content.verify(manifest.layers[0].digest)
    (diff_id,) = ImageConfig.from_json(there.content.read(given.config.digest)).diff_ids
    assert there.layers.entries(diff_id)[0].path == "file"
    with RegistryClient(endpoint_of(server.registry, Settings()), None, MemoryLog()) as client:
        drive(push(client, parse_reference(f"{server.registry}/a/b"), manifest, there.content, there.layers))


@pytest.mark.parametrize("part", ["config", "layer", "manifest"])
def test_what_has_not_the_sha512_it_should_have_is_not_kept(registry: Hub, tmp_path: Path, part: str) -> None:
    manifest, _ = packed(registry, Store(tmp_path / "made"), gzip.compress, media_types.LAYER_GZIP)
    wrong = sha512(b"something else")
    if part == "manifest":
        registry.manifests[wrong] = registry.manifests["latest"]
        entry = Descriptor(media_types.MANIFEST, wrong, len(manifest.to_json()), platform=AMD64)
        registry.put("latest", Index((entry,)).to_json(), media_types.INDEX)
    else:
        blob = manifest.config if part == "config" else manifest.layers[0]
        registry.blobs[wrong] = registry.blobs[blob.digest]
        lie = replace(blob, digest=wrong)
        lying = replace(manifest, config=lie) if part == "config" else replace(manifest, layers=(lie,))
        registry.put("latest", lying.to_json())
    there = Store(tmp_path / "there")
    with pytest.raises(ContentError, match="is damaged" if part != "manifest" else "is not what"):
        pulled(registry, there)
    kept = [there.content.read(digest) for digest in there.content.walk()]
    assert not [data for data in kept if data.startswith(b"\x1f\x8b")]
    assert not list(there.content.root.glob("ingest/*"))


# ---------------------------------------------------------------- who lies


def _lies(manifest: dict[str, Any], part: str, **lie: Any) -> None:
    target = manifest["layers"][0] if part == "layer" else manifest["config"]
    target.update(lie)


@pytest.mark.parametrize(
    "part,lie,words",
    [
        ("layer", {"size": 1}, "is longer than the 1 bytes"),
        ("layer", {"size": 10**9}, "stopped in the middle"),
        ("layer", {"size": 2**63 - 1}, "stopped in the middle"),
        ("layer", {"mediaType": "application/x-evil"}, "unknown media type"),
        ("layer", {"digest": "sha512:" + "a" * 128}, "sha512"),
        ("config", {"size": 5 << 20}, "too many for a config"),
        ("config", {"size": 1}, "is longer than the 1 bytes"),
        ("config", {"mediaType": "application/x-evil"}, "not an image but an artifact"),
    ],
)
def test_a_descriptor_that_lies_is_found_out(
    registry: Hub, tmp_path: Path, part: str, lie: dict[str, Any], words: str
) -> None:
    made, there = Store(tmp_path / "made"), Store(tmp_path / "there")
    manifest, _ = packed(registry, made, gzip.compress, media_types.LAYER_GZIP)
    document = json.loads(manifest.to_json())
    _lies(document, part, **lie)
    registry.put("latest", json.dumps(document).encode())
    with pytest.raises(DockersimError, match=words):
        pulled(registry, there)
    assert not list(there.content.root.glob("ingest/*"))


def test_an_index_that_lies_about_a_size_is_found_out(registry: Hub, tmp_path: Path) -> None:
    made = Store(tmp_path / "made")
    image = offer(registry, made, made.image({"a": b"1"}), "image")
    registry.put("latest", Index((replace(image, size=image.size + 1, platform=AMD64),)).to_json(), media_types.INDEX)
    with pytest.raises(ContentError, match="its index says"):
        pulled(registry, Store(tmp_path / "there"))


@pytest.mark.parametrize("damage", ["cut", "other", "no tar", "zeros in front"])
def test_a_layer_that_is_damaged_is_not_kept(registry: Hub, tmp_path: Path, damage: str) -> None:
    def pack(tar: bytes) -> bytes:
        whole = gzip.compress(tar)
        changed = {
            "cut": whole[:-9],
            "other": gzip.compress(tar.replace(b"\1\2\3", b"\3\2\1")),
            "no tar": gzip.compress(b"x" * 4_000_000),
            "zeros in front": gzip.compress(bytes(10_240)) + whole,
        }
        return changed[damage]

    made, there = Store(tmp_path / "made"), Store(tmp_path / "there")
    manifest, _ = packed(registry, made, pack, media_types.LAYER_GZIP)
    with pytest.raises(ContentError):
        pulled(registry, there)
    assert not there.content.has(ImageConfig.from_json(made.content.read(manifest.config.digest)).diff_ids[0])
    assert not list(there.content.root.glob("ingest/*"))


@pytest.mark.parametrize("left", [0, 10], ids=["nothing", "a part"])
def test_what_a_power_cut_has_shortened_is_fetched_again(registry: Hub, tmp_path: Path, left: int) -> None:
    manifest, _ = packed(registry, Store(tmp_path / "made"), gzip.compress, media_types.LAYER_GZIP)
    store = Store(tmp_path / "pulled")
    pulled(registry, store)
    (diff_id,) = ImageConfig.from_json(store.content.read(manifest.config.digest)).diff_ids
    store.content.delete(diff_id)
    for blob in (manifest.config, *manifest.layers):
        path = store.content.path(blob.digest)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:left])
    pulled(registry, store)
    for digest in (manifest.config.digest, manifest.layers[0].digest, diff_id):
        store.content.verify(digest)


def test_a_pull_that_nobody_listens_to_any_more_leaves_nothing_half_done(registry: Hub, tmp_path: Path) -> None:
    made, there = Store(tmp_path / "made"), Store(tmp_path / "there")
    manifest = made.image(*({f"file{number}": bytes([number]) * 5_000_000} for number in range(4)))
    offer(registry, made, manifest)
    reference = parse_reference(f"{registry.address}/alice/app")
    with RegistryClient(endpoint_of(registry.address, Settings()), None, MemoryLog()) as client:
        steps = pull(client, reference, there.content, there.layers, AMD64)
        while not isinstance(next(steps), Progress):
            pass
        with pytest.raises(KeyboardInterrupt):
            steps.throw(KeyboardInterrupt())
        assert not list(there.content.root.glob("ingest/*"))
        events, found = drive(pull(client, reference, there.content, there.layers, AMD64))
    kinds = {type(event) for event in events}
    assert there.content.has(found.manifest.digest) and kinds <= {LayerExists, LayerPulled, Progress} | kinds
