"""A web server on loopback, for ADD of addresses."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"
"""1700000000 in seconds."""


@dataclass
class Site:
    """A web server with a few files; it notes what was asked for, and how it answered."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    answers: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Site]:
    """Serve ``files`` with ETag and Last-Modified; ``/moved`` leads to ``/foo``."""
    site = Site(files=files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = site.files.get(self.path)
            tag = f'"{hashlib.sha256(data or b"").hexdigest()}"'
            status = 404 if data is None else 304 if self.headers["If-None-Match"] == tag else 200
            site.answers.append((self.path, status))  # before anything is sent: the test goes on once it has the answer
            self.send_response(302 if self.path == "/moved" else status)
            if self.path == "/moved":
                self.send_header("Location", "/foo")
            self.send_header("ETag", tag)
            self.send_header("Last-Modified", MODIFIED)
            self.send_header("Content-Length", str(len(data or b"") if status == 200 else 0))
            self.end_headers()
            if status == 200 and data is not None:
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with listening(Handler) as site.url:
        yield site


@contextmanager
def listening(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer requests on a free port of this machine in threads; yields the address without a slash behind it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
