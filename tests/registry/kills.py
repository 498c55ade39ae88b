"""kill -9 of the registry at random moments of pushes: what was acknowledged is there, and right, when it is up again.

    python -m tests.registry.kills --count 100

Four writers push images, move a tag of their own, write one tag that all share, and delete. Each keeps a book of what
was acknowledged and of the one thing that was not yet. After every restart all books are checked by pulling.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from msgspec import Struct

from dockersim.registry import Address, ensure_running, stop
from tests.registry.plain import Client, Image, sha

WRITERS = 4
LARGEST_LAYER = 600_000


class Writer:
    """Pushes until the server is gone, and keeps the book."""

    def __init__(self, number: int, seed: int) -> None:
        self.repository = f"writer{number}/app"
        self._random = random.Random(seed * 100 + number)
        self._pushed = 0
        self.tags: dict[str, set[str]] = {}
        """What a tag may stand for: one digest, or two where the last word is not known; "" is no tag at all."""
        self.images: dict[str, Image] = {}

    def work(self, address: Address) -> None:
        """Push, name and delete until the connection breaks."""
        try:
            with Client(address.url, self.repository) as client, Client(address.url, "all/app") as shared:
                while True:
                    self._round(client, shared)
        except (OSError, HTTPException):
            return

    def check(self, address: Address) -> int:
        """Pull whatever was acknowledged; return how many tags that were."""
        with Client(address.url, self.repository) as client:
            for tag, allowed in self.tags.items():
                found = client.find(tag)
                assert found in allowed, f"{self.repository}:{tag} is {found!r}, not {allowed}"
                if found:
                    assert client.pull(tag) == found
                self.tags[tag] = {found}
        return len(self.tags)

    def _round(self, client: Client, shared: Client) -> None:
        self._pushed += 1
        name = f"{self.repository}-{self._pushed}"
        image = Image.of(*(self._layer() for _ in range(self._random.randint(1, 2))), name=name)
        self.images[image.digest] = image
        self._name(client, image, f"v{self._pushed}")
        self._name(client, image, "moving")
        shared.push(image, "latest")
        if self._pushed % 5 == 0:
            self._delete(client, f"v{self._random.randrange(1, self._pushed)}")

    def _name(self, client: Client, image: Image, tag: str) -> None:
        self.tags[tag] = self.tags.get(tag, {""}) | {image.digest}
        client.push(image, tag)
        self.tags[tag] = {image.digest}

    def _delete(self, client: Client, tag: str) -> None:
        (digest,) = self.tags[tag]
        if not digest or self.tags["moving"] == {digest}:
            return
        self.tags[tag] = {digest, ""}
        client.delete(self.images[digest])
        self.tags[tag] = {""}

    def _layer(self) -> bytes:
        size = self._random.randrange(self._random.choice((2_000, LARGEST_LAYER)))
        return self._random.randbytes(size)


class Found(Struct, frozen=True):
    """What a run came to: kills, restarts that were needed to get them, tags checked at the last one, blobs."""

    kills: int
    tags: int
    checks: int
    blobs: int


def run(root: Path, count: int, seed: int = 1) -> Found:
    """Kill a registry so many times while it is written to, and check after each restart; raise AssertionError."""
    moments = random.Random(seed)
    writers = [Writer(number, seed) for number in range(WRITERS)]
    tags = checks = 0
    with _stopped_at_the_end(root), ThreadPoolExecutor(WRITERS) as pool:
        for _ in range(count):
            address = ensure_running(root)
            killer = threading.Timer(moments.uniform(0.01, 0.5), os.kill, (address.pid, signal.SIGKILL))
            killer.start()
            list(pool.map(lambda writer: writer.work(address), writers))  # noqa: B023, done before the next round
            killer.join()
            again = ensure_running(root)
            tags = sum(pool.map(lambda writer: writer.check(again), writers))  # noqa: B023
            checks += tags
            _check_shared(again, writers)
            blobs = check_blobs(root)
    return Found(count, tags, checks, blobs)


def check_blobs(root: Path) -> int:
    """Hash whatever lies under a digest's name; return how many blobs there are."""
    paths = list((root / "blobs").glob("sha256/*"))
    assert all(path.name == sha(path.read_bytes())[7:] for path in paths)
    return len(paths)


def _check_shared(address: Address, writers: list[Writer]) -> None:
    with Client(address.url, "all/app") as client:
        if found := client.find("latest"):
            assert any(found in writer.images for writer in writers)
            assert client.pull("latest") == found


@contextmanager
def _stopped_at_the_end(root: Path) -> Iterator[None]:
    try:
        yield
    finally:
        stop(root)


def main() -> None:
    """Print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dockersim-kills-", dir="/var/tmp") as folder:
        found = run(Path(folder), given.count, given.seed)
    print(
        f"{found.kills} kills in {time.monotonic() - began:.0f} s: {found.tags} tags, {found.blobs} blobs in the end, "
        f"{found.checks} checks of a tag after a restart, nothing lost, nothing damaged"
    )


if __name__ == "__main__":
    main()
