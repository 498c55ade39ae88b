"""A Git server on loopback: git's own http-backend behind a small web server, over repositories that a test makes."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.engine.web import listening

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

COMMITTED = 1_700_000_000
"""When every commit was made."""

_IDENTITY = {
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_AUTHOR_DATE": f"{COMMITTED} +0000",
    "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_COMMITTER_DATE": f"{COMMITTED} +0000",
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": os.devnull,
}  # fmt: skip


@dataclass
class Repository:
    """A repository with a working tree, served as ``url``."""

    folder: Path
    url: str

    def git(self, *words: str) -> str:
        """Call git in it."""
        done = subprocess.run(
            ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *words],
            cwd=self.folder, env={**os.environ, **_IDENTITY}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        """Write files (``__`` in a name is a slash), commit everything, and return the commit."""
        for name, text in files.items():
            path = self.folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a commit")
        return self.git("rev-parse", "HEAD")


@dataclass
class GitServer:
    """Serves every repository below ``folder``, and notes what was asked for."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)
    """What git's own protocol asked for: "ls-refs" or "fetch"."""

    def repository(self, name: str, *options: str) -> Repository:
        """Make an empty repository; its address is ``URL/name.git``."""
        made = Repository(self.folder / name, f"{self.url}/{name}.git")
        made.folder.mkdir(parents=True)
        made.git("init", "--quiet", *options)
        (self.folder / f"{name}.git").symlink_to(made.folder / ".git")
        return made


def _plain(request: BaseHTTPRequestHandler, body: bytes) -> bytes:
    return gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body


@contextmanager
def git_server(folder: Path) -> Iterator[GitServer]:
    """Serve the repositories below ``folder`` until the block ends."""
    site = GitServer(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            site.asked.append(path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            site.asks += [word for word in ("ls-refs", "fetch") if f"command={word}".encode() in _plain(self, body)]
            done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, check=False, env={
                "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(folder), "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
            })  # fmt: skip
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200 OK")[:3]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with listening(Handler) as site.url:
        yield site
