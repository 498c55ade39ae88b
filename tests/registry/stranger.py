"""Registries that a test makes up: one of scripted answers, one that plays Docker Hub, and a line that is cut."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from dockersim.digest import sha256
from dockersim.oci import media_types

Seen = list[dict[str, str]]


class Stranger(BaseHTTPRequestHandler):
    """A server whose answers the test gives; it keeps the headers it was sent."""

    protocol_version = "HTTP/1.0"
    script: Callable[[Stranger], None]
    seen: Seen

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        self.seen.append(
            {"method": self.command, "path": self.path, "body": self.body[:4096].decode("latin-1"), **headers}
        )
        type(self).script(self)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def say(self, status: int, body: bytes = b"", /, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def stranger(script: Callable[[Stranger], None], tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, Seen]]:
    """Serve a script; give the address, and the list of requests."""
    seen: Seen = []
    handler = type("Scripted", (Stranger,), {"script": staticmethod(script), "seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield f"127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()


class Hub:
    """Plays Docker Hub: a registry, a token server and a blob store, each at an address of its own.

    Blobs and manifests are what a test puts in, by digest and by name. After ``expire`` requests it takes no token that
    was given out before.
    """

    SIGNATURE = "X-Amz-Signature=s1gnatur3"

    def __init__(self, stack: ExitStack, *, expire: int = 10**6, oauth_only: bool = False) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.logins = {"alice": "wonderland"}
        self.identity_token = "1dentity-t0ken"
        self.tokens: dict[str, bool] = {}
        self._left = expire
        self._lock = threading.Lock()
        self._oauth_only = oauth_only
        self.store, self.seen_by_store = stack.enter_context(stranger(self._blob))
        self.auth, self.seen_by_auth = stack.enter_context(stranger(self._token))
        self.address, self.seen = stack.enter_context(stranger(self._registry))

    def put(self, name: str, data: bytes, media_type: str = media_types.MANIFEST) -> str:
        """Put a manifest in under its name and its digest."""
        digest = sha256(data)
        self.manifests[name] = self.manifests[digest] = (media_type, data)
        return digest

    def _registry(self, ask: Stranger) -> None:
        token = ask.headers.get("Authorization", "").removeprefix("Bearer ")
        path = urlsplit(ask.path).path
        if not self._takes(token):
            realm = f'Bearer realm="http://{self.auth}/token",service="hub"'
            ask.say(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}', WWW_Authenticate=realm)
            return
        kind, name = path.split("/")[-2:]
        if path == "/v2/":
            ask.say(200, b"{}")
        elif kind == "blobs" and name in self.blobs:
            ask.say(307, Location=f"http://{self.store}/{name}?{self.SIGNATURE}")
        elif kind == "manifests" and name in self.manifests:
            media_type, data = self.manifests[name]
            ask.say(200, data, Content_Type=media_type, Docker_Content_Digest=sha256(data))
        else:
            ask.say(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')

    def _takes(self, token: str) -> bool:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self.tokens = dict.fromkeys(self.tokens, False)
            return self.tokens.get(token, False)

    def _token(self, ask: Stranger) -> None:
        form = {name: values[0] for name, values in parse_qs(ask.body.decode()).items()}
        who = base64.b64decode(ask.headers.get("Authorization", "Basic ").partition(" ")[2]).decode().partition(":")
        if ask.command == "GET" and self._oauth_only:
            ask.say(405)
        elif ask.command == "GET":
            self._grant(ask, not who[0] or self.logins.get(who[0]) == who[2])
        elif form.get("grant_type") == "refresh_token":
            self._grant(ask, form.get("refresh_token") == self.identity_token)
        else:
            self._grant(ask, self.logins.get(form.get("username", "")) == form.get("password"))

    def _grant(self, ask: Stranger, good: bool) -> None:
        if not good:
            ask.say(401, b'{"details":"incorrect username or password"}')
            return
        token = f"t0ken-{len(self.tokens)}"
        self.tokens[token] = True
        ask.say(200, json.dumps({"access_token": token, "expires_in": 300}).encode())

    def _blob(self, ask: Stranger) -> None:
        data = self.blobs[urlsplit(ask.path).path[1:]]
        ask.say(200, data)


@contextmanager
def hub(**options: object) -> Iterator[Hub]:
    """Serve one."""
    with ExitStack() as stack:
        yield Hub(stack, **options)  # type: ignore[arg-type]


@contextmanager
def cut_line(to: str, after: int) -> Iterator[str]:
    """A way to the server ``to`` that is cut once, ``after`` so many bytes were sent on it; later lines hold."""
    host, _, port = to.rpartition(":")
    cuts = [after]
    lock = threading.Lock()
    open_lines: list[socket.socket] = []

    def carry(source: socket.socket, target: socket.socket, *, counted: bool) -> None:
        try:
            while data := source.recv(65536):
                with lock:
                    if counted and cuts:
                        cuts[0] -= len(data)
                        if cuts[0] < 0:
                            cuts.clear()
                            break
                target.sendall(data)
        except OSError:
            pass  # the other direction was cut
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        source.close()  # what still comes is answered by a reset: else the sender would wait for ever

    def accept(listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            far = socket.create_connection((host, int(port)))
            open_lines.extend((near, far))
            threading.Thread(target=carry, args=(near, far), kwargs={"counted": True}, daemon=True).start()
            threading.Thread(target=carry, args=(far, near), kwargs={"counted": False}, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=accept, args=(listening,), daemon=True)
        accepting.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for line in open_lines:
                line.close()
    assert not cuts, "the line was never cut"
