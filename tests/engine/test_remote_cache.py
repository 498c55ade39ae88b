"""--cache-to and --cache-from: from one root to an empty other one, through a directory and through a registry."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from dockersim import Engine
from dockersim.digest import sha256
from dockersim.engine import Build
from dockersim.engine.remotecache import Mode, read_exports, read_imports
from dockersim.engine.remotecache.document import MEDIA_TYPE, CacheConfig, CacheRecord
from dockersim.errors import BuildError, ContentError, DockersimError, StoreError
from dockersim.oci import Index, Manifest, media_types
from dockersim.registry.server.service import make_app
from dockersim.solver import CacheMoved, Event, State
from tests.registry.conftest import debian_registry
from tests.registry.servers import serving

from .conftest import MakeEngine

__all__ = ["debian_registry"]  # a fixture

TEXT = """FROM busybox AS made
WORKDIR /work
RUN echo made > thing && echo a secret
FROM busybox
COPY app.py /
COPY --from=made /work/thing /
RUN cat /thing /app.py > /both
"""


def _built(engine: Engine, context: Path, text: str = TEXT, **options: object) -> tuple[Build, list[str]]:
    """Build, and give what was said of caches."""
    said: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, CacheMoved):
            said.append(f"{event.title}: {event.text}")

    build = engine.build(context, text=text, on_event=listen, **options)  # type: ignore[arg-type]
    build.finish()
    return build, said


def _cached(build: Build) -> dict[int, bool]:
    """Say for each line that does something whether it was cached."""
    return {
        step.at.line: step.event.state is State.CACHED
        for step in build.steps
        if step.vertex is not None and step.keyword != "FROM"
    }


@pytest.fixture
def roots(make_engine: MakeEngine) -> tuple[Engine, Engine]:
    """A root that builds, and another one that has only the base image."""
    return make_engine("here"), make_engine("there")


@pytest.fixture
def exported(roots: tuple[Engine, Engine], context: Path, tmp_path: Path) -> Path:
    """A cache in a directory, of all stages."""
    _built(roots[0], context, cache_to=[f"type=local,dest={tmp_path / 'cache'},mode=max"])
    return tmp_path / "cache"


# ---------------------------------------------------------------- there and back


def test_an_empty_root_finds_every_step_in_a_directory(
    roots: tuple[Engine, Engine], context: Path, exported: Path
) -> None:
    first = roots[0].build(context, text=TEXT).finish()
    build, said = _built(roots[1], context, cache_from=[f"type=local,src={exported}"])
    assert set(_cached(build).values()) == {True}
    assert build.step is not None and build.step.cache.because.startswith(
        f"found in the imported cache local:{exported}: same instruction, same step below"
    )
    assert build.step.files.text("/both") == "made\nprint('hello')\n"
    assert build.finished is not None and build.finished.image == first.image
    assert said[0] == f"importing cache manifest from local:{exported}: 5 steps, 5 layers"
    again, said = _built(roots[1], context, cache_from=[f"type=local,src={exported}"])
    assert again.step is not None and again.step.cache.because.startswith("built before: ") and said == []


def test_only_what_is_needed_is_fetched(roots: tuple[Engine, Engine], context: Path, exported: Path) -> None:
    (context / "app.py").write_text("print('other')\n")
    build, said = _built(roots[1], context, cache_from=[f"type=local,src={exported}"])
    assert _cached(build) == {2: True, 3: True, 5: False, 6: False, 7: False}
    assert sum(": layer " in line for line in said) == 2


def test_the_smaller_mode_holds_the_steps_of_the_image_only(
    roots: tuple[Engine, Engine], context: Path, tmp_path: Path
) -> None:
    _built(roots[0], context, cache_to=[f"type=local,dest={tmp_path / 'cache'}"])
    build, _ = _built(roots[1], context, cache_from=[f"type=local,src={tmp_path / 'cache'}"])
    assert _cached(build) == {2: False, 3: False, 5: True, 6: True, 7: True}


def test_a_cached_build_exports_what_it_found(roots: tuple[Engine, Engine], context: Path, exported: Path) -> None:
    further = exported.with_name("further")
    _built(
        roots[1], context, cache_from=[f"type=local,src={exported}"], cache_to=[f"type=local,dest={further},mode=max"]
    )
    assert (further / "index.json").read_bytes() == (exported / "index.json").read_bytes()


def test_what_a_command_printed_or_saw_stays_at_home(exported: Path) -> None:
    blobs = [file.read_bytes() for file in (exported / "blobs" / "sha256").iterdir()]
    plain = b"".join(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data for data in blobs)
    assert b"made\n" in plain
    assert b"a secret" not in plain and b"PATH=" not in plain


def test_an_exported_cache_is_an_image_layout(exported: Path) -> None:
    entry = Index.from_json((exported / "index.json").read_bytes()).manifests[0]
    assert entry.annotations == {media_types.REFERENCE_NAME: "latest"}
    manifest = Manifest.from_json((exported / "blobs" / "sha256" / entry.digest[7:]).read_bytes())
    assert manifest.config.media_type == MEDIA_TYPE
    assert {layer.media_type for layer in manifest.layers} == {media_types.LAYER_GZIP}


def test_a_plan_looks_into_a_directory_and_writes_nothing(
    roots: tuple[Engine, Engine], context: Path, exported: Path
) -> None:
    def files() -> dict[Path, int]:
        folders = (roots[1].root, exported)
        return {file: file.stat().st_mtime_ns for folder in folders for file in folder.rglob("*")}

    roots[1].store.records.layers()  # the database is open from here on
    before = files()
    said: list[Event] = []
    plan = roots[1].plan(
        context, text=TEXT, cache_from=[f"type=local,src={exported}", "alice/app"], on_event=said.append
    )
    plan.finish()
    assert [step.event.state is State.CACHED for step in plan.steps if step.at.line in (2, 3, 5)] == [True] * 3
    assert files() == before
    assert CacheMoved("importing cache manifest from alice/app:latest", "left out: a plan asks no registry") in said


def _through(registry: str, roots: tuple[Engine, Engine], context: Path) -> None:
    name = f"{registry}/alice/app:cache"
    _, said = _built(roots[0], context, cache_to=[f"type=registry,ref={name},mode=max"])
    assert said[-1].startswith("exporting cache to registry: writing cache image manifest sha256:")
    build, said = _built(roots[1], context, cache_from=["127.0.0.1:9/nobody/here", name])
    assert set(_cached(build).values()) == {True}
    assert build.step is not None and f"found in the imported cache {name}: " in build.step.cache.because
    assert said[0].startswith("importing cache manifest from 127.0.0.1:9/nobody/here:latest: WARNING: it is not used: ")


def test_an_empty_root_finds_every_step_in_the_practice_registry(
    roots: tuple[Engine, Engine], context: Path, tmp_path: Path
) -> None:
    with serving(make_app(tmp_path / "registry")) as address:
        for engine in roots:
            engine.shipping.login(address.registry, "alice", "wonderland")
        _through(address.registry, roots, context)


def _connections(port: int) -> int:
    """Count the connections to a port that are open in this machine's network, from the side that made them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(there.endswith(f":{port:04X}") and state == "01" for _, _, there, state, *_ in rows)


@pytest.mark.parametrize(
    ("line", "options", "error"),
    [
        ("RUN true", {}, ""),
        ("RUN exit 4", {}, "exit code: 4"),
        ("RUN true", {"cache_to": ["type=registry,ref=127.0.0.1:9/nobody/here"]}, "127.0.0.1:9"),
    ],
    ids=["well", "with a failing command", "with a failing export"],
)
def test_however_a_build_ends_it_closes_its_connections(
    roots: tuple[Engine, Engine], tmp_path: Path, context: Path, line: str, options: dict[str, Any], error: str
) -> None:
    with serving(make_app(tmp_path / "registry")) as address:
        name = f"type=registry,ref={address.registry}/alice/app:cache"
        roots[0].shipping.login(address.registry, "alice", "wonderland")
        _built(roots[0], context, cache_to=[name])
        assert _connections(address.port) == 0
        build = roots[0].build(context, text=f"{TEXT}{line}\n", cache_from=[name], **options)
        with pytest.raises(DockersimError, match=error) if error else nullcontext():
            build.finish()
        assert _connections(address.port) == 0


@pytest.mark.peer
def test_an_empty_root_finds_every_step_in_debians_registry(
    roots: tuple[Engine, Engine],
    context: Path,
    debian_registry: str,
) -> None:
    _through(debian_registry.removeprefix("http://"), roots, context)


def test_an_image_is_no_cache(roots: tuple[Engine, Engine], context: Path, tmp_path: Path) -> None:
    with serving(make_app(tmp_path / "registry")) as address:
        name = f"{address.registry}/alice/app"
        roots[0].shipping.login(address.registry, "alice", "wonderland")
        _built(roots[0], context, tags=[name])
        roots[0].shipping.push(name, lambda event: None)
        build, said = _built(roots[1], context, cache_from=[name])
    assert build.ok and said[0].endswith(
        "it is not used: it holds no build cache of dockersim, but application/vnd.oci.image.config.v1+json"
    )


# ---------------------------------------------------------------- hostile caches


def _documents(cache: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the manifest and the list of steps."""
    blobs = cache / "blobs" / "sha256"
    entry = json.loads((cache / "index.json").read_text())["manifests"][0]
    manifest = json.loads((blobs / entry["digest"][7:]).read_text())
    return manifest, json.loads((blobs / manifest["config"]["digest"][7:]).read_text())


def _store(cache: Path, data: bytes) -> dict[str, Any]:
    digest = sha256(data)
    (cache / "blobs" / "sha256" / digest[7:]).write_bytes(data)
    return {"digest": digest, "size": len(data)}


def _rewrite(cache: Path, manifest: dict[str, Any], config: object) -> None:
    """Store changed documents under digests that are right."""
    manifest["config"] |= _store(cache, json.dumps(config).encode())
    entry = {"mediaType": media_types.MANIFEST, "annotations": {media_types.REFERENCE_NAME: "latest"}}
    entry |= _store(cache, json.dumps(manifest).encode())
    (cache / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def _other_kind(cache: Path) -> None:
    manifest, config = _documents(cache)
    manifest["config"]["mediaType"] = media_types.CONFIG
    _rewrite(cache, manifest, config)


def _field(name: str, value: object) -> Callable[[Path], None]:
    def change(cache: Path) -> None:
        manifest, config = _documents(cache)
        config["records"][0][name] = value
        _rewrite(cache, manifest, config)

    return change


def _annotation(value: str) -> Callable[[Path], None]:
    def change(cache: Path) -> None:
        manifest, config = _documents(cache)
        manifest["layers"][0]["annotations"]["containerd.io/uncompressed"] = value
        _rewrite(cache, manifest, config)

    return change


def _index(data: bytes) -> Callable[[Path], None]:
    def change(cache: Path) -> None:
        (cache / "index.json").write_bytes(data)

    return change


def _damaged_document(cache: Path) -> None:
    digest = _documents(cache)[0]["config"]["digest"]
    blob = cache / "blobs" / "sha256" / digest[7:]
    blob.chmod(0o644)
    blob.write_bytes(b'{"records":[]}')


def _pipe(cache: Path) -> None:
    (cache / "index.json").unlink()
    os.mkfifo(cache / "index.json")


def _path_for_a_digest(cache: Path) -> None:
    text = (cache / "index.json").read_text()
    digest = json.loads(text)["manifests"][0]["digest"]
    (cache / "index.json").write_text(text.replace(digest, "sha256:../../../etc/passwd"))


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_index(b""), "index is not JSON"),
        (_index(b"[" * 100_000), "index is not JSON"),
        (_index(b'{"schemaVersion":2,"manifests":[]}'), "its index.json names no latest"),
        (_pipe, "it has no index.json"),
        (_path_for_a_digest, "is not a digest"),
        (_other_kind, "it holds no build cache of dockersim, but application/vnd.oci.image.config.v1+json"),
        (_damaged_document, "is damaged"),
        (_field("digest", "sha256:../../x"), "its list of steps is damaged"),
        (_field("layer", "../../../etc/passwd"), "its list of steps is damaged"),
        (_field("size", -1), "its list of steps is damaged"),
        (_field("size", 1 << 70), "its list of steps is damaged"),
        (_field("created", "yesterday"), "its list of steps is damaged"),
        (_field("created", "2024-99-99T99:99:99Z"), "its list of steps is damaged"),
        (_field("created", "2023-02-29T00:00:00.5Z"), "its list of steps is damaged"),
        (_field("created", "2024-01-01T24:00:00Z"), "its list of steps is damaged"),
        (_field("created", "2024-01-01T00:00:00.\u0665Z"), "its list of steps is damaged"),
        (_field("rung", "\x1b[2J"), "its list of steps is damaged"),
        (_field("deviations", "text"), "its list of steps is damaged"),
        (_annotation("sha256:../../../etc/passwd"), "not a sha256 digest"),
    ],
)
def test_a_cache_that_is_none_is_told_of_and_left_out(
    roots: tuple[Engine, Engine], context: Path, exported: Path, harm: Callable[[Path], None], why: str
) -> None:
    harm(exported)
    build, said = _built(roots[1], context, cache_from=[f"type=local,src={exported}"])
    assert len(said) == 1 and "WARNING: it is not used: " in said[0] and why in said[0] and "\n" not in said[0]
    assert build.ok and not any(_cached(build).values())


def _wrong_bytes(cache: Path) -> None:
    for layer in _documents(cache)[0]["layers"]:
        place = cache / "blobs" / "sha256" / layer["digest"][7:]
        place.chmod(0o600)
        data = bytearray(place.read_bytes())
        data[-1] ^= 1
        place.write_bytes(data)


def _no_blobs(cache: Path) -> None:
    for layer in _documents(cache)[0]["layers"]:
        (cache / "blobs" / "sha256" / layer["digest"][7:]).unlink()


def _not_listed(cache: Path) -> None:
    manifest, config = _documents(cache)
    manifest["layers"] = []
    _rewrite(cache, manifest, config)


def _other_layers(cache: Path) -> None:
    """Say of each layer that it unpacks to what another one is."""
    manifest, config = _documents(cache)
    name = "containerd.io/uncompressed"
    told = [layer["annotations"][name] for layer in manifest["layers"]]
    for layer, diff_id in zip(manifest["layers"], [*told[1:], told[0]], strict=True):
        layer["annotations"][name] = diff_id
    _rewrite(cache, manifest, config)


def _no_tars(cache: Path) -> None:
    """Name blobs that have the right digests, but are no layers."""
    manifest, config = _documents(cache)
    for number, layer in enumerate(manifest["layers"]):
        layer |= _store(cache, f"no tar {number}".encode())
        config["records"][number]["layer"] = layer["digest"]
        layer["annotations"] = {"containerd.io/uncompressed": layer["digest"]}
    _rewrite(cache, manifest, config)


def _bomb(cache: Path) -> None:
    manifest, config = _documents(cache)
    for layer in manifest["layers"]:
        layer |= _store(cache, gzip.compress(b"x" * 10_000_000))
    _rewrite(cache, manifest, config)


@pytest.mark.parametrize("harm", [_wrong_bytes, _no_blobs, _not_listed, _other_layers, _no_tars, _bomb])
def test_a_layer_that_is_not_what_it_should_be_is_no_hit(
    roots: tuple[Engine, Engine], context: Path, exported: Path, harm: Callable[[Path], None]
) -> None:
    harm(exported)
    build, said = _built(roots[1], context, cache_from=[f"type=local,src={exported}"])
    assert build.ok and not any(_cached(build).values())
    assert sum("WARNING: a step is not used: " in line for line in said) == 5
    assert build.step is not None and build.step.files.text("/both") == "made\nprint('hello')\n"


def test_a_blob_that_is_no_layer_is_not_believed_the_second_time_either(
    roots: tuple[Engine, Engine], context: Path, exported: Path
) -> None:
    _no_tars(exported)
    for _ in range(2):
        build, said = _built(roots[1], context, cache_from=[f"type=local,src={exported}"])
        assert not any(_cached(build).values())
        assert sum("WARNING: a step is not used: " in line for line in said) == 5
        records = roots[1].store.records
        records.forget([key for key, _ in records.steps()])


def test_a_link_in_a_cache_leads_nowhere(
    roots: tuple[Engine, Engine], context: Path, exported: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not for others")
    for layer in _documents(exported)[0]["layers"]:
        place = exported / "blobs" / "sha256" / layer["digest"][7:]
        place.unlink()
        place.symlink_to(secret)
    build, _ = _built(roots[1], context, cache_from=[f"type=local,src={exported}"])
    assert not any(_cached(build).values())
    assert not any(b"not for others" in file.read_bytes() for file in roots[1].root.rglob("*") if file.is_file())


# ---------------------------------------------------------------- what was asked for


def test_an_export_that_fails_fails_the_build_unless_it_may(engine: Engine, context: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="choose another dest= for the cache"):
        _built(engine, context, cache_to=[f"type=local,dest={tmp_path / 'file'}"])
    build, said = _built(engine, context, cache_to=[f"type=local,dest={tmp_path / 'file'},ignore-error=true"])
    assert build.ok and "WARNING: it was not exported: " in said[-1]


def test_a_build_without_a_layer_exports_nothing(engine: Engine, context: Path, tmp_path: Path) -> None:
    _, said = _built(engine, context, "FROM busybox\nENV A=1", cache_to=[f"type=local,dest={tmp_path / 'cache'}"])
    assert said == ["exporting cache to client directory: skipping cache export for empty result"]
    assert not (tmp_path / "cache").exists()


def test_options_are_read_as_docker_reads_them() -> None:
    short, local = read_imports(["alice/app:cache", 'type=local,"src=a,b"'])
    assert (short.type, short.place, local.type, local.place) == (
        "registry", "docker.io/alice/app:cache", "local", "a,b",
    )  # fmt: skip
    assert [one.place for one in read_imports(["one,two"])] == [
        "docker.io/library/one:latest", "docker.io/library/two:latest",
    ]  # fmt: skip
    (there,) = read_exports(["type=registry,ref=alice/app,mode=max,image-manifest=true,ignore-error=true"])
    assert (there.mode, there.ignore_error) == (Mode.MAX, True)


@pytest.mark.parametrize(
    ("read", "word", "said"),
    [
        (read_imports, "type=local", "local cache importer requires src"),
        (read_imports, "type=registry", "missing ref"),
        (read_imports, "type=gha", "unknown cache importer: gha"),
        (read_imports, "src=dir", 'type required for "src=dir"'),
        (read_imports, "type=local,src", "invalid value src"),
        (read_imports, "type=local,src=d,digest=x", "digest=x of a cache is not supported"),
        (read_imports, "NAME", "must be lowercase"),
        (read_exports, "type=local", "local cache exporter requires dest"),
        (read_exports, "type=inline", "(type=inline) is not supported"),
        (read_exports, "type=s3,bucket=x", 'unknown cache exporter: "s3"'),
        (read_exports, "type=local,dest=d,mode=all", "unknown cache export mode: all"),
        (read_exports, "type=local,dest=d,compression=zstd", "compression=zstd of a cache is not supported"),
    ],
)
def test_what_is_no_cache_is_told(read: Callable[[list[str]], object], word: str, said: str) -> None:
    with pytest.raises(DockersimError) as caught:
        read([word])
    assert said in str(caught.value) and not isinstance(caught.value, ContentError)


def test_a_document_survives_the_trip() -> None:
    digest = sha256(b"x")
    record = CacheRecord(digest, digest, 1, 2, "2026-11-23T10:15:00.5Z", command=True, rung="none", deviations=("one",))
    assert CacheConfig.from_json(CacheConfig((record,)).to_json()) == CacheConfig((record,))
    assert CacheRecord.of(digest, record.result()) == record


def test_a_build_can_be_replayed_whose_steps_were_imported(
    roots: tuple[Engine, Engine], context: Path, exported: Path
) -> None:
    from dockersim import replay

    build, _ = _built(roots[1], context, cache_from=[f"type=local,src={exported}"])
    again = replay(json.dumps(roots[1].trace(build)))
    again.finish()
    assert [step.cache for step in again.steps] == [step.cache for step in build.steps]


def test_both_ends_may_be_named_wrongly_before_anything_is_written(make_engine: MakeEngine, context: Path) -> None:
    engine = make_engine("other")
    for options in ({"cache_from": ["type=oci"]}, {"cache_to": ["type=oci"]}):
        with pytest.raises(BuildError):
            engine.build(context, text=TEXT, **options)  # type: ignore[arg-type]
