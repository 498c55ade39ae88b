"""``dockersim build``."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import signal
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dockersim.cli.build import arguments
from dockersim.engine import Engine, replay
from tests.engine.git_server import git_server, needs_git

from .conftest import Run, start


def test_it_builds_and_names(ok: Callable[..., str], root: Path, app: Path) -> None:
    image_id = ok("build", "-q", "-t", "my-flask-app", "-t", "other:v1", "--label", "a=b", app).strip()
    image = Engine(root).store.images.get("my-flask-app")
    assert image.id == image_id
    assert [name.familiar() for name in image.names] == ["my-flask-app:latest", "other:v1"]
    assert dict(image.config.config.labels)["a"] == "b"


def test_progress_goes_to_stderr_and_reads_like_buildkits(run: Run, app: Path) -> None:
    result = run("build", "-t", "app", app)
    assert result.stdout == ""
    assert "#1 [internal] load build definition from Dockerfile" in result.stderr
    assert "[2/2] COPY . /app" in result.stderr
    assert "naming to docker.io/library/app:latest done" in result.stderr
    again = run("build", "-t", "app", app)
    assert again.stderr.count("CACHED") == 2


def test_progress_as_json_is_one_event_a_line(ok: Callable[..., str], app: Path) -> None:
    events = [json.loads(line) for line in ok("build", "--progress", "json", app).splitlines()]
    assert [event["event"] for event in events][:2] == ["PlanMade", "StepStarted"]
    finished = [event for event in events if event["event"] == "StepFinished"]
    assert [event["state"] for event in finished] == ["done"] * 4
    assert events[-1]["event"] == "BuildFinished" and events[-1]["image"]["id"].startswith("sha256:")


def test_on_a_terminal_it_is_drawn_until_it_is_finished(shell_root: Path, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM dockersim/starter:shell\nRUN echo said; sleep 0.5; exit 4\n")
    ours, theirs = pty.openpty()
    process = start(shell_root, "build", "--no-cache", tmp_path, stderr=theirs)
    os.close(theirs)
    drawn = b""
    with contextlib.suppress(OSError):  # EIO: the last one that had the terminal open has gone
        while piece := os.read(ours, 65536):
            drawn += piece
    os.close(ours)
    assert process.wait(20) == 1
    text = drawn.decode()
    assert "[+] Building 0." in text and "\x1b[J" in text
    assert " => => # said" in text
    assert " => ERROR [2/2] RUN echo said; sleep 0.5; exit 4" in text
    assert text.rstrip().endswith("did not complete successfully: exit code: 4")


def test_drawing_needs_a_terminal(run: Run, app: Path) -> None:
    result = run("build", "--progress", "tty", app)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "use --progress=plain" in result.stderr


def test_the_dockerfile_may_come_through_stdin(ok: Callable[..., str], root: Path, app: Path) -> None:
    ok("build", "-t", "one", "-f", "-", app, stdin="FROM scratch\nCOPY app.py /here\n")
    files = Engine(root).store.files(Engine(root).store.images.get("one").config.diff_ids)
    assert files.text("/here") == "print('hello')\n"


def test_without_a_context_the_dockerfile_is_all_there_is(ok: Callable[..., str], root: Path) -> None:
    ok("build", "-t", "two", "-", stdin="FROM scratch\nLABEL a=b\n")
    assert dict(Engine(root).store.images.get("two").config.config.labels) == {"a": "b"}


def test_a_context_may_come_as_an_archive(ok: Callable[..., str], root: Path, app: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(app, ".")
    ok("build", "-t", "three", "-", stdin=packed.getvalue())
    files = Engine(root).store.files(Engine(root).store.images.get("three").config.diff_ids)
    assert files.exists("/app/requirements.txt")


def test_an_archive_cannot_write_outside_its_folder(run: Run, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("../../escaped")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))
        dockerfile = tarfile.TarInfo("Dockerfile")
        dockerfile.size = len(text := b"FROM scratch\nCOPY escaped /\n")
        archive.addfile(dockerfile, io.BytesIO(text))
    assert run("build", "-", stdin=packed.getvalue()).exit_code == 0, "it lies in the context, as in docker"
    assert not list(tmp_path.rglob("escaped"))
    assert not any(Path(tempfile.gettempdir(), *up, "escaped").exists() for up in ((), ("..",), ("..", "..")))


LINKS = {
    "the Dockerfile": {"Dockerfile": "/etc/hostname"},
    "a folder above it": {"in": "/etc"},
    "the ignore file": {"Dockerfile": None, ".dockerignore": "/dev/zero"},
    "the Dockerfile's ignore file": {"Dockerfile": None, "Dockerfile.dockerignore": "/etc/passwd"},
}


@pytest.mark.parametrize("links", LINKS.values(), ids=LINKS)
def test_a_link_in_an_archive_is_not_followed_to_the_host(run: Run, links: dict[str, str | None]) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            text = b"" if target else b"FROM scratch\nCOPY . /\n"
            member.linkname, member.size = target or "", len(text)
            member.type = tarfile.SYMTYPE if target else tarfile.REGTYPE
            archive.addfile(member, io.BytesIO(text))
    result = run("build", *(["-f", "in/hostname"] if "in" in links else []), "-", stdin=packed.getvalue())
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert "no regular file" in result.stderr or "no such file" in result.stderr


def test_an_archive_that_is_cut_off_is_told_in_one_line(run: Run, app: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(app, ".")
    result = run("build", "-", stdin=packed.getvalue()[:-40])
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert "cannot be unpacked" in result.stderr


def test_build_args_come_from_the_line_or_the_environment() -> None:
    assert arguments(("A=1", "B", "C"), {"B": "from here"}) == {"A": "1", "B": "from here"}


def test_a_trace_is_written_when_the_build_fails_too(run: Run, app: Path, tmp_path: Path) -> None:
    (app / "Dockerfile").write_text("FROM scratch\nCOPY app.py /a\nCOPY nothere /b\n")
    result = run("build", "--trace", tmp_path / "t.json", app)
    assert result.exit_code == 1
    document = json.loads((tmp_path / "t.json").read_text())
    assert (document["ok"], document["error"]["line"]) == (False, 3)
    assert [step["state"] for step in document["steps"]] == ["done", "done", "error"]


def test_a_trace_replays(ok: Callable[..., str], app: Path, tmp_path: Path) -> None:
    ok("build", "--trace", tmp_path / "t.json", app)
    build = replay((tmp_path / "t.json").read_text())
    assert [step.keyword for step in build] == ["FROM", "WORKDIR", "COPY", "ENTRYPOINT"]


def test_a_dockerfile_need_not_be_utf8(run: Run, app: Path, tmp_path: Path) -> None:
    (app / "Dockerfile").write_bytes(b"FROM scratch\nLABEL name=caf\xe9\nCOPY app.py /\n")
    plain = run("build", "--trace", tmp_path / "t.json", app)
    assert plain.exit_code == 0, plain.stderr
    assert [step.keyword for step in replay((tmp_path / "t.json").read_text())] == ["FROM", "LABEL", "COPY"]
    assert run("build", "--progress", "json", app).exit_code == 0
    assert "caf\\udce9" in run("plan", app).stdout
    assert run("step", app, stdin="n\nn\nw\nq\n").exit_code == 0


def test_the_image_id_is_written_to_a_file(ok: Callable[..., str], app: Path, tmp_path: Path) -> None:
    assert ok("build", "-q", "--iidfile", tmp_path / "iid", app).strip() == (tmp_path / "iid").read_text()


def test_a_failing_run_shows_its_last_words_and_the_place(shell: Run, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM dockersim/starter:shell\n\nRUN echo the last words; exit 3\n")
    result = shell("build", tmp_path)
    assert result.exit_code == 1
    assert " > [2/2] RUN echo the last words; exit 3:" in result.stderr
    assert "   3 | >>> RUN echo the last words; exit 3" in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    said = 'process "/bin/sh -c echo the last words; exit 3" did not complete successfully: exit code: 3'
    assert last == f"ERROR: failed to solve: Dockerfile:3: {said}"


def test_control_c_stops_the_run_and_keeps_the_steps_before(shell_root: Path, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM dockersim/starter:shell\nRUN echo before > /before\nRUN echo started; sleep 1000.25\n"
    )
    process = start(shell_root, "build", tmp_path, process_group=0)
    assert process.stderr is not None
    for line in process.stderr:
        if line.endswith(" started\n"):
            break
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    assert said.strip().splitlines()[-1].startswith("CANCELED: the steps before are kept")
    time.sleep(0.2)
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and b"1000.25" in _command_line(pid)]
    document = start(shell_root, "plan", tmp_path).communicate(timeout=20)[0]
    assert "CACHED" in document.splitlines()[2] and "RUN " in document.splitlines()[3]


def _command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@needs_git
def test_a_git_repository_is_a_context(run: Run, tmp_path: Path) -> None:
    with git_server(tmp_path / "served") as server:
        repository = server.repository("app")
        repository.commit(sub__Dockerfile="FROM scratch\nCOPY x /\n", sub__x="x\n")
        built = run("build", f"{repository.url}#main:sub")
        assert built.exit_code == 0, built.output
        assert f"#1 [internal] load git source {repository.url}#main:sub" in built.stderr
        assert "CACHED" in run("plan", f"{repository.url}#main:sub").stdout
        assert (
            "CACHED"
            in run("build", "--pull", "-f", "-", f"{repository.url}#main:sub", stdin="FROM scratch\nCOPY x /\n").stderr
        )


SHELL = "FROM dockersim/starter:shell\n"
APP = ["build", "{app}"]

BAD = {
    "missing context": (["build", "{app}/nope"], "", 'unable to prepare context: path "{app}/nope" not found'),
    "missing Dockerfile": (["build", "{app}", "-f", "{app}/None"], "", "failed to read dockerfile: open None"),
    "unknown instruction": (APP, "FORM scratch\n", "Dockerfile:1: unknown instruction: FORM; did you mean FROM?"),
    "empty Dockerfile": (APP, "", "the Dockerfile cannot be empty; begin it with FROM"),
    "missing source": (APP, "FROM scratch\nCOPY nothere /\n", '"/nothere": not found'),
    "source above the context": (APP, "FROM scratch\nCOPY ../secret /\n", '"/secret": not found'),
    "unknown image": (
        APP,
        "FROM registry.invalid/nosuch\n",
        "Dockerfile:1: registry.invalid/nosuch:latest cannot be had",
    ),
    "bad tag": (["build", "-t", "UPPER", "{app}"], "FROM scratch\n", "name (library/UPPER) must be lowercase; write"),
    "unknown stage": (["build", "--target", "nope", "{app}"], "FROM scratch\n", "nope"),
    "unknown sandbox": (["build", "--sandbox", "nope", "{app}"], f"{SHELL}RUN true\n", "no sandbox is called nope"),
    "other platform": (["build", "--platform", "linux/s390x", "{app}"], SHELL, "this build is for linux/s390x"),
    "remote context": (["build", "http://127.0.0.1:1/x.git"], "", "failed to fetch remote http://127.0.0.1:1/x.git"),
    "remote context that is none": (["build", "https://example.com/x.git?y=1"], "", 'unexpected query "y"'),
    "nothing on stdin": (["build", "-"], "", "stdin is empty"),
    "context and Dockerfile on stdin": (["build", "-f", "-", "-"], "", "can't use stdin for both"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_line(shell: Run, app: Path, name: str) -> None:
    words, dockerfile, said = BAD[name]
    (app / "Dockerfile").write_text(dockerfile)
    result = shell(*(word.format(app=app) for word in words))
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if said.format(app=app) in line]
    assert lines and lines[-1] == result.stderr.rstrip().splitlines()[-1], result.stderr
    assert "Traceback" not in result.stderr


def test_pull_says_when_the_registry_cannot_be_reached(shell: Run, app: Path) -> None:
    (app / "Dockerfile").write_text("FROM dockersim/starter:shell\n")
    kept = shell("build", "--pull", app)
    assert kept.exit_code == 0 and "--pull" not in kept.stderr
    (app / "Dockerfile").write_text("FROM registry.invalid/nosuch\n")
    assert (
        "--pull: registry.invalid/nosuch:latest: cannot reach registry.invalid" in shell("build", "--pull", app).stderr
    )
