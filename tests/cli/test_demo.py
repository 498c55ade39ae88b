"""``dockersim demo`` that is ended in the middle leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dockersim.cli.demo.command import unwound
from dockersim.cli.demo.stage import Stage
from dockersim.cli.demo.story import Story
from dockersim.registry import stop

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of another kind")


@contextmanager
def demo(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Begin a demo that works in ``folder``."""
    command = [sys.executable, "-m", "dockersim.cli", "demo"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()
            for root in folder.glob("*/root/registry"):
                stop(root)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_stops_its_registry(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path) as process:
        until = time.monotonic() + 120
        while not (found := list(tmp_path.glob("*/root/registry/server.json"))):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        port = json.loads(found[0].read_bytes())["port"]
        process.send_signal(number)
        process.communicate()
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_demo_that_nohup_has_started_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with unwound(Stage(Story(), tmp_path)):
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_demo_that_nobody_reads_any_more_cleans_up(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait()
    assert list(tmp_path.iterdir()) == []
