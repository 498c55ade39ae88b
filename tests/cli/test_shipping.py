"""``login``, ``logout``, ``push``, ``pull`` and ``registry``, with a real practice registry."""

from __future__ import annotations

import io
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from dockersim import Engine
from dockersim.cli.main import main
from dockersim.cli.session import Session
from dockersim.oci import ContainerConfig, ImageConfig, parse_reference
from dockersim.registry import stop
from dockersim.registry.server.service import make_app
from tests.registry.servers import NotInstalled, docker_registry, serving
from tests.registry.stranger import stranger

from .conftest import Run

Ok = Callable[..., str]


@pytest.fixture
def image_id(ok: Ok, app: Path) -> str:
    """An image that is tagged for its owner."""
    image_id = ok("build", "-q", "-t", "my-flask-app", app).strip()
    ok("tag", "my-flask-app", "myusername/my-flask-app:latest")
    return image_id


def test_the_tutorials_way_to_docker_hub(ok: Ok, run: Run, image_id: str, tmp_path: Path) -> None:
    login = ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
    assert login.splitlines()[-1] == "Login Succeeded"
    assert "played by the practice registry" in login and "registered" in login
    first = ok("push", "myusername/my-flask-app").splitlines()
    assert first[0] == "Using default tag: latest"
    assert "The push refers to repository [docker.io/myusername/my-flask-app]" in first
    assert sum(line.endswith(": Pushed") for line in first) == 2
    assert first[-1].startswith("latest: digest: sha256:") and " size: " in first[-1]
    second = ok("push", "myusername/my-flask-app:latest")
    assert second.count(": Layer already exists") == 2 and ": Pushed" not in second
    address = ok("registry", "status").split("Running: ")[1].split()[0]
    other = tmp_path / "other"
    name = f"{address}/myusername/my-flask-app"
    pulled = ok("--root", other, "pull", name).splitlines()
    assert "latest: Pulling from myusername/my-flask-app" in pulled
    assert sum(line.endswith(": Pull complete") for line in pulled) == 2
    assert pulled[-2:] == [f"Status: Downloaded newer image for {name}:latest", f"{name}:latest"]
    assert pulled[-3].startswith("Digest: sha256:")
    assert ok("--root", other, "images", "-q", "--no-trunc").strip() == image_id
    assert f"Status: Image is up to date for {name}:latest" in ok("--root", other, "pull", name)


def test_a_tag_that_was_forgotten_is_named(ok: Ok, run: Run, image_id: str) -> None:
    ok("tag", "my-flask-app", "myusername/app:v1")
    ok("tag", "my-flask-app", "myusername/app:v2")
    forgotten = run("push", "myusername/app")
    assert forgotten.stdout == "Using default tag: latest\n"
    assert forgotten.stderr == (
        "tag does not exist: myusername/app:latest; there is myusername/app:v1, myusername/app:v2\n"
    )


def test_a_pull_names_only_the_layers_that_are_not_here(ok: Ok, image_id: str) -> None:
    ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
    ok("push", "-q", "myusername/my-flask-app")
    pulled = ok("pull", "myusername/my-flask-app")
    assert pulled.count(": Already exists") == 2 and "Pulling fs layer" not in pulled


def test_every_request_can_be_shown(ok: Ok, image_id: str) -> None:
    ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
    shown = ok("push", "myusername/my-flask-app", "--show-http")
    header = next(line for line in shown.splitlines() if line.startswith("METHOD"))
    assert header.split() == ["METHOD", "STATUS", "SENT", "RECEIVED", "PATH"]
    assert any(
        line.startswith("PUT ") and line.endswith(" /v2/myusername/my-flask-app/manifests/latest")
        for line in shown.splitlines()
    )
    assert "secret" not in shown
    again = ok("push", "myusername/my-flask-app", "--show-http")
    assert "\n  not sent   " in again and ": 2 layers that was there" not in again
    assert ": 2 layers that were there already (HEAD answered 200)\n" in again
    assert "Why HEAD, to ask whether the blob is already there?\n  HEAD asks for the headers" in again


def test_a_layer_of_another_repository_is_mounted_instead_of_sent(ok: Ok, image_id: str) -> None:
    ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
    ok("push", "-q", "myusername/my-flask-app")
    ok("tag", "my-flask-app", "myusername/other")
    told = ok("push", "--show-http", "myusername/other")
    assert told.count(": Mounted from myusername/my-flask-app\n") == 2 and ": Pushed" not in told
    assert ": 2 layers that the registry took over from myusername/my-flask-app (mount answered 201)\n" in told
    assert "The registry keeps every blob once." in told
    # Where it is no more it is sent.
    for name in ("my-flask-app", "other"):
        ok("registry", "rm", "-f", "--manifest", f"myusername/{name}")
    ok("registry", "garbage-collect", "--all", "--force")
    ok("tag", "my-flask-app", "myusername/third")
    assert ok("push", "myusername/third").count(": Pushed") == 2


def test_push_pull_and_from_record_the_digest_and_from_finds_it_without_the_registry(
    ok: Ok, run: Run, image_id: str, app: Path, tmp_path: Path
) -> None:
    ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
    (digest,) = re.findall(r"digest: (sha256:\w+)", ok("push", "myusername/my-flask-app"))
    assert [line.split()[:3] for line in ok("images", "--digests", "myusername/*").splitlines()[1:]] == [
        ["myusername/my-flask-app", "latest", digest]
    ]
    address = ok("registry", "status").split("Running: ")[1].split()[0]
    name, pulling, building = f"{address}/myusername/my-flask-app", tmp_path / "pulling", tmp_path / "building"
    by_digest = f"{name}@{digest}"
    printed = ok("--root", pulling, "pull", f"{name}:latest@{digest}").splitlines()
    assert printed[0] == f"{by_digest}: Pulling from myusername/my-flask-app"
    assert printed[-3:] == [
        f"Digest: {digest}", f"Status: Downloaded newer image for {by_digest}", f"{name}:latest@{digest}"
    ]  # fmt: skip
    told = run("--root", tmp_path / "running", "run", "--rm", by_digest).stderr.splitlines()
    assert told[0] == f"Unable to find image '{by_digest}' locally"
    at = told.index(f"Digest: {digest}")
    assert told[at + 1] == f"Status: Downloaded newer image for {by_digest}"
    (app / "Dockerfile").write_text(f"FROM {name}\nLABEL a=b\n")
    ok("--root", building, "build", "-q", app)
    for root in (pulling, building):
        assert (
            ok("--root", root, "inspect", "-f", "{{.Id}} {{.RepoDigests}}", by_digest) == f"{image_id} [{by_digest}]\n"
        )
    ok("registry", "stop")
    for written in (by_digest, f"{name}:other@{digest}"):
        (app / "Dockerfile").write_text(f"FROM {written}\nLABEL b={written}\n")
        for root in (pulling, building):
            ok("--root", root, "build", "-q", app)
    refused = run("push", f"myusername/my-flask-app@{digest}")
    assert (refused.exit_code, refused.stdout) == (1, "") and "cannot push a digest reference" in refused.stderr


def test_a_pull_tells_what_it_fetched(ok: Ok, image_id: str, tmp_path: Path) -> None:
    ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
    ok("push", "-q", "myusername/my-flask-app")
    address = ok("registry", "status").split("Running: ")[1].split()[0]
    there = ("--root", tmp_path / "other", "pull", "--show-http", f"{address}/myusername/my-flask-app")
    first, second = ok(*there), ok(*there)
    assert ": 2 layers\n" in first and "\n  fetched    " in first
    assert ": 2 layers that were here already\n" in second and "\n  not fetched " in second


def test_a_wrong_password_and_a_stranger_are_refused(ok: Ok, run: Run, image_id: str) -> None:
    assert ok("login", "-u", "myusername", "-p", "secret")
    wrong = run("login", "-u", "myusername", "--password-stdin", stdin="guess\n")
    assert wrong.exit_code == 1 and wrong.stderr.count("\n") == 1 and "practice registry" in wrong.stderr
    assert ok("logout").strip() == "Removing login credentials for https://index.docker.io/v1/"
    assert ok("logout").strip() == "Not logged in to https://index.docker.io/v1/"
    refused = run("push", "-q", "myusername/my-flask-app")
    assert refused.exit_code == 1 and refused.stderr.startswith("denied: requested access to the resource is denied")


@pytest.mark.parametrize(
    "words,said",
    [
        (["login"], "Cannot perform an interactive login from a non TTY device"),
        (["login", "--password-stdin"], "Must provide --username with --password-stdin"),
        (["push", "nosuch/image"], "An image does not exist locally with the tag: nosuch/image"),
        (["push", "-a", "nosuch/image:v1"], "tag can't be used with --all-tags/-a"),
        (["pull", "-a", "nosuch/image:v1"], "tag can't be used with --all-tags/-a"),
        (["push", f"a/b@sha256:{'0' * 64}"], "cannot push a digest reference; push it by a tag"),
        (["pull", "-q", "nosuch/image"], "manifest for nosuch/image:latest not found: manifest unknown"),
        (["pull", "-q", "ubuntu"], "manifest for ubuntu:latest not found: manifest unknown; the practice registry has"),
        (["pull", "-q", "NoSuch.invalid/a"], "names of users are in lower case: nosuch.invalid"),
        (["pull", "UPPER"], "must be lowercase"),
        (["pull", "-q", "127.0.0.1:1/a"], "cannot reach 127.0.0.1:1: connection refused"),
        (["pull", "-q", "registry.invalid/a"], "cannot reach registry.invalid"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_clear_line(run: Run, words: list[str], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert said in result.stderr and result.stderr.count("\n") == 1, result.stderr


def test_the_registry_is_served_told_and_stopped(ok: Ok, run: Run) -> None:
    assert run("registry", "status").exit_code == 1
    address = ok("registry", "serve", "--detach").strip()
    assert f"Running: {address}" in ok("registry", "status")
    again = run("registry", "serve", "--detach")
    assert again.exit_code == 1 and "runs already" in again.stderr
    assert ok("registry", "stop").strip() == "The practice registry is stopped."
    assert ok("registry", "stop").strip() == "The practice registry was not running."


def test_a_port_that_is_taken_is_told(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("registry", "serve", "--detach", "--port", str(port))
    assert result.exit_code == 1
    assert f"port {port} on 127.0.0.1 is already taken" in result.stderr and result.stderr.count("\n") == 1


def test_the_page_is_where_the_command_says(ok: Ok, image_id: str) -> None:
    ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
    ok("push", "-q", "myusername/my-flask-app")
    address = ok("registry", "page").strip()
    assert f"Page: {address}" in ok("registry", "status")
    assert "myusername/my-flask-app" in httpx.get(address, trust_env=False).text


def test_behind_a_hub_the_page_is_below_its_prefix_and_opens_with_the_key(
    ok: Ok, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = ok("registry", "page").strip()
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    said = run("registry", "page").stderr
    found = re.search(rf"/user/ada/proxy/{address.rstrip('/').rpartition(':')[2]}/(\?key=[0-9a-f]{{64}})", said)
    assert found is not None, said
    there = {"Host": "hub.example.org"}
    assert httpx.get(address, headers=there, trust_env=False).status_code == 403
    assert httpx.get(address + found[1], headers=there, trust_env=False).status_code == 200


def test_a_delete_tells_what_it_frees_and_the_garbage_is_collected(
    ok: Ok, run: Run, image_id: str, app: Path, root: Path
) -> None:
    ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
    ok("push", "-q", "myusername/my-flask-app")
    (app / "requirements.txt").write_text("flask\ngunicorn\n")
    ok("build", "-q", "-t", "myusername/my-flask-app:v2", app)
    ok("push", "-q", "myusername/my-flask-app:v2")
    name = "myusername/my-flask-app:v2"
    unanswered = run("registry", "rm", name)
    assert unanswered.exit_code == 1 and unanswered.stderr == "nobody is there to confirm; use --force\n"
    assert "This removes the tag v2: a name." in unanswered.stdout
    told = ok("registry", "rm", "-f", "--manifest", "--show-http", name)
    assert "named by myusername/my-flask-app:latest" in told
    assert "remove a tag or a manifest" in told and "DELETE    202" in told
    assert run("registry", "rm", "-f", name).stderr == f"{name} is not in the practice registry\n"
    before = held(root)
    assert "came within the last hour" in ok("registry", "garbage-collect", "-n", "-f")
    assert held(root) == before
    freed = ok("registry", "garbage-collect", "--all", "--force")
    assert "Total reclaimed space: " in freed and held(root) < before
    assert ok("registry", "garbage-collect").endswith("There is no garbage.\n")
    assert "latest: Pulling from" in ok("pull", "myusername/my-flask-app")


def test_images_that_lost_their_tag_are_removed_if_asked_for(ok: Ok, image_id: str, app: Path, root: Path) -> None:
    ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
    ok("push", "-q", "myusername/my-flask-app")
    old = next((root / "registry" / "repositories").rglob("_manifests/sha256/*"))
    os.utime(old, (0, 0))
    (app / "requirements.txt").write_text("flask\ngunicorn\n")
    ok("build", "-q", "-t", "myusername/my-flask-app", app)
    ok("push", "-q", "myusername/my-flask-app")
    line = f"manifest without a tag: myusername/my-flask-app@sha256:{old.name}"
    for arguments, stays in ((("-n",), True), (("-f",), True), (("-m", "-n"), True), (("-m", "-f"), False)):
        told = ok("registry", "garbage-collect", *arguments)
        assert (line in told) == ("-m" in arguments) and old.exists() == stays
    (app / "requirements.txt").write_text("flask\ntoo young\n")
    ok("build", "-q", "-t", "myusername/my-flask-app", app)
    ok("push", "-q", "myusername/my-flask-app")
    young = ok("registry", "garbage-collect", "-m", "-f")
    assert "manifest without a tag" not in young and young.endswith("--all removes them too.\n")
    assert "manifest without a tag" in ok("registry", "garbage-collect", "-m", "-f", "--all")
    assert ok("registry", "garbage-collect").endswith("There is no garbage.\n")
    assert "latest: Pulling from" in ok("pull", "myusername/my-flask-app")


def test_what_loses_its_tag_while_one_is_asked_is_not_removed(ok: Ok, image_id: str, app: Path, root: Path) -> None:
    ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
    for number in range(3):
        (app / "requirements.txt").write_text(f"flask=={number}\n")
        ok("build", "-q", "-t", "myusername/my-flask-app", app)
        ok("push", "-q", "myusername/my-flask-app")
    links = root / "registry/repositories/myusername/my-flask-app"
    tagged = (links / "_tags/latest").read_text().partition(":")[2]
    for one in (links / "_manifests/sha256").iterdir():
        os.utime(one, (0, 0))

    class Answer(io.BytesIO):
        """Says yes, and takes the tag away before."""

        def readline(self, size: int | None = -1) -> bytes:
            (links / "_tags/latest").unlink(missing_ok=True)
            return super().readline(size)

        def read1(self, size: int | None = -1) -> bytes:
            (links / "_tags/latest").unlink(missing_ok=True)
            return super().read1(size)

    result = CliRunner(env={"DOCKERSIM_HOME": str(root)}).invoke(
        main, ["registry", "garbage-collect", "-m"], input=Answer(b"y\nn\n")
    )
    assert "2 manifests are removed" in result.stdout and not (links / "_tags/latest").exists()
    assert [one.name for one in (links / "_manifests/sha256").iterdir()] == [tagged]


def held(root: Path) -> int:
    return sum(one.stat().st_size for one in (root / "registry/blobs").rglob("*") if one.is_file())


def test_what_another_registry_holds_is_not_ours_to_plan(run: Run) -> None:
    refused = run("registry", "rm", "-f", "127.0.0.1:1/a/b")
    assert refused.exit_code == 1 and "is not the practice registry" in refused.stderr


def test_what_is_read_from_one_registry_is_not_removed_from_another(
    ok: Ok, run: Run, image_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another registry plays the practice registry, and holds an image of the same name."""
    name = "myusername/my-flask-app"
    with serving(make_app(tmp_path / "theirs")) as theirs:
        for setting in ("", theirs.registry):
            monkeypatch.setenv("DOCKERSIM_REGISTRY", setting)
            ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
            ok("push", "-q", name)
        told = ok("registry", "rm", "-f", name)
        assert told.startswith(f"This removes the tag latest from {theirs.registry}; what that frees, and when, only")
        assert run("pull", name).exit_code == 1
        ok("push", "-q", name)
        assert "This removes the manifest " in ok("registry", "rm", "-f", "--manifest", name)
        refused = run("registry", "rm", "-f", "--as-admin", name)
        assert refused.exit_code == 1 and refused.stderr.startswith(f"{theirs.registry} is not the practice registry;")
        monkeypatch.setenv("DOCKERSIM_REGISTRY", "127.0.0.1:1")
        assert run("registry", "rm", "-f", name).stderr.endswith("; check the name and your connection\n")
        monkeypatch.setenv("DOCKERSIM_REGISTRY", "")
        assert "latest: Pulling from" in ok("pull", name), "ours has it still"


def test_what_debians_registry_holds_is_seen_pulled_and_removed(
    ok: Ok, run: Run, image_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        with docker_registry(tmp_path) as url:
            monkeypatch.setenv("DOCKERSIM_REGISTRY", url)
            for name in ("myusername/my-flask-app:v1", "myusername/my-flask-app:latest"):
                ok("tag", image_id, name)
                ok("push", "-q", name)
                ok("rmi", name)
            pulled = ok("pull", "-a", "myusername/my-flask-app").splitlines()
            assert sum(line.startswith("Digest: ") for line in pulled) == 2
            assert pulled[-2:] == [
                "Status: Downloaded newer image for myusername/my-flask-app",
                "docker.io/myusername/my-flask-app",
            ]
            assert ok("images", "-q", "myusername/my-flask-app:v1")
            refused = run("registry", "rm", "-f", "myusername/my-flask-app:v1")
            assert refused.exit_code == 1 and refused.stderr.endswith(
                "some registries remove no tags; try --manifest\n"
            )
            ok("registry", "rm", "-f", "--manifest", "myusername/my-flask-app:v1")
            assert ok("registry", "status").splitlines()[1:] == ["  myusername/my-flask-app: (no tag)"]
    except NotInstalled:
        pytest.skip("docker-registry is not installed")


def test_who_runs_the_registry_may_remove_what_belongs_to_others(ok: Ok, run: Run, image_id: str) -> None:
    name = "myusername/my-flask-app"
    ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
    ok("push", "-q", name)
    ok("login", "-u", "teacher", "--password-stdin", stdin="secret\n")
    refused = run("registry", "rm", "-f", name)
    assert refused.exit_code == 1 and refused.stderr.endswith("; who runs the registry adds --as-admin\n")
    ok("registry", "rm", "-f", "--as-admin", "--manifest", name)
    assert run("pull", name).exit_code == 1
    assert run("registry", "rm", "-f", "--as-admin", name).stderr == f"{name}:latest is not in the practice registry\n"


def test_a_class_is_told_where_the_registry_is_and_sees_what_it_has(
    ok: Ok, run: Run, image_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = run("--root", tmp_path / "teacher", "registry", "serve", "--detach", "--host", "0.0.0.0")
    try:
        told = ok("--root", tmp_path / "teacher", "registry", "status")
        [address] = re.findall(r"^On other machines: export DOCKERSIM_REGISTRY=(http://\S+)$", told, re.MULTILINE)
        assert served.stderr == f"On other machines: export DOCKERSIM_REGISTRY={address}\n"
        local = f"http://{served.stdout.strip()}"
        monkeypatch.setenv("DOCKERSIM_REGISTRY", local)
        ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
        ok("push", "-q", "myusername/my-flask-app")
        assert ok("registry", "status").splitlines() == [
            f"Registry: {local}/ (DOCKERSIM_REGISTRY)",
            "  myusername/my-flask-app: latest",
        ]
        assert ok("registry", "page") == f"{local}/\n"
    finally:
        stop(tmp_path / "teacher" / "registry")


def test_an_image_of_another_platform_is_pulled_when_it_is_asked_for(
    ok: Ok, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = Engine(tmp_path / "foreign", environment={})
    config = ImageConfig("riscv64", config=ContainerConfig(cmd=("sh",)))
    address = foreign.shipping.practice_registry().registry
    foreign.store.images.put(config, [], [parse_reference(f"{address}/test/app")])
    foreign.shipping.push(f"{address}/test/app", lambda event: None)
    try:
        refused = run("pull", f"{address}/test/app")
        assert refused.exit_code == 1 and "is an image for linux/riscv64, not for linux/" in refused.stderr
        pulled = ok("pull", "--platform", "linux/riscv64", f"{address}/test/app")
        assert "Downloaded newer image" in pulled
        wrong = run("pull", "--platform", "riscv64", f"{address}/test/app")
        assert wrong.exit_code == 1 and "not a platform: riscv64" in wrong.stderr
        longer = run("pull", "--platform", "a/b/c/d", f"{address}/test/app")
        assert longer.exit_code == 1 and "not a platform: a/b/c/d" in longer.stderr
    finally:
        stop(foreign.root / "registry")


def test_another_registry_can_be_the_practice_registry(
    ok: Ok, image_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(make_app(tmp_path / "theirs")) as address:
        monkeypatch.setenv("DOCKERSIM_REGISTRY", address.registry)
        login = ok("login", "-u", "myusername", "--password-stdin", stdin="secret\n")
        assert f"Docker Hub is played by the practice registry ({address.registry})." in login
        assert ": Pushed" in ok("push", "myusername/my-flask-app")
        ok("rmi", "myusername/my-flask-app")
        assert "Image is up to date" not in ok("pull", "myusername/my-flask-app")
        assert ok("logout").strip() == f"Removing login credentials for {address.registry}"


@pytest.mark.parametrize("command", ["pull", "build"])
def test_what_a_registry_warns_of_is_told_once_beside_the_output(run: Run, tmp_path: Path, command: str) -> None:
    with stranger(lambda ask: ask.say(404, Warning='299 - "closing\x1b down"')) as (address, seen):
        (tmp_path / "Dockerfile").write_text(f"FROM {address}/one\nFROM {address}/two\nCOPY --from=0 / /\n")
        failed = run(command, f"{address}/alice/app" if command == "pull" else tmp_path)
        assert failed.exit_code == 1 and seen
        lines = failed.stderr.splitlines()
        assert [line for line in lines if "closing" in line] == [f"WARNING: {address} says: closing\\x1b down"]
        assert "closing" not in failed.stdout


def test_in_a_notebook_the_warning_of_a_registry_stands_in_the_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with stranger(lambda ask: ask.say(404, Warning='299 - "closing down"')) as (address, _):
        session = Session(tmp_path / "root", notebook=True)
        assert main.main(["pull", f"{address}/alice/app"], "docker", standalone_mode=False, obj=session) == 1
    assert f"WARNING: {address} says: closing down\n" in capsys.readouterr().out


@pytest.mark.parametrize("server", ["https://index.docker.io/v1/", "docker.io", "https://docker.io/"])
def test_docker_hub_has_many_names(ok: Ok, server: str) -> None:
    assert "played by the practice registry" in ok("login", "-u", "alice", "-p", "secret", server)


def test_an_address_with_a_password_is_refused_and_not_shown(run: Run) -> None:
    result = run("login", "-u", "a", "-p", "b", "https://alice:s3cret@registry.example/v2/")
    assert result.exit_code == 1 and result.stderr.count("\n") == 2  # docker's warning comes first
    assert "not the address of a registry: 'registry.example'" in result.stderr and "s3cret" not in result.output
