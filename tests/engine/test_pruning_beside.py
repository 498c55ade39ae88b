"""Builds in this process and prunes in another, over and over on one root: nothing that is needed is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from dockersim import Engine
from dockersim.content.garbage import mark
from dockersim.engine.pruning import sweep

GRACE = 2.0
"""Seconds; ten minutes in earnest. What a build uses here is older than that nearly always."""

PRUNER = f"""
import sys
from dockersim import Engine
from dockersim.engine.pruning import prune_cache, prune_images, sweep

def is_spared(image):
    return any(name.repository in ("library/busybox", "keep/app") for name in image.names)

rounds = blobs = 0
print("ready", flush=True)
while True:
    engine = Engine(sys.argv[1], environment={{}})
    prune_images(engine, [image for image in engine.store.images.list() if not is_spared(image)])
    prune_cache(engine.store, everything=True)
    blobs += len(sweep(engine, grace_seconds={GRACE}).blobs)
    engine.close()
    rounds += 1
    print(rounds, blobs, flush=True)
"""

DOCKERFILE = """FROM busybox AS first
RUN echo one > /one
RUN echo {number} > /number
FROM busybox
COPY --from=first /one /number /
RUN echo two > /two
RUN test "$(cat /one /number /two | tr '\\n' ' ')" = "one {number} two "
"""


def test_builds_beside_prunes(engine: Engine, context: Path) -> None:
    command = [sys.executable, "-c", PRUNER, str(engine.root)]
    pruner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert pruner.stdout is not None and pruner.stdout.readline() == "ready\n"
        slow = engine.build(context, text=DOCKERFILE.format(number="slow"), tags=["keep/app:slow"])
        began, number = time.monotonic(), 0
        while number < 3 or time.monotonic() - began < 4 * GRACE:
            tags = [f"keep/app:{number}"] if number % 2 else ["app"]
            engine.build(context, text=DOCKERFILE.format(number=number), tags=tags).finish()
            if number < 3:
                slow.next()  # and then it stands there, while all that it is made of grows old
            number += 1
        slow.finish()
        assert pruner.poll() is None
    finally:
        pruner.kill()
        printed = pruner.communicate()[0]
    assert_pruned(printed)
    assert_whole(engine, ["slow", *(str(one) for one in range(1, number, 2))])


def assert_pruned(printed: str) -> None:
    """The other process did take something away all the time."""
    rounds, blobs = map(int, printed.splitlines()[-1].split())
    assert rounds > 3 and blobs > 3, printed


def assert_whole(engine: Engine, tags: list[str]) -> None:
    """Every image that was to be kept has every byte."""
    sweep(engine, grace_seconds=-1)
    images = [engine.store.images.get(f"keep/app:{tag}") for tag in tags]
    for digest in mark(engine.store.layers, [image.descriptor.digest for image in images]):
        engine.store.content.verify(digest)
    for tag, image in zip(tags, images, strict=True):
        assert engine.files(image.config.diff_ids).text("/number") == f"{tag}\n"
