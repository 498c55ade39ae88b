"""``images``, ``history``, ``tag``, ``rmi``, ``image prune``, ``inspect``, ``save``, ``load``, ``import``."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dockersim import Engine
from dockersim.oci import ImageConfig, parse_reference
from tests.engine.web import serving

from .conftest import Run

Ok = Callable[..., str]


@pytest.fixture
def image_id(ok: Ok, app: Path) -> str:
    """An image called my-flask-app."""
    return ok("build", "-q", "-t", "my-flask-app", app).strip()


def test_images_has_dockers_columns(ok: Ok, image_id: str) -> None:
    header, row = ok("images").splitlines()
    assert header.split("  ")[0] == "REPOSITORY"
    assert header.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert row.split()[:3] == ["my-flask-app", "latest", image_id[7:19]]
    assert row.endswith(" ago   21B")


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="by design: a process cannot change its time zone on Windows")
@pytest.mark.parametrize(
    ("created", "zone"), [("9999-12-31T23:59:59Z", "east-1"), ("0001-01-01T00:00:01Z", "west+5")], ids=["last", "first"]
)
def test_an_image_from_the_end_of_time(
    ok: Ok, root: Path, monkeypatch: pytest.MonkeyPatch, created: str, zone: str
) -> None:
    """By this machine's clock it would be in another year, which Python's calendar does not have."""
    Engine(root).store.images.put(ImageConfig("amd64", created=created).to_json(), (), [parse_reference("odd")])
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        shown = ok("images", "--format", "{{.CreatedAt}}")
    time.tzset()
    assert shown.split()[1:] == [created[11:19], "+0000", "UTC"]


def test_images_are_filtered_and_formatted(ok: Ok, image_id: str) -> None:
    ok("tag", "my-flask-app", "registry.example/team/app:v1")
    assert ok("images", "-q").split() == [image_id[7:19]] * 2, "one for each name"
    assert ok("images", "-q", "--no-trunc").split() == [image_id] * 2
    assert ok("images", "--format", "{{.ID}}", "nosuch") == "", "no row is not an empty one"
    assert len(ok("images", "registry.example/team/*").splitlines()) == 2
    assert ok("images", "--format", "{{.Repository}}:{{.Tag}}").split() == [
        "my-flask-app:latest",
        "registry.example/team/app:v1",
    ]
    assert ok("images", "--format", r"table {{.ID}}\t{{.Tag}}").splitlines()[0].split() == ["IMAGE", "ID", "TAG"]
    assert [json.loads(line)["Tag"] for line in ok("images", "--format", "json").splitlines()] == ["latest", "v1"]
    assert len(ok("images", "--filter", "dangling=true").splitlines()) == 1


def test_names_by_digest(ok: Ok, root: Path, image_id: str) -> None:
    """As test_digests_alike sees them in docker, where there is one."""
    images = Engine(root).store.images
    first, second = (f"sha256:{letter * 64}" for letter in "ab")
    for name in (f"app@{first}", f"app@{second}", f"other@{first}"):
        images.add_digest(images.get(image_id).id, parse_reference(name))
    rows = ("images", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}")
    ok("tag", image_id, "app:1")
    ok("rmi", "my-flask-app")
    assert ok(*rows).splitlines() == [f"app 1 {first}", f"app 1 {second}", "other <none> "]
    assert ok(*rows, "--digests").splitlines()[2:] == [f"other <none> {first}"]
    assert ok("images", "--filter", "dangling=true", "-q") == ""
    assert ok(*rows, "--digests", "app").splitlines() == [f"app 1 {first}", f"app 1 {second}"]
    assert ok(*rows, "app:1", "--filter", "reference=other").splitlines() == ["app 1 <none>", "other <none> "]
    assert json.loads(ok("inspect", "app:1"))[0]["RepoDigests"] == [f"app@{first}", f"app@{second}", f"other@{first}"]
    untagged = [f"Untagged: app:1\nUntagged: app@{first}\nUntagged: app@{second}\n", f"Untagged: other@{first}\n"]
    assert ok("rmi", "app:1") == untagged[0]
    for words in ([], ["--filter", "dangling=true"], ["--filter", "dangling=false"], ["other"]):
        assert ok("images", "--digests", *words).splitlines()[1].split()[:3] == ["other", "<none>", first], words
    assert f"untagged: other@{first}\ndeleted: {image_id}\n" in ok("image", "prune", "--force")


def test_history_shows_the_layer_of_each_step_latest_first(ok: Ok, image_id: str) -> None:
    layers = json.loads(ok("inspect", "my-flask-app"))[0]["RootFS"]["Layers"]
    lines = ok("history", "my-flask-app").splitlines()
    assert lines[0].split() == ["LAYER", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    shown = [line.split()[0] for line in lines[1:]]
    assert shown == ["<empty>", layers[1][7:19], layers[0][7:19]]
    assert "ENTRYPOINT" in lines[1] and "COPY . /app # buildkit" in lines[2] and "21B" in lines[2]
    assert "<missing>" not in "".join(lines)
    assert [line.split()[0] for line in ok("history", "--no-trunc", "my-flask-app").splitlines()[2:]] == layers[::-1]
    assert ok("history", "-q", "my-flask-app").split() == [image_id[7:19]]
    assert ok("history", "-q", "--no-trunc", "my-flask-app").split() == [image_id]
    fields = "{{.ID}}|{{.Layer}}|{{.Size}}"
    assert ok("history", "-H", "my-flask-app") == ok("history", "--human=true", "my-flask-app")
    assert ok("history", "--human=false", "--format", fields, "my-flask-app").splitlines() == [
        f"{image_id[7:19]}|<empty>|0",
        f"|{layers[1][7:19]}|21",
        f"|{layers[0][7:19]}|0",
    ]


def test_rmi_takes_names_then_the_image(ok: Ok, run: Run, image_id: str) -> None:
    ok("tag", image_id[7:19], "other")
    assert ok("rmi", "other").splitlines() == ["Untagged: other:latest"]
    lines = ok("image", "rm", "my-flask-app").splitlines()
    assert lines[:2] == ["Untagged: my-flask-app:latest", f"Deleted: {image_id}"]
    gone = run("rmi", "my-flask-app", "nor-this")
    assert gone.exit_code == 1
    assert [line.partition(";")[0] for line in gone.stderr.splitlines()] == [
        "No such image: my-flask-app:latest",
        "No such image: nor-this:latest",
    ]


def test_prune_takes_dangling_images_and_asks_first(ok: Ok, run: Run, image_id: str, app: Path) -> None:
    (app / "app.py").write_text("print('other')\n")
    ok("build", "-q", "-t", "my-flask-app", app)
    assert len(ok("images").splitlines()) == 3
    assert run("image", "prune").exit_code == 1
    pruned = ok("image", "prune", "--force")
    assert f"deleted: {image_id}" in pruned.lower() and "Total reclaimed space: " in pruned
    assert len(ok("images").splitlines()) == 2
    ok("image", "prune", "-a", "-f")
    assert len(ok("images").splitlines()) == 1


def test_inspect_prints_json_or_a_field(ok: Ok, run: Run, image_id: str) -> None:
    [document] = json.loads(ok("inspect", "my-flask-app"))
    assert document["Id"] == image_id and document["Config"]["Entrypoint"] == ["python3", "app.py"]
    assert ok("image", "inspect", "-f", "{{json .Config.WorkingDir}}", "my-flask-app").strip() == '"/app"'
    missing = run("inspect", "nosuch")
    assert (missing.exit_code, missing.stdout.strip(), missing.stderr.strip()) == (
        1,
        "[]",
        "Error: No such object: nosuch",
    )
    wrong = run("inspect", "-f", "{{.Nope}}", "my-flask-app")
    assert wrong.exit_code == 1 and "template parsing error" in wrong.stderr


def test_an_image_travels_in_a_file(ok: Ok, run: Run, image_id: str, tmp_path: Path) -> None:
    ok("save", "my-flask-app", "-o", tmp_path / "image.tar")
    ok("rmi", "my-flask-app")
    assert ok("load", "-i", tmp_path / "image.tar").strip() == "Loaded image: my-flask-app:latest"
    assert ok("images", "-q", "--no-trunc").strip() == image_id
    piped = run("save", "my-flask-app").stdout_bytes
    assert piped == (tmp_path / "image.tar").read_bytes()
    assert ok("load", stdin=piped).strip() == "Loaded image: my-flask-app:latest"


def test_an_image_is_saved_as_an_oci_layout(ok: Ok, run: Run, image_id: str, tmp_path: Path) -> None:
    ok("save", "--format", "oci", "-o", tmp_path / "image.tar", "my-flask-app")
    with tarfile.open(tmp_path / "image.tar") as archive:
        names = {member.name for member in archive if member.isfile()}
    assert {"oci-layout", "index.json", f"blobs/sha256/{image_id.removeprefix('sha256:')}"} <= names
    assert "manifest.json" not in names, "that is docker's"
    assert run("save", "--format", "zip", "my-flask-app").exit_code != 0


def test_a_save_that_fails_leaves_the_file_as_it_was(run: Run, image_id: str, tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_text("precious")
    assert run("save", "my-flask-app", "nosuch", "-o", tmp_path / "image.tar").exit_code == 1
    assert [(path.name, path.read_text()) for path in tmp_path.glob("*.tar*")] == [("image.tar", "precious")]


def test_a_root_file_system_is_imported_with_changes(ok: Ok, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("etc/motd")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"hello"))
    ok(
        "import",
        "-c",
        'CMD ["cat", "/etc/motd"]',
        "-c",
        "ENV A=b",
        "-m",
        "by hand",
        "-",
        "motd:v1",
        stdin=packed.getvalue(),
    )
    [document] = json.loads(ok("inspect", "motd:v1"))
    assert document["Config"]["Cmd"] == ["cat", "/etc/motd"]
    assert "A=b" in document["Config"]["Env"] and document["Comment"] == "by hand"


def test_a_root_file_system_is_imported_from_the_web(ok: Ok, run: Run) -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("etc/empty"))
    with serving({"/root.tar.gz": tar.getvalue()}) as site:
        image_id = ok("import", f"{site.url}/root.tar.gz", "web").strip()
        [document] = json.loads(ok("inspect", "web"))
        assert (document["Id"], document["Comment"]) == (image_id, f"Imported from {site.url}/root.tar.gz")
        missing = run("import", f"{site.url}/nosuch", "web")
    assert missing.exit_code == 1 and missing.stderr.count("\n") == 1 and "404" in missing.stderr


@pytest.mark.parametrize(
    "words,said",
    [
        (["history", "nosuch"], "No such image: nosuch:latest"),
        (["tag", "nosuch", "x"], "No such image: nosuch:latest"),
        (["tag", "my-flask-app", "UPPER"], "must be lowercase"),
        (["save", "nosuch", "-o", "/tmp/never-written"], "No such image: nosuch:latest"),
        (["load", "-i", "/nope/x.tar"], "/nope/x.tar: No such file or directory"),
        (["load", "-i", __file__], f"{__file__}: not a tar"),
        (["save", "my-flask-app", "-o", "/nope/x.tar"], "invalid output path: directory /nope does not exist"),
        (["save", "my-flask-app", "-o", "/dev/full"], "the disk is full; free some space"),
        (["images", "--filter", "nope=1"], "invalid filter 'nope'; there are dangling="),
        (["images", "--filter", "nope"], 'invalid filter "nope": bad format of filter (expected name=value)'),
        (["image", "prune", "--filter", "until=soon"], 'failed to parse value as time or duration: "soon"; write it'),
        (["system", "prune", "--filter", "dangling=true"], "invalid filter 'dangling'; there are until=, label="),
        (["system", "prune", "--volumes", "--filter", "until=1h"], 'The "until" filter is not supported with'),
        (["diff", "my-flask-app"], "No such container: my-flask-app; to compare images, give two"),
        (["diff", "my-flask-app", "nosuch"], "No such image: nosuch:latest"),
        (["diff", "a", "b", "c"], "diff takes one container, or two images"),
        (["base", "add", "nosuch"], "no base image nosuch can be made here"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_bad_input_is_one_clear_line(run: Run, image_id: str, words: list[str], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert said in result.stderr and result.stderr.count("\n") == 1, result.stderr
    assert not Path("/tmp/never-written").exists()


def test_the_filter_reference_leaves_out_the_other_names(ok: Ok, image_id: str) -> None:
    ok("tag", "my-flask-app", "myusername/app:v2")
    names = ("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter")
    assert ok(*names, "reference=my-*") == "my-flask-app:latest\n"
    assert ok(*names, "reference=*/app") == "myusername/app:v2\n"
    both = {"my-flask-app:latest", "myusername/app:v2"}
    assert set(ok(*names, "reference=*/app", "my-flask-app").split()) == both  # docker's, too: one filter more
    assert set(ok(*names, "reference=*/app", "--filter", "reference=my-*").split()) == both


def test_only_the_stand_in_itself_is_called_one(run: Run, ok: Ok, tmp_path: Path) -> None:
    labels = "org.dockersim.stand-in=Debian org.opencontainers.image.title=ubuntu:latest"
    ok("build", "-q", "-t", "ubuntu", "-", stdin=f"FROM scratch\nLABEL {labels}\n")
    ok("build", "-q", "-t", "mine", "-", stdin="FROM ubuntu\nWORKDIR /app\n")
    assert run("images").stderr == "ubuntu:latest is a stand-in: Debian\n"
    assert run("images", "mine").stderr == ""


def test_load_tells_what_it_loaded_as_quietly_as_docker(ok: Ok, image_id: str, tmp_path: Path) -> None:
    ok("save", "my-flask-app", "-o", tmp_path / "app.tar")
    assert ok("load", "-q", "-i", tmp_path / "app.tar") == "Loaded image: my-flask-app:latest\n"


def test_a_corrupt_blob_is_told_and_nothing_is_loaded(
    run: Run, ok: Ok, root: Path, image_id: str, tmp_path: Path
) -> None:
    blob = root / "blobs" / "sha256" / image_id[7:]
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes().replace(b"linux", b"linus"))
    result = run("inspect", "--type", "image", "my-flask-app")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1 and "is damaged" in result.stderr


def test_two_images_are_compared(ok: Ok, image_id: str, app: Path) -> None:
    (app / "app.py").unlink()
    (app / "new.py").write_text("print('new')\n")
    ok("build", "-q", "-t", "other", app, "--label", "v=2")
    lines = ok("diff", "my-flask-app", "other").splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["D", "/app/app.py"], ["A", "/app/new.py"]]
    assert "+ Labels v=2" in lines and lines[-1].startswith("1 added, 1 deleted: 21B -> 19B (-2B)")
    document = json.loads(ok("image", "diff", image_id, "other", "--json"))
    assert [(file["what"], file["path"]) for file in document["files"]] == [
        ("deleted", "/app/app.py"),
        ("added", "/app/new.py"),
    ]
    assert ok("diff", "my-flask-app", "other", "--format", "{{.Type}} {{.Path}}").splitlines() == [
        "deleted /app/app.py",
        "added /app/new.py",
    ]
    assert ok("diff", "my-flask-app", "other", "--format", "table").split()[:4] == ["TYPE", "PATH", "BEFORE", "AFTER"]
