"""The tools of the rest of the world against our registry: skopeo and docker, with and without a login."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from image import Store
from test_transfer import run as drive

from dockersim.oci import Descriptor, Index, Platform, parse_reference
from dockersim.registry import Address, MemoryLog, RegistryClient, Settings, endpoint_for, pull, push
from tests.peers import Docker, needs, run

AMD64 = Platform("amd64", "linux")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An OCI layout with one image of two layers, not compressed."""
    store = Store(tmp_path / "made")
    manifest = store.image({"a": b"one"}, {"b": b"two" * 100_000})
    data = manifest.to_json()
    entry = Descriptor(manifest.media_type, store.content.put(data), len(data))
    (store.content.root / "index.json").write_bytes(Index((entry,)).to_json())
    return store.content.root


@needs("skopeo")
@pytest.mark.parametrize("login", [[], ["--dest-creds", "test:secret"]], ids=["without a login", "with a login"])
def test_skopeo_copies_in_and_out(server: Address, layout: Path, tmp_path: Path, login: list[str]) -> None:
    where = f"docker://{server.registry}/test/image:1"
    run("skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", *login, f"oci:{layout}", where)
    seen = json.loads(run("skopeo", "inspect", "--tls-verify=false", where))
    assert seen["RepoTags"] == ["1"] and len(seen["Layers"]) == 2
    run("skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", where, f"oci:{tmp_path / 'out'}:1")
    assert json.loads((tmp_path / "out" / "index.json").read_text())["manifests"][0]["digest"] == seen["Digest"]


@needs("skopeo")
def test_what_skopeo_pushed_our_client_pulls(server: Address, layout: Path, tmp_path: Path) -> None:
    where = f"{server.registry}/test/image:1"
    flags = ["--insecure-policy", "--dest-tls-verify=false", "--format", "v2s2"]
    run("skopeo", "copy", *flags, f"oci:{layout}", f"docker://{where}")
    store, reference = Store(tmp_path / "there"), parse_reference(where)
    with RegistryClient(endpoint_for(reference, Settings()), None, MemoryLog()) as client:
        _, found = drive(pull(client, reference, store.content, store.layers, AMD64))
    assert store.content.has(found.manifest.digest)


@needs("skopeo")
def test_skopeo_is_denied_the_namespace_of_a_user(server: Address, layout: Path) -> None:
    where = f"docker://{server.registry}/alice/image:1"
    copy = ["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false"]
    run(*copy, "--dest-creds", "alice:secret", f"oci:{layout}", where)
    with pytest.raises(AssertionError, match=r"denied|unauthorized"):
        run(*copy, "--dest-creds", "mallory:m", f"oci:{layout}", where)
    with pytest.raises(AssertionError, match=r"authentication required|unauthorized|denied"):
        run(*copy, f"oci:{layout}", where)
    with pytest.raises(AssertionError, match=r"incorrect username or password|unauthorized"):
        run(*copy, "--dest-creds", "alice:guess", f"oci:{layout}", where)


@needs("skopeo")
def test_skopeo_deletes(server: Address, layout: Path) -> None:
    where = f"docker://{server.registry}/test/image:1"
    run("skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", f"oci:{layout}", where)
    run("skopeo", "delete", "--tls-verify=false", where)
    with pytest.raises(AssertionError, match="manifest unknown"):
        run("skopeo", "inspect", "--tls-verify=false", where)


@needs("docker", "dockerd")
def test_docker_logs_in_pushes_and_pulls(server: Address, tmp_path: Path, dockerd: Docker) -> None:
    store = Store(tmp_path / "made")
    here = parse_reference(f"{server.registry}/alice/app:1")
    with RegistryClient(endpoint_for(here, Settings()), None, MemoryLog()) as client:
        drive(push(client, here, store.image({"a": b"one"}), store.content, store.layers))
    assert "Downloaded newer image" in dockerd("pull", str(here))
    config = ["--config", str(tmp_path / "docker")]
    dockerd(*config, "login", "--username", "alice", "--password-stdin", server.registry, stdin=b"secret")
    with pytest.raises(AssertionError, match="incorrect username or password"):
        dockerd(*config, "login", "--username", "alice", "--password-stdin", server.registry, stdin=b"guess")
    dockerd("tag", str(here), f"{server.registry}/alice/app:2")
    with pytest.raises(AssertionError, match=r"denied|unauthorized|authentication"):
        dockerd("push", f"{server.registry}/alice/app:2")
    assert "digest: sha256:" in dockerd(*config, "push", f"{server.registry}/alice/app:2")
    dockerd("rmi", str(here), f"{server.registry}/alice/app:2")
    dockerd("pull", f"{server.registry}/alice/app:2")
