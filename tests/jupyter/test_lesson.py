"""A lesson's own place: empty at the beginning, gone at the end, and swept when its kernel was killed."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from dockersim.jupyter import Scratch, scratch
from dockersim.jupyter.lesson import PageUnreachable

A_KERNEL = """
import sys, time
from pathlib import Path
from dockersim.jupyter import scratch
lesson = scratch(within=Path(sys.argv[1]))
print(lesson.engine.root, flush=True)
print(lesson.engine.shipping.practice_registry().pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for lessons, and the working directory and environment put back."""
    monkeypatch.setenv("DOCKERSIM_HOME", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    os.chdir("/")


def test_a_lesson_has_a_root_and_a_folder_with_the_app(place: Path) -> None:
    lesson = scratch("flask-app", place)
    assert Path.cwd() == lesson.folder
    assert (lesson.folder / "app.py").stat().st_mode & 0o777 == 0o644
    assert os.environ["DOCKERSIM_HOME"] == str(lesson.engine.root)
    assert not lesson.engine.store.images.list() and not lesson.other.store.images.list()
    assert str(place) not in repr(lesson)


def test_beginning_again_stays_where_the_lesson_was(place: Path) -> None:
    """A lesson's own root is DOCKERSIM_HOME from then on; the next is beside it, not in it."""
    first = scratch(within=place / ".").engine.root.parent
    assert scratch().engine.root.parent.parent == first.parent


def test_beginning_again_leaves_nothing_of_the_run_before(place: Path) -> None:
    lesson = scratch(within=place)
    lesson.engine.build(".", tags=["mine"], text="FROM scratch\nCOPY app.py /\n").finish()
    first = lesson.engine.root.parent
    lesson = scratch(within=place)
    gc.collect()
    assert not first.exists()
    assert not lesson.engine.store.images.has("mine")


def test_clean_up_deletes_everything_and_can_be_repeated(place: Path) -> None:
    lesson = scratch(within=place)
    lesson.engine.build(".", text="FROM scratch\nCOPY app.py /\n").finish()
    lesson.engine.shipping.practice_registry()
    # overlayfs leaves directories that even their owner cannot look into
    closed = lesson.engine.root / "work"
    (closed / "below").mkdir(parents=True)
    closed.chmod(0)
    assert lesson.clean_up() and lesson.clean_up()
    assert list(place.glob("dockersim-lesson-*")) == []


def test_what_a_killed_kernel_left_is_swept_with_its_registry(place: Path) -> None:
    kernel = subprocess.Popen([sys.executable, "-c", A_KERNEL, str(place)], stdout=subprocess.PIPE, text=True)
    assert kernel.stdout is not None
    left, registry = Path(kernel.stdout.readline().strip()).parent, int(kernel.stdout.readline())
    held = scratch(within=place)
    assert left.is_dir(), "the place of a kernel that lives is left alone"
    kernel.send_signal(signal.SIGKILL)
    kernel.wait()
    kernel.stdout.close()
    assert left.is_dir()
    again = scratch(within=place)
    assert not left.exists() and held.folder.is_dir() and again.folder.is_dir()
    assert _ends(registry)


def test_a_link_in_the_place_of_a_lesson_is_not_followed(place: Path) -> None:
    (place / "precious").mkdir()
    (place / "dockersim-lesson-link").symlink_to(place / "precious")
    scratch(within=place)
    assert (place / "precious").is_dir()


def test_a_port_that_is_taken_is_not_given(place: Path) -> None:
    lesson = scratch(within=place)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert lesson.free_port(port) != port
    assert lesson.free_port(port) == port


def test_a_page_is_fetched_whatever_proxy_the_machine_uses(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    lesson = scratch(within=place)
    with _server() as port:
        assert lesson.fetch(f"http://127.0.0.1:{port}/") == "hello\n"


def test_nobody_at_an_address_is_one_line(place: Path) -> None:
    lesson: Scratch = scratch(within=place)
    with pytest.raises(PageUnreachable, match="nobody answers at"):
        lesson.fetch(f"http://127.0.0.1:{lesson.free_port()}/", seconds=0.2)


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello\n")

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


class _server:
    def __enter__(self) -> int:
        self._server = HTTPServer(("127.0.0.1", 0), _Hello)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self._server.server_port

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _ends(process: int, seconds: float = 10) -> bool:
    """Wait until a process, which is not ours to wait for, has ended."""
    until = time.monotonic() + seconds
    status = Path(f"/proc/{process}/status")
    while status.exists() and "State:\tZ" not in status.read_text():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
