"""kill -9 and Ctrl-C at random moments of a build: the next build works, and nothing is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.peers import needs, run
from tests.proofs.installed import Installed, as_ordinary_user, as_root, with_busybox

MARK = "DOCKERSIM_PROOF"

DOCKERFILE = f"""\
FROM busybox
ENV {MARK}=$MARK
COPY first /first
RUN for n in 1 2 3 4 5 6 7 8 9 10; do head -c 300000 /first > /made-$n; (sleep 600 &) ; sleep 0.02; done
COPY second /second
ARG ROUND
RUN echo $ROUND > /round && head -c 20000000 /second > /third
"""

PLACES = {
    "root": (as_root, "", 20),
    "root with proot": (as_root, "proot", 5),
    "ordinary user": (as_ordinary_user, "", 5),
    "ordinary user with proot": (as_ordinary_user, "proot", 4),
}


@pytest.fixture(params=PLACES)
def builder(request: pytest.FixtureRequest, place: Path) -> Builder:
    """Everybody who builds, on every rung that they would use."""
    make, rung, times = PLACES[request.param]
    return Builder(with_busybox(make(place, rung), place), place, times)


class Builder:
    """Builds one Dockerfile, again and again; all its processes carry a mark in their environment."""

    def __init__(self, ours: Installed, place: Path, times: int) -> None:
        self.ours, self.times = ours, times
        self.mark = f"{place.name}-{os.getpid()}"
        ours.extra[MARK] = self.mark
        self._context = place / "context"
        self._context.mkdir()
        for name, seed in (("first", 1), ("second", 2)):
            (self._context / name).write_bytes(random.Random(seed).randbytes(40_000_000))
        (self._context / "Dockerfile").write_text(DOCKERFILE.replace("$MARK", self.mark, 1))
        self._named: list[str] = []

    def arguments(self, number: int) -> list[str]:
        return ["build", "-t", f"round:{number}", "--build-arg", f"ROUND={number}", str(self._context)]

    def build(self, number: int) -> str:
        """Build to the end, with what is in the cache, and look at the outcome."""
        output = self.ours(*self.arguments(number))
        self._named.append(f"round:{number}")
        return output

    def seconds(self) -> float:
        """Measure how long a whole build takes."""
        started = time.monotonic()
        self.ours(*self.arguments(0), "--no-cache")
        return time.monotonic() - started

    def interrupt(self, number: int, after: float, with_signal: signal.Signals) -> int:
        """Begin a build of everything and end it; return the exit code. Ctrl-C goes to the whole group."""
        process = self.ours.start(*self.arguments(number), "--no-cache")
        time.sleep(after)
        with suppress(ProcessLookupError):
            (os.killpg if with_signal == signal.SIGINT else os.kill)(process.pid, with_signal)
        process.communicate(timeout=60)
        return process.returncode

    def check_nothing_runs(self) -> None:
        """No process with the mark, and no mount below the root, a moment later."""
        until = time.monotonic() + 5
        while (left := [*marked(self.mark), *mounted(str(self.ours.root))]) and time.monotonic() < until:
            time.sleep(0.05)
        assert left == []

    def check_images(self) -> None:
        """Skopeo reads every image that was named so far, and nothing but those is named."""
        index = json.loads((self.ours.root / "index.json").read_text())
        assert len(index["manifests"]) >= len(self._named)
        for name in self._named:
            run("skopeo", "inspect", f"oci:{self.ours.root}:{name}")

    def check_nothing_is_left(self) -> None:
        """No half-written blob and no snapshot in the making."""
        assert list((self.ours.root / "ingest").iterdir()) == []
        assert [path for name in ("active", "new") for path in self.ours.root.glob(f"snapshots/overlay/{name}/*")] == []


def marked(mark: str) -> Iterator[str]:
    """Find the processes whose environment has the mark, this one apart."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"={mark}".encode() in (folder / "environ").read_bytes() and folder.name != str(os.getpid()):
                yield f"process {folder.name}: {(folder / 'cmdline').read_bytes()!r}"


def mounted(root: str) -> Iterator[str]:
    """Find mounts of anything below ``root`` in any process's namespace."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            text = (folder / "mountinfo").read_text(errors="replace")
            yield from (f"mount in {folder.name}: {line}" for line in text.splitlines() if root in line)


@needs("skopeo")
@pytest.mark.slow
def test_kill_at_random_moments(builder: Builder) -> None:
    moments = random.Random(20)
    whole = min(builder.seconds(), builder.seconds())
    builder.build(0)
    killed = number = 0
    while killed < builder.times and number < 4 * builder.times:
        number += 1
        moment = moments.uniform(0.02, whole)
        if builder.interrupt(number, moment, signal.SIGKILL) == -signal.SIGKILL:
            killed += 1
        else:
            whole = moment  # it had ended by then: the machine was busier when we measured
        builder.check_nothing_runs()
        builder.build(number)
        builder.check_images()
    assert killed == builder.times
    assert "CACHED" in builder.build(number)


@needs("skopeo")
@pytest.mark.slow
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_ctrl_c_leaves_nothing(builder: Builder, part: float) -> None:
    whole = builder.seconds()
    code = builder.interrupt(1, whole * part, signal.SIGINT)
    builder.check_nothing_runs()
    builder.check_nothing_is_left()
    assert code in (0, 130)
    builder.build(1)
    builder.check_images()
    builder.check_nothing_is_left()


@needs("skopeo")
def test_the_checks_find_what_is_left(place: Path) -> None:
    """A check that cannot fail would prove nothing."""
    mark = f"left-{place.name}"
    with subprocess.Popen(["sleep", "60"], env={MARK: mark}) as process:
        time.sleep(0.1)
        assert len(list(marked(mark))) == 1
        process.kill()
    assert list(marked(mark)) == []
