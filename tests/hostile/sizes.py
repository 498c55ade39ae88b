"""Attacks that need size: streamed into a process of its own, whose memory is measured while it refuses them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.bombs import packed, tar_of_entries, tar_of_zeros

GIB = 1 << 30


@dataclass(frozen=True)
class Size:
    """One attack at its real size: what is sent, to which command, and what must be said of it."""

    name: str
    words: tuple[str, ...]
    stream: Callable[[], Iterator[bytes]]
    says: str
    memory: int
    """How many bytes the process may take, far less than what it is sent unpacks to."""


@dataclass(frozen=True)
class Measured:
    """How it ended."""

    name: str
    code: int
    said: str
    seconds: float
    memory: int
    left: int
    """Bytes that are left in dockersim's root, which must be next to nothing."""


def sizes() -> Iterator[Size]:
    """List them."""
    for how in ("gzip", "zstd", "xz", "bzip2"):
        name = f"4 GiB of zeros in a small {how}"
        for words in (("import", "-"), ("load",), ("build", "-")):
            yield Size(name, words, lambda how=how: packed(tar_of_zeros(4 * GIB), how), "unpacks to more than", GIB)
    entries = "10 million entries"
    for how in ("plain", "gzip"):
        stream = lambda how=how: packed(tar_of_entries(10_000_000), how)  # noqa: E731
        yield Size(f"{entries}, {how}", ("import", "-"), stream, "holds more than 2000000 entries", 3 * GIB)
        yield Size(f"{entries}, {how}", ("load",), stream, "holds more than 100000 entries", GIB)


def measure(size: Size, home: Path) -> Measured:
    """Send it."""
    environment = {**os.environ, "DOCKERSIM_HOME": str(home)}
    command = [sys.executable, "-m", "dockersim.cli", *size.words]
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, cwd=Path(__file__).parents[2])  # fmt: skip
    threading.Thread(target=_send, args=(process, size.stream()), daemon=True).start()
    assert process.stderr is not None
    said = process.stderr.read().decode().strip()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    left = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    last = said.splitlines()[-1] if said else ""
    return Measured(size.name, process.returncode, last, time.monotonic() - began, used.ru_maxrss * 1024, left)


def _send(process: subprocess.Popen[bytes], stream: Iterator[bytes]) -> None:
    assert process.stdin is not None
    try:
        for piece in stream:
            process.stdin.write(piece)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it has had enough
