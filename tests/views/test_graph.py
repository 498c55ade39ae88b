"""The drawing of stages and layers: Graphviz takes the source, and nothing is told by colour alone."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from dockersim.views import graphviz_source, plain_drawing

from .example import FLASK, RUNS, Command, Workshop

STAGES = """\
FROM ubuntu:latest AS build
RUN make "a \\" quote" \\
    --all
FROM ubuntu:latest AS unused
RUN rm -rf /
FROM ubuntu:latest
COPY --from=build /out /
COPY --from=busybox /bin/sh /sh
RUN pip3 install x
CMD ["/out"]
"""


def drawn(shop: Workshop, text: str, steps: int) -> tuple[str, str]:
    build = shop.build(text)
    plan = build.prepare()
    if steps:
        build.go_to(steps)
    events = [step.event for step in build.steps]
    return graphviz_source(plan, events), plain_drawing(plan, events)


def test_stages_steps_and_copies_are_in_the_source() -> None:
    source, _ = drawn(Workshop({**RUNS, "*make*": Command()}), STAGES, 5)
    assert source.count("subgraph cluster_") == 3
    assert source.count('label="COPY --from"') == 2
    assert 'style="rounded,dashed"' in source
    assert 'label="stage 2 (target)"' in source
    assert source.count("MISS") == 3
    assert source.count("not run") == 2


def test_the_plain_drawing_says_the_same() -> None:
    _, plain = drawn(Workshop({**RUNS, "*make*": Command()}), STAGES, 5)
    assert plain.split("\n")[0] == "┌ stage 0 build"
    assert "◂── files of stage 0 build" in plain
    assert "◂── files of image docker.io/library/busybox:latest" in plain
    assert "stage 1 unused (not built" in plain
    assert "◆ MISS" in plain


def test_every_outcome_has_a_word_of_its_own() -> None:
    shop = Workshop({**RUNS, "*pip3 install*": Command(exit_code=1)})
    shop.build().go_to(3)
    source, plain = drawn(shop, FLASK, 5)
    for word in ("BASE", "HIT", "MISS", "FAILED", "not run"):
        assert word in source
        assert word in plain


def test_graphviz_draws_the_source() -> None:
    if shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed")
    source, _ = drawn(Workshop({**RUNS, "*make*": Command()}), STAGES, 5)
    done = subprocess.run(["dot", "-Tsvg"], input=source, capture_output=True, text=True, check=True)
    assert "<svg" in done.stdout
    assert done.stderr == ""
    assert "make &quot;a" in done.stdout
