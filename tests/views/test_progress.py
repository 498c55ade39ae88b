"""Plain progress lines, of builds that the real solver took."""

from __future__ import annotations

from collections.abc import Callable

from dockersim.errors import BuildError, DockersimError
from dockersim.solver import CacheMoved, Event, OutputWritten, StepStarted
from dockersim.source import At
from dockersim.views import PlainProgress, failure

from .example import RUNS, Command, Workshop


def lines_of(shop: Workshop, clock: Callable[[], float] | None = None, *, text: str | None = None) -> list[str]:
    progress = PlainProgress(clock)
    progress.naming("docker.io/library/app:latest")
    build = shop.build(text) if text else shop.build()
    lines: list[str] = []
    build.listen(lambda event: lines.extend(progress.feed(event)))
    try:
        build.finish()
    except DockersimError:
        pass  # a failing build's lines are looked at, too
    return lines


def test_a_build_reads_as_buildkit_prints_it() -> None:
    ticks = iter(range(1000))
    assert lines_of(Workshop(), lambda: next(ticks) / 8, text="FROM ubuntu\nRUN apt-get install\nCMD ls\n") == [
        "#1 [internal] load build definition from Dockerfile",
        "#1 DONE 0.0s",
        "",
        "#2 [1/2] FROM docker.io/library/ubuntu:latest",
        "#2 docker.io/library/ubuntu:latest came from the memory of a test",
        "#2 DONE 0.0s",
        "",
        "#3 [2/2] RUN apt-get install",
        "#3 0.125 Get:1 http://deb.debian.org bookworm InRelease",
        "#3 0.250 Unpacking python3 ...",
        "#3 0.375 Setting up python3 ...",
        "#3 layer 996B",
        "#3 DONE 3.2s",
        "",
        "#4 exporting to image",
        "#4 exporting layers done",
        f"#4 writing image {image_id()} done",
        "#4 naming to docker.io/library/app:latest done",
        "#4 DONE 0.0s",
    ]


def image_id() -> str:
    build = Workshop().build("FROM ubuntu\nRUN apt-get install\nCMD ls\n")
    finished = build.finish()
    assert finished.image
    return finished.image.image_id


def test_a_cache_has_a_number_of_its_own_beside_the_step_that_goes_on() -> None:
    progress = PlainProgress()
    lines: list[str] = []

    def listen(event: Event) -> None:
        lines.extend(progress.feed(event))
        if isinstance(event, StepStarted) and event.step.keyword == "RUN":
            lines.extend(progress.feed(CacheMoved("importing cache manifest from there", "1 step, 1 layer")))

    build = Workshop().build("FROM ubuntu\nRUN apt-get install\n")
    build.listen(listen)
    build.finish()
    at = lines.index("#3 [2/2] RUN apt-get install")
    assert lines[at + 1 : at + 5] == [
        "",
        "#4 importing cache manifest from there",
        "#4 1 step, 1 layer",
        "#3 Get:1 http://deb.debian.org bookworm InRelease",
    ]
    assert "#5 exporting to image" in lines


def test_a_second_build_is_marked_cached() -> None:
    shop = Workshop()
    lines_of(shop)
    lines = lines_of(shop)
    assert [line for line in lines if line.endswith(" CACHED")] == [f"#{n} CACHED" for n in (3, 4, 5, 6)]


def test_a_failure_repeats_the_last_output() -> None:
    shop = Workshop({**RUNS, "*pip3 install*": Command(output=("one\ntw", "o\n", "no line end"), exit_code=7)})
    lines = lines_of(shop)
    at = next(index for index, line in enumerate(lines) if "ERROR" in line)
    assert lines[at - 4 :] == [
        "#6 one",
        "#6 two",
        "#6 no line end",
        "#6 layer 0B",
        '#6 ERROR: process "/bin/sh -c pip3 install -r requirements.txt" did not complete successfully: exit code: 7',
        "------",
        " > [5/5] RUN pip3 install -r requirements.txt:",
        "one",
        "two",
        "no line end",
        "------",
    ]


def test_output_in_pieces_reads_like_output_whole() -> None:
    """However a program's output is cut, the same lines come out."""
    step = Workshop().build().prepare().steps[1]
    text = "one\r\ntwo 10%\rtwo 100%\n\nthree\n"
    whole: list[str] = PlainProgress().feed(OutputWritten(step, "stdout", text))
    for cut in range(len(text)):
        progress = PlainProgress()
        events: list[Event] = [OutputWritten(step, "stdout", text[:cut]), OutputWritten(step, "stdout", text[cut:])]
        assert [line for event in events for line in progress.feed(event)] == whole
    assert whole == ["#0 one", "#0 two 100%", "#0 ", "#0 three"]


def test_the_end_of_a_failed_build_shows_the_lines() -> None:
    text = failure(BuildError("it broke", at=At("Dockerfile", 2), hint="mend it"), "FROM scratch\nRUN false\n")
    assert "   2 | >>> RUN false" in text
    assert text.endswith("ERROR: failed to solve: Dockerfile:2: it broke; mend it")
    assert failure(BuildError("no place"), "FROM scratch\n") == "ERROR: failed to solve: no place"
