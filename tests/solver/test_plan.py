"""Plans without any I/O: the solver is fed by hand, as a protocol engine is."""

from __future__ import annotations

import pytest

from dockersim.digest import DiffID, sha256
from dockersim.dockerfile import parse
from dockersim.errors import DockerfileError
from dockersim.oci import ContainerConfig, ImageConfig
from dockersim.solver import (
    BuildOptions,
    CacheAnswer,
    CommitImage,
    DigestInputs,
    Execute,
    ImageCommitted,
    Inputs,
    LookUpCache,
    Outcome,
    Plan,
    PlanMade,
    Request,
    ResolvedImage,
    ResolveImage,
    StepFinished,
    StepResult,
    is_request,
    solve,
)

BASE = ImageConfig("amd64", config=ContainerConfig(env=("PATH=/bin",), cmd=("sh",)))


def _answer(request: Request) -> Outcome:
    match request:
        case ResolveImage():
            return ResolvedImage(BASE, (DiffID(sha256(b"base")),), (10,), "the test")
        case DigestInputs():
            return Inputs(())
        case LookUpCache():
            return CacheAnswer(None)
        case Execute(_, key):
            return StepResult(DiffID(sha256(key.digest.encode())), 1, 1)
        case CommitImage():
            return ImageCommitted("sha256:0", "sha256:1", 12)


def run(text: str, options: BuildOptions | None = None) -> tuple[Plan, list[StepFinished], list[Request]]:
    """Take a Dockerfile through its build; return the plan, the finished steps and every request."""
    solver = solve(parse(text), options or BuildOptions())
    plan, steps, asked = None, [], []
    item = next(solver)
    while True:
        try:
            if is_request(item):
                asked.append(item)
                item = solver.send(_answer(item))
                continue
            if isinstance(item, PlanMade):
                plan = item.plan
            if isinstance(item, StepFinished):
                steps.append(item)
            item = next(solver)
        except StopIteration:
            break
    assert plan is not None
    return plan, steps, asked


def test_nothing_runs_when_the_last_line_is_wrong() -> None:
    text = "FROM busybox\nRUN true\nENV A=${B:?missing}\n"
    solver = solve(parse(text), BuildOptions())
    item = next(solver)
    with pytest.raises(DockerfileError, match="B: missing"):
        while True:
            assert isinstance(item, ResolveImage), "only base images are asked for before the plan is made"
            item = solver.send(_answer(item))


@pytest.mark.parametrize(
    ("copy", "message"),
    [
        ("COPY --chmod=7${A:-x}5 a /", "invalid chmod parameter: '7x5'"),
        ("COPY --chmod=u+q a /", "invalid syntax"),
        ("ADD --checksum=x a /", r"checksum requires HTTP\(S\) or Git sources"),
    ],
)
def test_flags_that_mean_nothing_stop_a_build_before_it_begins(copy: str, message: str) -> None:
    solver = solve(parse(f"FROM scratch\n{copy}\n"), BuildOptions())
    with pytest.raises(DockerfileError, match=message) as caught:
        next(solver)
    assert caught.value.at is not None and caught.value.at.line == 2


def test_unneeded_stages_are_not_built_and_say_why() -> None:
    plan, steps, _ = run("FROM busybox AS a\nRUN one\nFROM busybox AS b\nRUN two\nFROM busybox\nCOPY --from=b /x /x\n")
    assert [(stage.name, stage.built) for stage in plan.stages] == [("a", False), ("b", True), ("", True)]
    assert plan.stages[0].because == "nothing that is needed uses it"
    assert "line 6 (COPY) takes files from it" in plan.stages[1].because
    assert [step.step.expanded for step in steps if step.step.keyword == "RUN"] == ["RUN two"]


def test_an_arg_is_seen_by_later_steps_only_and_is_not_in_the_config() -> None:
    _, steps, asked = run("FROM busybox\nRUN before\nARG A=1\nRUN after\n")
    environments = [dict(one.key.environment) for one in asked if isinstance(one, Execute)]
    assert [environment.get("A") for environment in environments] == [None, "1"]
    assert steps[-1].step.config_after.config.env == ("PATH=/bin",)


def test_labels_and_cmd_do_not_count_for_the_cache() -> None:
    _, _, plain = run("FROM busybox\nRUN make\n")
    _, _, labelled = run('FROM busybox\nLABEL a=b\nCMD ["x"]\nEXPOSE 80\nRUN make\n')
    keys = [[one.key.digest for one in asked if isinstance(one, Execute)] for asked in (plain, labelled)]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("COPY --chmod=644 a /", "COPY --chmod=0644 a /"),
        ("RUN --mount=type=cache,target=/c x", "RUN --mount=type=cache,target=/c,sharing=locked x"),
    ],
)
def test_what_is_spelt_otherwise_but_does_the_same_has_the_same_key(one: str, other: str) -> None:
    keys = [[asked.key.digest for asked in run(f"FROM busybox\n{text}\n")[2] if isinstance(asked, Execute)]
            for text in (one, other)]  # fmt: skip
    assert keys[0] == keys[1] != []


def test_the_history_of_a_copy_in_small_letters() -> None:
    plan, _, _ = run("FROM busybox\ncopy a /b\nadd a /c\n")
    assert [step.created_by for step in plan.steps[1:]] == ["COPY a /b # buildkit", "ADD a /c # buildkit"]


def test_entrypoint_drops_an_inherited_command() -> None:
    _, steps, _ = run('FROM busybox\nENTRYPOINT ["python3", "app.py"]\n')
    config = steps[-1].step.config_after.config
    assert (config.entrypoint, config.cmd) == (("python3", "app.py"), ())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("FROM busybox\nRUN a\n", ["[1/2] FROM docker.io/library/busybox:latest", "[2/2] RUN a"]),
        ("FROM scratch\nCOPY a /\n", [None, "[1/1] COPY a /"]),
        ("FROM busybox AS x\nFROM x\nRUN a\n", ["[x 1/1] FROM docker.io/library/busybox:latest", None,
                                                "[stage-1 1/1] RUN a"]),
        ("FROM busybox\n" + "RUN a\n" * 9, ["[ 1/10] FROM docker.io/library/busybox:latest"]
         + [f"[{n:2}/10] RUN a" for n in range(2, 11)]),
    ],
)  # fmt: skip
def test_steps_are_named_as_buildkit_names_them(text: str, names: list[str | None]) -> None:
    plan, _, _ = run(text)
    assert [step.vertex for step in plan.steps] == names
