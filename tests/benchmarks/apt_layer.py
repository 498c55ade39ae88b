"""Write a layer like the one that apt-get makes, 720 MB in 13,000 files, and compress it as a push does."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from dockersim.content import ContentStore, LayerStore
from dockersim.filesystem import Entry, Kind
from dockersim.snapshots.disk import open_file
from tests.benchmarks.contestants import interleaved, table, timed, workplace

FILES, SIZE = 13_000, 720_000_000


def make_tree(folder: Path) -> None:
    """Make files of very different sizes, of bytes that compress about as programs do: to a third."""
    chance = random.Random(13)
    words = [chance.randbytes(chance.randint(3, 40)) for _ in range(6000)]
    piece = b"".join(chance.choices(words, k=200_000))
    for number in range(FILES):
        directory = folder / f"usr/lib/d{number % 200}"
        if number < 200:
            directory.mkdir(parents=True)
        size = int(chance.paretovariate(1.2) * 12300) % 4_000_000
        start = chance.randrange(len(piece) // 2)
        (directory / f"f{number}").write_bytes((piece[start:] + piece * (size // len(piece) + 1))[:size])


def entries(folder: Path) -> list[tuple[Entry, Path]]:
    """List the tree as a snapshotter would."""
    found = []
    for path in sorted(folder.rglob("*")):
        status, kind = path.stat(), Kind.DIRECTORY if path.is_dir() else Kind.FILE
        size = status.st_size if kind is Kind.FILE else 0
        entry = Entry(str(path.relative_to(folder)), kind, status.st_mode & 0o7777, size=size,
                      mtime_ns=status.st_mtime_ns)  # fmt: skip
        found.append((entry, path))
    return found


def main(times: int = 3) -> None:
    """Measure our writer and our gzip beside tar, sha256sum and gzip."""
    with workplace() as folder:
        tree = folder / "tree"
        make_tree(tree)
        listed = entries(tree)
        total = sum(entry.size for entry, _ in listed)
        print(f"{len(listed)} entries, {total / 1e6:.0f} MB")

        def write() -> float:
            _write(folder, listed)
            return _write.seconds["layer"]  # type: ignore[attr-defined]

        def gzip() -> float:
            return _write.seconds["gzip"]  # type: ignore[attr-defined]

        tar = ["tar", "-C", str(tree), "-cf", str(folder / "tar"), "."]
        both = f"tar -C {tree} -c . | tee >(sha256sum > /dev/null) | gzip -c > {folder}/tar.gz"
        measures = {
            "dockersim: layer, hashed": write,
            "dockersim: then gzip": gzip,
            "tar, not hashed": lambda: timed(tar, dict(os.environ)),
            "tar | tee >(sha256sum) | gzip": lambda: timed(["bash", "-c", both], dict(os.environ)),
        }
        table("A layer of 13,000 files", interleaved(measures, times))


def _write(folder: Path, listed: list[tuple[Entry, Path]]) -> None:
    store = folder / "store"
    subprocess.run(["rm", "-rf", str(store)], check=True)
    layers = LayerStore(ContentStore(store))
    started = time.perf_counter()
    with layers.new_layer() as new:
        for entry, path in listed:
            if entry.kind is Kind.FILE:
                with open_file(str(path)) as content:
                    new.add(entry, content)
            else:
                new.add(entry)
        layer = new.commit()
    written = time.perf_counter()
    layers.compressed(layer.diff_id)
    _write.seconds = {"layer": written - started, "gzip": time.perf_counter() - written}  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
