"""RUN --mount beyond what was recorded: secrets stay secret, caches are kept apart, nothing leads out."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from dockersim import Engine, replay
from dockersim.engine import Build
from dockersim.errors import BuildError, ContextError, DockerfileError, DockersimError
from dockersim.solver import Verdict
from tests.engine.ordinary_user import expect

SECRET = b"correct horse battery staple"


def _built(engine: Engine, context: Path, text: str, **options: object) -> Build:
    build = engine.build(context, text=f"FROM busybox\n{text}", **options)  # type: ignore[arg-type]
    build.finish()
    return build


def _everything_below(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_a_secret_is_nowhere_after_its_command(engine: Engine, context: Path) -> None:
    text = 'RUN --mount=type=secret,id=tok,env=TOK test "$TOK" = "$(cat /run/secrets/tok)" -o -n "$TOK"\n'
    text += "RUN --mount=type=secret,id=tok wc -c < /run/secrets/tok && ls -l /run/secrets/tok > /seen"
    before = set(Path("/dev/shm").glob("dockersim-secret-*"))
    build = _built(engine, context, text, secrets={"tok": SECRET})
    assert build.step is not None and build.step.output == f"{len(SECRET)}\n"
    assert build.step.files.text("/seen").startswith("-r--------")
    assert not build.step.files.exists("/run")
    assert SECRET not in _everything_below(engine.root)
    assert SECRET.decode() not in json.dumps(engine.trace(build))
    assert set(Path("/dev/shm").glob("dockersim-secret-*")) == before


def test_another_value_of_a_secret_is_a_hit(engine: Engine, context: Path) -> None:
    text = "RUN --mount=type=secret,id=tok cat /run/secrets/tok > /dev/null"
    for value, verdict in ((b"1", Verdict.MISS), (b"2", Verdict.HIT)):
        build = _built(engine, context, text, secrets={"tok": value})
        assert build.step is not None and build.step.cache.verdict is verdict


def test_what_a_mount_shows_counts_by_the_paths_the_command_sees(engine: Engine, context: Path) -> None:
    text = "RUN --mount=target=/src cat /src/app.py\nRUN --mount=target=/m,source=requirements.txt true"
    _built(engine, context, text)
    (context / "app.py").write_text("print('changed')\n")
    first, second = _built(engine, context, text).steps[1:]
    assert first.cache.because.startswith("/src/app.py changed (sha256 ")
    assert second.cache.because == "the step below missed, so every later step of this stage misses"
    predicted = engine.plan(context, text=f"FROM busybox\n{text}")
    predicted.finish()
    assert [step.cache.verdict for step in predicted.steps[1:]] == [Verdict.HIT, Verdict.HIT]


def test_a_recorded_build_with_mounts_can_be_replayed(engine: Engine, context: Path) -> None:
    text = "RUN --mount=target=/src --mount=type=tmpfs,target=/t --mount=type=cache,target=/c cp /src/app.py /t"
    build = _built(engine, context, text)
    again = replay(engine.trace(build))
    again.finish()
    assert [step.vertex for step in again.steps] == [step.vertex for step in build.steps]
    assert again.ok


def test_a_stage_seen_through_a_mount_is_built_first(engine: Engine, context: Path) -> None:
    text = "FROM busybox AS stage\n"
    text += "RUN mkdir /made && echo one > /made/a && ln /made/a /made/b && ln -s a /made/c && chown 5:6 /made/a\n"
    text += "FROM busybox\nRUN --mount=from=stage,source=/made,target=/m cat /m/c /m/b; stat -c '%u:%g %h' /m/a"
    build = engine.build(context, text=text)
    build.finish()
    assert build.step is not None and build.step.output.startswith("one\none\n")
    owner, links = build.step.output.split()[2:]
    assert links == "2"
    assert "RUN) takes files from it" in (build.plan.stages[0].because if build.plan else "")
    differences = [] if owner == "5:6" else [f"owner is {owner}"]
    expect("a stage seen through a mount", differences, engine.store.sandbox)


def test_a_writable_mount_leaves_the_learners_files_alone(engine: Engine, context: Path) -> None:
    _built(engine, context, "RUN --mount=target=/src,rw rm /src/app.py && echo x > /src/requirements.txt")
    assert (context / "app.py").exists() and (context / "requirements.txt").read_text() == "flask\n"
    assert list((engine.root / "mounts").iterdir()) == []


def test_a_mount_knows_no_stage_by_its_number(engine: Engine, context: Path) -> None:
    with pytest.raises(DockersimError, match="0:latest"):
        _built(engine, context, "FROM busybox\nRUN --mount=from=0,target=/m true")


def test_the_value_of_a_secret_variable_is_not_in_the_name_of_the_step(engine: Engine, context: Path) -> None:
    text = "ENV TOK=old\nRUN --mount=type=secret,id=tok,env=TOK echo ${TOK:+there} $TOK"
    build = _built(engine, context, text, secrets={"tok": b"new"})
    assert build.step is not None and build.step.output == "there new\n"
    assert build.step.vertex is not None and build.step.vertex.endswith("env=TOK echo there ****")


def test_a_file_system_in_memory_takes_the_mode_of_the_directory_it_hides(engine: Engine, context: Path) -> None:
    text = "RUN mkdir -m 711 /there\nRUN --mount=type=tmpfs,target=/there --mount=type=tmpfs,target=/new stat -c %a "
    build = _built(engine, context, text + "/there /new")
    differences = [] if build.step and build.step.output == "711\n1777\n" else ["another mode"]
    expect("the mode of a tmpfs", differences, engine.store.sandbox)


def test_the_variable_for_an_agent_is_there_without_one(engine: Engine, context: Path) -> None:
    build = _built(engine, context, "RUN --mount=type=ssh echo $SSH_AUTH_SOCK")
    assert build.step is not None and build.step.output == "/run/buildkit/ssh_agent.0\n"


def test_a_script_that_names_its_program_is_run_by_it(engine: Engine, context: Path) -> None:
    script = '<<GREET\n#!/bin/sh -e\necho "$0 greets"; ls /dev/pipes\nfalse\necho never\nGREET\n'
    build = engine.build(context, text=f"FROM busybox\nRUN {script}RUN ls /dev/pipes")
    with pytest.raises(BuildError, match='"/bin/sh -c /dev/pipes/GREET" did not complete successfully: exit code: 1'):
        build.finish()
    assert build.step is not None and build.step.output == "/dev/pipes/GREET greets\nGREET\n"
    assert list((engine.root / "mounts").iterdir()) == []


def test_a_link_put_into_a_cache_does_not_lead_to_the_host(engine: Engine, context: Path) -> None:
    cache = "--mount=type=cache,id=trap,from=seed,target=/c"
    seed = "FROM busybox AS seed\nRUN mkdir /s\nFROM busybox\n"
    engine.build(context, text=f"{seed}RUN {cache} rm -r /c/s && ln -s /etc /c/s").finish()
    with pytest.raises(BuildError, match="of the cache mount is not where it was"):
        engine.build(context, text=f"{seed}RUN {cache},source=/s cat /c/hostname").finish()


def test_a_link_in_the_context_does_not_lead_to_the_host(engine: Engine, context: Path) -> None:
    (context / "trap").symlink_to("/etc/hostname")
    with pytest.raises(ContextError, match='"/trap": not found'):
        _built(engine, context, "RUN --mount=source=trap,target=/m cat /m")


def test_a_locked_cache_is_used_by_one_build_after_the_other(engine: Engine, context: Path) -> None:
    cache = "--mount=type=cache,id=one,sharing=locked,target=/c"
    command = "for i in 1 2 3 4 5; do n=$(cat /c/n || echo 0); sleep 0.02; echo $((n+1)) > /c/n; done"
    builds = [engine.build(context, text=f"FROM busybox\nRUN {cache} : {n}; {command}") for n in range(3)]
    threads = [threading.Thread(target=build.finish) for build in builds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = _built(engine, context, f"RUN {cache} cat /c/n")
    assert last.step is not None and last.step.output == "15\n"


def test_a_private_cache_in_use_is_not_shared(engine: Engine, context: Path) -> None:
    cache = "--mount=type=cache,id=own,sharing=private,target={}"
    text = f"RUN {cache.format('/c')} echo kept > /c/f\nRUN {cache.format('/c')} cat /c/f"
    build = _built(engine, context, text)
    assert build.step is not None and build.step.output == "kept\n"


def test_the_agents_socket_is_lent(engine: Engine, context: Path, tmp_path: Path) -> None:
    place = os.path.relpath(tmp_path / "agent")  # the whole path may be too long for a socket
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(place)
        build = _built(engine, context, "RUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo $SSH_AUTH_SOCK",
                       agents={"default": place})  # fmt: skip
    assert build.step is not None and build.step.output == "/run/buildkit/ssh_agent.0\n"
    assert _built(engine, context, "RUN --mount=type=ssh test ! -e $SSH_AUTH_SOCK").ok


@pytest.mark.parametrize(
    ("mounts", "error", "said"),
    [
        ("--mount=type=ssh,required", BuildError, 'no SSH key "" forwarded from the client; build with --ssh'),
        ("--mount=type=ssh,id=k,required", BuildError, 'no SSH key "k" forwarded from the client; build with --ssh'),
        ("--mount=type=secret,id=x,required", BuildError, "secret x: not found; build with --secret id=x,src=FILE"),
        (
            "--mount=source=nope,target=/m",
            ContextError,
            'failed to compute cache key: "/nope": not found',
        ),
        ("--mount=from=nobody/nothing:0,target=/m", DockersimError, "nobody/nothing:0"),
        ("--mount=type=tmpfs,target=/", DockerfileError, 'invalid mount target "/"'),
        ("--mount=type=cache", DockerfileError, 'invalid mount target "/"'),
    ],
)
def test_what_cannot_be_mounted_is_told_in_one_line(
    engine: Engine, context: Path, mounts: str, error: type[DockersimError], said: str
) -> None:
    with pytest.raises(error) as caught:
        _built(engine, context, f"RUN {mounts} true")
    assert said in str(caught.value) and str(caught.value).startswith("Dockerfile:2: ")
