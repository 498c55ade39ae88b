"""What changes how steps are run and found: --add-host, --no-cache-filter, --network, arguments BuildKit knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockersim import Engine, replay
from dockersim.engine import Build
from dockersim.engine.options import read_hosts
from dockersim.engine.store import machine_platform
from dockersim.errors import BuildError, DockerfileError
from dockersim.solver import Verdict


def _built(engine: Engine, context: Path, text: str, **options: object) -> Build:
    build = engine.build(context, text=text, **options)  # type: ignore[arg-type]
    build.finish()
    return build


# ---------------------------------------------------------------- build arguments that BuildKit knows


def test_a_run_sees_the_host_name_that_was_asked_for_and_another_one_misses(engine: Engine, context: Path) -> None:
    def named(name: str) -> Build:
        return _built(engine, context, "FROM busybox\nRUN hostname", build_args={"BUILDKIT_SANDBOX_HOSTNAME": name})

    first, again, other = (named(name).step for name in ("one", "one", "two"))
    assert first is not None and again is not None and other is not None
    assert (first.output, again.cached, other.cached, other.output) == ("one\n", True, False, "two\n")
    assert "hostname" in other.cache.because


def test_the_platform_of_this_machine_is_not_that_of_the_image(engine: Engine, context: Path) -> None:
    text = "FROM scratch\nARG BUILDPLATFORM TARGETPLATFORM\nLABEL from=$BUILDPLATFORM to=$TARGETPLATFORM"
    build = _built(engine, context, text, platform="plan9/mips")
    assert build.finished is not None
    assert build.finished.config.config.labels == {"from": machine_platform(), "to": "plan9/mips"}


# ---------------------------------------------------------------- --add-host


@pytest.mark.parametrize(
    ("word", "pairs"),
    [
        ("db:10.0.0.2", (("db", "10.0.0.2"),)),
        ("DB=10.0.0.2", (("db", "10.0.0.2"),)),
        ("six:::1", (("six", "::1"),)),
        ("six=[2001:DB8::0:1]", (("six", "2001:db8::1"),)),
        ("mapped:::ffff:10.0.0.2", (("mapped", "10.0.0.2"),)),
        ("two=10.0.0.2,[::1]", (("two", "10.0.0.2"), ("two", "::1"))),
        ("me:host-gateway", (("me", "127.0.0.1"),)),
    ],
)
def test_a_host_is_read_as_docker_reads_it(word: str, pairs: tuple[tuple[str, str], ...]) -> None:
    assert read_hosts([word]) == pairs


@pytest.mark.parametrize(
    "word", ["", "db", "db:", ":10.0.0.2", "db:10.0.0", "db:010.0.0.2", "db=fe80::1%eth0", "a b:10.0.0.2", "a\nb:::1",
             "db:host-gateway,::1"],
)  # fmt: skip
def test_what_is_no_host_is_told(word: str) -> None:
    with pytest.raises(BuildError, match=r"^invalid host"):
        read_hosts([word])


def test_a_run_finds_the_hosts_and_no_layer_holds_them(engine: Engine, context: Path) -> None:
    build = _built(engine, context, "FROM busybox\nRUN cat /etc/hosts", add_hosts=["Db:10.0.0.2", "me=host-gateway"])
    assert build.step is not None
    assert build.step.output.endswith("\n10.0.0.2\tdb\n127.0.0.1\tme\n")
    assert not build.step.files.exists("/etc/hosts")


def test_another_name_misses_and_says_so_and_another_address_hits(engine: Engine, context: Path) -> None:
    text = "FROM busybox\nRUN echo one"

    def cache(*hosts: str) -> tuple[Verdict, str]:
        step = _built(engine, context, text, add_hosts=hosts).step
        assert step is not None
        return step.cache.verdict, step.cache.because

    cache()
    assert cache("db:10.0.0.2") == (Verdict.MISS, "flag --add-host is new (db)")
    assert cache("db:10.0.0.3")[0] is Verdict.HIT
    assert cache("web:10.0.0.3") == (Verdict.MISS, "flag --add-host is 'web' now, it was 'db'")
    planned = engine.plan(context, text=text, add_hosts=["web:::1"])
    planned.finish()
    assert planned.step is not None and planned.step.cache.verdict is Verdict.HIT


def test_a_recorded_build_with_hosts_can_be_replayed(engine: Engine, context: Path) -> None:
    build = _built(engine, context, "FROM busybox\nRUN echo one", add_hosts=["db:::1"])
    again = replay(engine.trace(build))
    again.finish()
    assert [step.cache for step in again.steps] == [step.cache for step in build.steps]


# ---------------------------------------------------------------- --no-cache-filter

STAGES = """FROM busybox AS Tools
WORKDIR /work
RUN echo made > made
FROM busybox
COPY --from=tools /work/made /
RUN echo two
FROM tools AS last
RUN echo three
COPY --link --from=1 /made /linked
COPY --from=1 /made /copied
WORKDIR /end
"""


def _verdicts(build: Build) -> list[str]:
    return [step.cache.verdict.value for step in build.steps if step.vertex and step.keyword != "FROM"]


@pytest.mark.parametrize(
    ("filtered", "expected"),
    [
        # What is built on top of a step that was run anew is run; files that are the same as before are the same.
        (["tools"], "hit disabled  hit hit  miss hit miss miss"),
        (["TOOLS,nosuch"], "hit disabled  hit hit  miss hit miss miss"),
        (["last"], "hit hit  hit hit  disabled disabled disabled miss"),
        (["last", "tools"], "hit disabled  hit hit  disabled disabled disabled miss"),
        (["nosuch", "1"], "hit hit  hit hit  hit hit hit hit"),
        (["last,"], "hit hit  disabled disabled  disabled disabled disabled miss"),
        ([""], "hit disabled  disabled disabled  disabled disabled disabled miss"),
    ],
)
def test_the_steps_of_the_named_stages_are_run(
    engine: Engine, context: Path, filtered: list[str], expected: str
) -> None:
    _built(engine, context, STAGES)
    assert _verdicts(_built(engine, context, STAGES, no_cache_filter=filtered)) == expected.split()


def test_a_plan_knows_the_option(engine: Engine, context: Path) -> None:
    _built(engine, context, STAGES)
    planned = engine.plan(context, text=STAGES, no_cache_filter=["last"])
    planned.finish()
    assert _verdicts(planned) == ["hit", "hit", "hit", "hit", "disabled", "disabled", "disabled", "miss"]


def test_the_reason_names_the_option(engine: Engine, context: Path) -> None:
    _built(engine, context, STAGES)
    build = _built(engine, context, STAGES, no_cache_filter=["tools"])
    reasons = {step.at.line: step.cache.because for step in build.steps}
    assert reasons[3] == "--no-cache-filter=tools: every step of this stage is run"
    assert reasons[8] == "a step below was run anew (--no-cache-filter=tools), so this one is, too"


def test_what_was_run_anew_is_shared_and_so_is_what_follows_from_it(engine: Engine, context: Path) -> None:
    text = "FROM busybox AS a\nRUN cat /proc/uptime > /when\nFROM busybox AS b\nRUN cat /proc/uptime > /when\n"
    text += "RUN cp /when /then\nCOPY --from=a /when /a"
    _built(engine, context, text)
    build = _built(engine, context, text, no_cache_filter=["a"])
    assert _verdicts(build) == ["disabled", "hit", "miss", "miss"]
    assert build.step is not None
    assert len({build.step.files.text(path) for path in ("/a", "/when", "/then")}) == 1


def test_no_cache_leaves_a_workdir_with_nothing_run_below_it_alone(engine: Engine, context: Path) -> None:
    _built(engine, context, STAGES)
    assert _verdicts(_built(engine, context, STAGES, no_cache=True)) == [
        "hit", "disabled", "disabled", "disabled", "disabled", "disabled", "disabled", "miss",
    ]  # fmt: skip


def test_both_options_at_once_are_refused(engine: Engine, context: Path) -> None:
    with pytest.raises(BuildError, match="--no-cache and --no-cache-filter cannot currently be used together"):
        _built(engine, context, STAGES, no_cache=True, no_cache_filter=["tools"])


# ---------------------------------------------------------------- --network


@pytest.mark.parametrize(
    ("network", "flag", "expected"),
    [
        ("default", "", "host"),
        ("none", "", "none"),
        ("host", "", "host"),
        ("host", "--network=none", "none"),
        ("default", "--network=none", "none"),
        ("host", "--network=host", "host"),
        ("none", "--network=default", "none"),
    ],
)
def test_the_network_of_the_build_counts_for_a_run_without_one(
    engine: Engine, context: Path, network: str, flag: str, expected: str
) -> None:
    build = _built(engine, context, f"FROM busybox\nRUN {flag} cat /proc/net/dev", network=network)
    assert build.step is not None
    names = {line.split(":")[0].strip() for line in build.step.output.splitlines()[2:]}
    here = {line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]}
    assert names == ({"lo"} if expected == "none" else here)


def test_another_network_misses_and_says_so(engine: Engine, context: Path) -> None:
    text = "FROM busybox\nRUN true"
    _built(engine, context, text)
    planned = engine.plan(context, text=text, network="none")
    planned.finish()
    assert planned.step is not None and planned.step.cache.because == "flag --network is new (none)"


def test_a_run_may_have_the_hosts_network_only_if_the_build_may(engine: Engine, context: Path) -> None:
    text = "FROM busybox\nRUN --network=host true"
    with pytest.raises(DockerfileError, match=r"network\.host is not allowed"):
        _built(engine, context, text)
    assert _built(engine, context, text, network="host").ok


def test_a_network_of_docker_is_refused(engine: Engine, context: Path) -> None:
    with pytest.raises(BuildError, match='network mode "mine" not supported by buildkit; use default, none or host'):
        _built(engine, context, "FROM busybox", network="mine")
