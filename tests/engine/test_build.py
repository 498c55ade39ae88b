"""Driving a build: forwards, backwards, to a line, over a failure, and from a recording."""

from __future__ import annotations

import json
import tarfile
import time
from pathlib import Path

import pytest

from dockersim import Engine, replay
from dockersim.engine import Build, NoSuchPath
from dockersim.errors import (
    BuildError,
    ContentError,
    ContextError,
    DockerfileError,
    DockersimError,
    ImageNotFound,
    RunFailed,
    SandboxError,
    StoreError,
)
from dockersim.filesystem import What
from dockersim.solver import OutputWritten, State, Verdict

GOOD = """\
FROM busybox
ENV GREETING=hello
WORKDIR /app
COPY . .
RUN echo "$GREETING from a RUN" | tee /app/said && rm /app/requirements.txt
CMD ["cat", "/app/said"]
"""


def test_steps_forwards_and_backwards(engine: Engine, context: Path) -> None:
    build = engine.build(context, text=GOOD, tags=["app"])
    assert [step.keyword for step in build] == ["FROM", "ENV", "WORKDIR", "COPY", "RUN", "CMD"]
    assert build.ok and build.step is not None and build.step.number == 6
    assert build.next() is None
    run = build.back()
    copy = build.back()
    assert run is not None and copy is not None
    assert (run.keyword, copy.keyword) == ("RUN", "COPY")
    assert copy.files.exists("/app/requirements.txt") and not copy.files.exists("/app/said")
    assert not run.files.exists("/app/requirements.txt")
    assert run.files.text("/app/said") == "hello from a RUN\n"
    assert build.next() is run, "going forward again shows the very same step"
    while build.back():
        pass
    assert build.step is not None and build.step.number == 1
    assert build.back() is None and build.step.number == 1


def test_a_step_tells_all_of_itself(engine: Engine, context: Path) -> None:
    build = engine.build(context, text=GOOD)
    step = build.run_to(5)
    assert step is not None
    assert step.vertex == '[4/4] RUN echo "hello from a RUN" | tee /app/said && rm /app/requirements.txt'
    assert [(use.name, use.value, use.origin, use.line) for use in step.variables] == [("GREETING", "hello", "ENV", 2)]
    assert step.cache.verdict is Verdict.MISS and step.cache.because == "never built before"
    changes = {change.path: change.what for change in step.diff()}
    assert changes["app/said"] is What.ADDED and changes["app/requirements.txt"] is What.DELETED
    assert (step.output, step.exit_code, step.added) == ("hello from a RUN\n", 0, 17)
    assert step.fidelity[0] in ("namespaces", "userns", "proot")
    assert step.config.config.working_dir == "/app" and step.image_size > step.added


def test_output_streams_while_the_command_runs(engine: Engine, context: Path) -> None:
    seen: list[str] = []
    build = engine.build(
        context,
        text="FROM busybox\nRUN echo one; sleep 0.3; echo two\n",
        on_event=lambda event: seen.append(event.text) if isinstance(event, OutputWritten) else None,
    )
    build.finish()
    assert seen == ["one\n", "two\n"], "two pieces, not one at the end"


def test_a_command_in_a_throw_away_copy_changes_nothing(engine: Engine, context: Path) -> None:
    build = engine.build(context, text=GOOD)
    step = build.run_to(4)
    assert step is not None
    result = step.run("echo new > /app/app.py; cat /app/app.py; exit 3")
    assert (result.exit_code, result.output) == (3, "new\n")
    assert step.files.text("/app/app.py") == "print('hello')\n"
    assert step.run("cat /app/app.py").output == "print('hello')\n"


def test_any_two_steps_can_be_compared(engine: Engine, context: Path) -> None:
    steps = list(engine.build(context, text=GOOD))
    paths = {change.path for change in steps[4].diff(steps[2])}
    assert {"app/app.py", "app/said"} <= paths
    assert steps[4].diff(steps[4]) == ()


def test_a_root_that_cannot_be_made(context: Path) -> None:
    time.sleep(0.1)  # the digest of a file that is younger is not kept
    with pytest.raises(StoreError, match=r"cannot make .*/proc/no"):
        Engine("/proc/no").build(context, text="FROM scratch\nCOPY app.py /\n").finish()


def test_a_killed_command_says_what_kills(engine: Engine, context: Path) -> None:
    with pytest.raises(RunFailed, match=r"exit code: 137; it was killed \(SIGKILL\), as the kernel does when memory"):
        engine.build(context, text="FROM busybox\nRUN exit 137\n").finish()


def test_a_failing_step_can_be_looked_at_and_repaired(engine: Engine, context: Path) -> None:
    broken = "FROM busybox\nRUN echo kept > /kept\nRUN echo half > /half && exit 7\nRUN echo never\n"
    build = engine.build(context, text=broken)
    step = build.run_to(3)
    assert step is not None and step.state is State.ERROR and step.exit_code == 7
    assert step.files.text("/half") == "half\n", "what the command left is there to be looked at"
    assert "exit code: 7" in step.error
    assert isinstance(build.error, RunFailed), "the build knows at once, without being asked for another step"
    with pytest.raises(RunFailed) as caught:
        build.next()
    assert str(caught.value.at) == "Dockerfile:3" and caught.value.exit_code == 7
    assert build.back() is not None, "the steps before can still be walked"

    repaired = engine.build(context, text=broken.replace("exit 7", "true"))
    assert [step.state for step in repaired] == [State.DONE, State.CACHED, State.DONE, State.DONE]


def test_a_failed_step_is_never_taken_from_the_cache(engine: Engine, context: Path) -> None:
    for _ in range(2):
        build = engine.build(context, text="FROM busybox\nRUN exit 1\n")
        with pytest.raises(RunFailed):
            build.finish()
        assert build.steps[-1].cache.verdict is Verdict.MISS


def test_a_miss_names_what_changed(engine: Engine, context: Path) -> None:
    text = "FROM busybox\nCOPY . /app\nRUN echo one > /one\n"
    engine.build(context, text=text).finish()
    (context / "app.py").write_text("print('changed')\n")
    steps = list(engine.build(context, text=text))
    assert steps[1].cache.because.startswith("app.py changed (sha256 ")
    assert "1 other path is the same" in steps[1].cache.because
    assert steps[2].cache.because == "the step below missed, so every later step of this stage misses"
    assert [(one.field) for one in steps[1].cache.differences] == ["input:app.py"]


def test_touching_a_file_misses_nothing(engine: Engine, context: Path) -> None:
    text = "FROM busybox\nCOPY . /app\n"
    engine.build(context, text=text).finish()
    (context / "app.py").touch()
    assert [step.cached for step in engine.build(context, text=text)] == [None, True]


def test_a_cached_image_is_the_very_same_image(engine: Engine, context: Path) -> None:
    first = engine.build(context, text=GOOD, tags=["app"]).finish()
    again = engine.build(context, text=GOOD, tags=["app"]).finish()
    assert first.image == again.image


def test_the_plan_writes_nothing_and_names_what_will_run(engine: Engine, context: Path) -> None:
    engine.build(context, text=GOOD, tags=["app"]).finish()
    (context / "app.py").write_text("print('changed')\n")
    before = _listing(engine.root)
    planned = {step.line: step.cached for step in engine.plan(context, text=GOOD)}
    assert _listing(engine.root) == before
    really = {step.line: step.cached for step in engine.build(context, text=GOOD)}
    assert planned == really == {1: None, 2: None, 3: True, 4: False, 5: False, 6: None}


def _listing(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(root)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_a_trace_replays_as_the_same_build(engine: Engine, context: Path) -> None:
    build = engine.build(context, text=GOOD, tags=["app"])
    build.finish()
    document = json.loads(json.dumps(engine.trace(build)))
    again = replay(document)
    again.finish()
    assert _told(again) == _told(build)
    copy = again.go_to(4)
    assert copy.files.exists("/app/requirements.txt") and not copy.files.exists("/app/said")
    assert [change.path for change in copy.diff()] == ["app/app.py", "app/requirements.txt"]
    with pytest.raises(ContentError):
        copy.files.read("/app/app.py")
    with pytest.raises(SandboxError):
        copy.run("true")


def test_a_failed_build_replays_to_its_failure(engine: Engine, context: Path) -> None:
    build = engine.build(context, text="FROM busybox\nRUN echo gone wrong; exit 4\n")
    with pytest.raises(RunFailed):
        build.finish()
    again = replay(json.dumps(engine.trace(build)))
    step = again.run_to(2)
    assert step is not None and (step.exit_code, step.output) == (4, "gone wrong\n")


def test_a_build_that_its_checks_stopped_stops_there_when_replayed(engine: Engine, context: Path) -> None:
    """What stopped it is the ignore file, which the machine that replays does not have."""
    (context / ".dockerignore").write_text("# not sent\n*.py\n")
    build = engine.build(context, text="# check=error=true\nFROM busybox\nCOPY app.py /\n")
    with pytest.raises(DockersimError) as stopped:
        build.finish()
    document = engine.trace(build)
    assert document["ignore"] == [[2, "*.py"]]
    again = replay(json.dumps(document))
    with pytest.raises(DockersimError) as stopped_again:
        again.finish()
    assert str(stopped_again.value) == str(stopped.value) and "CopyIgnoredFile" in str(document["findings"])
    assert again.findings == build.findings and engine.trace(again) == document


def _told(build: Build) -> list[tuple[object, ...]]:
    return [
        (step.number, step.instruction, step.state, step.cache.because, step.output, step.layer, step.config)
        for step in build.steps
    ]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("FORM busybox", DockerfileError, "Dockerfile:1: "),
        ("FROM busybox\nCOPY nope /", ContextError, 'Dockerfile:2: failed to compute cache key: "/nope": not found'),
        ("FROM busybox\nCOPY ../../etc/passwd /", ContextError, '"/etc/passwd": not found'),
        ("FROM no.such.example/image:1", ImageNotFound, "Dockerfile:1: no.such.example/image:1 cannot be had"),
        ("FROM busybox AS a\nCOPY --from=a / /x", DockerfileError, "circular dependency"),
        ("FROM busybox\nRUN ${X", RunFailed, "Dockerfile:2: "),
        ("FROM busybox\nEXPOSE many", DockerfileError, "Dockerfile:2: invalid containerPort: many"),
        ("", DockerfileError, "the Dockerfile cannot be empty"),
    ],
)
def test_bad_input_is_one_line_that_says_where(
    engine: Engine, context: Path, text: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        engine.build(context, text=text).finish()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_link_in_the_context_leads_nowhere_outside(engine: Engine, context: Path) -> None:
    (context / "out").symlink_to("/etc/passwd")
    with pytest.raises(ContextError):
        engine.build(context, text="FROM busybox\nCOPY out /x\n").finish()


def test_lines_of_a_here_document_keep_their_ends(engine: Engine, context: Path) -> None:
    (context / "Dockerfile").write_bytes(b"FROM scratch\r\nCOPY <<note /\r\na\r\nb\nnote\r\n")
    build = engine.build(context)
    build.finish()
    assert build.step is not None and build.step.files.read("/note") == b"a\r\nb\n"


@pytest.mark.parametrize(
    ("copy", "message"),
    [
        ("COPY <<a/b /d/\nx\na/b", "open /a/b: no such file or directory"),
        (
            "COPY --exclude=[ . /d/",
            "failed to compute cache key: invalid excludepatterns: [[]: syntax error in pattern",
        ),
        ("COPY --parents --exclude=app.py app.py /d/", 'failed to compute cache key: "/app.py": not found'),
    ],
)
def test_a_copy_that_cannot_be(engine: Engine, context: Path, copy: str, message: str) -> None:
    build = engine.build(context, text=f"FROM scratch\n{copy}\n")
    with pytest.raises(DockersimError) as caught:
        build.finish()
    assert caught.value.message == message and caught.value.at is not None and caught.value.at.line == 2


def test_missing_paths_say_so(engine: Engine, context: Path) -> None:
    build = engine.build(context, text="FROM busybox\n")
    build.finish()
    assert build.step is not None
    with pytest.raises(NoSuchPath):
        build.step.files.read("/nope")
    with pytest.raises(ContentError):
        build.step.files.read("/bin")


def test_source_date_epoch_makes_equal_images(make_engine: object, context: Path) -> None:
    make = make_engine
    assert callable(make)
    text = "FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo x > /x && mkdir /d\nCOPY . /app\n"
    ids = []
    for name in ("one", "two"):
        engine = make(name)
        built = engine.build(context, text=text, build_args={"SOURCE_DATE_EPOCH": "1700000000"}, tags=["app"])
        image = built.finish().image
        assert image is not None
        ids.append((image.image_id, image.manifest))
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("above", "given", "created"),
    [
        ("ARG SOURCE_DATE_EPOCH=1700000000", {}, "2023-11-14T22:13:20Z"),
        ("ARG YEARS=17\nARG SOURCE_DATE_EPOCH=${YEARS}00000000", {}, "2023-11-14T22:13:20Z"),
        ("ARG SOURCE_DATE_EPOCH=1", {"SOURCE_DATE_EPOCH": "1700000000"}, "2023-11-14T22:13:20Z"),
        ("ARG SOURCE_DATE_EPOCH", {}, None),
    ],
)
def test_source_date_epoch_may_stand_above_from(
    engine: Engine, context: Path, above: str, given: dict[str, str], created: str | None
) -> None:
    """As BuildKit takes it (dockerfile2llb, ``resolveSourceDateEpochValue``)."""
    text = f'{above}\nFROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo x > /x; echo "$SOURCE_DATE_EPOCH"\n'
    build = engine.build(context, text=text, build_args=given)
    image = build.finish().image
    assert image is not None and build.step is not None
    config = engine.store.images.get(image.image_id).config
    if created is None:
        assert config.created > "2024" and build.step.output == "\n"
        return
    assert (config.created, build.step.output) == (created, "1700000000\n")
    assert build.step.files.stat("/x").mtime_ns == 1_700_000_000_000_000_000


@pytest.mark.parametrize("word", ["soon", "-1", "1.5", "9" * 12, "9" * 100, "\u0661"])
def test_source_date_epoch_is_a_number_that_a_config_can_hold(engine: Engine, context: Path, word: str) -> None:
    text = "FROM scratch\nCOPY . /\n"
    with pytest.raises(BuildError, match="invalid SOURCE_DATE_EPOCH: "):
        engine.build(context, text=text, build_args={"SOURCE_DATE_EPOCH": word})
    with pytest.raises(BuildError, match="invalid SOURCE_DATE_EPOCH: "):
        engine.build(context, text=f"ARG SOURCE_DATE_EPOCH={word}\n{text}")


@pytest.mark.parametrize("name", ["..", ".", "a/b"])
def test_a_here_document_is_a_file(name: str, engine: Engine, context: Path) -> None:
    with pytest.raises(BuildError, match=r"open /.*: no such file or directory"):
        engine.build(context, text=f"FROM scratch\nCOPY <<{name} /x/\nhello\n{name}\n").finish()


def test_a_hard_link_to_a_whiteout_is_one_to_nothing(engine: Engine, context: Path) -> None:
    with tarfile.open(context / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(".wh.x"))
        link = tarfile.TarInfo("h")
        link.type, link.linkname = tarfile.LNKTYPE, ".wh.x"
        archive.addfile(link)
    with pytest.raises(BuildError, match=r"link /.wh.x /h: no such file or directory"):
        engine.build(context, text="FROM scratch\nADD a.tar /r/\n").finish()
