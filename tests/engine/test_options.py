"""Options of a build that change how its commands run: --add-host."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockersim import Engine, replay
from dockersim.engine import Build
from dockersim.engine.options import read_hosts
from dockersim.errors import BuildError
from dockersim.solver import Verdict


def _built(engine: Engine, context: Path, text: str, **options: object) -> Build:
    build = engine.build(context, text=text, **options)  # type: ignore[arg-type]
    build.finish()
    return build


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
