"""The requests of the distribution-spec as a table, and what is around every one of them.

Around each request: it is counted for the wire log, a refusal becomes the spec's error body, and a request that a
web page elsewhere made a browser send is turned away.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from dockersim.registry import names
from dockersim.registry.page.feed import Feed
from dockersim.registry.page.requests import Pages
from dockersim.registry.page.visitors import Visitors
from dockersim.registry.problems import Code, Problem, trouble
from dockersim.registry.purpose import spares
from dockersim.registry.server import blob_requests, manifest_requests, token_requests
from dockersim.registry.server.access import SERVICE, Access
from dockersim.registry.server.call import Call
from dockersim.registry.server.guard import is_foreign
from dockersim.registry.server.repositories import RegistryStore
from dockersim.registry.server.uploading import Sessions
from dockersim.registry.wire import WireEvent, WireLog

Handler = Callable[[Call], Awaitable[Response]]

LOGINS_AT_ONCE: Final = 2
"""Each hashes a password: 50 ms of a processor and 16 MiB. A class that logs in at once waits some seconds, and the
threads that read and write blobs stay free."""

_TABLE: Final[tuple[tuple[str, dict[str, Handler]], ...]] = (
    (r"/token", {"GET": token_requests.token, "POST": token_requests.token}),
    (r"/v2/?", {"GET": token_requests.check, "HEAD": token_requests.check}),
    (r"/v2/_catalog", {"GET": manifest_requests.catalog}),
    (r"/v2/(?P<name>.+)/tags/list", {"GET": manifest_requests.tags}),
    (r"/v2/(?P<name>.+)/referrers/(?P<item>[^/]+)", {"GET": manifest_requests.referrers}),
    (
        r"/v2/(?P<name>.+)/manifests/(?P<item>[^/]+)",
        {
            "GET": manifest_requests.pull,
            "HEAD": manifest_requests.pull,
            "PUT": manifest_requests.push,
            "DELETE": manifest_requests.delete,
        },
    ),
    (r"/v2/(?P<name>.+)/blobs/uploads/?", {"POST": blob_requests.start}),
    (
        r"/v2/(?P<name>.+)/blobs/uploads/(?P<item>[^/]+)",
        {
            "GET": blob_requests.status,
            "HEAD": blob_requests.status,
            "PATCH": blob_requests.chunk,
            "PUT": blob_requests.finish,
            "DELETE": blob_requests.cancel,
        },
    ),
    (
        r"/v2/(?P<name>.+)/blobs/(?P<item>[^/]+)",
        {"GET": blob_requests.pull, "HEAD": blob_requests.pull, "DELETE": blob_requests.delete},
    ),
)
_ROUTES: Final = [(re.compile(pattern, re.DOTALL), handlers) for pattern, handlers in _TABLE]


class RegistryApp:
    """The registry as an ASGI application."""

    def __init__(self, store: RegistryStore, access: Access, log: WireLog) -> None:
        self.store = store
        self.access = access
        self.feed = Feed(log)
        self.pages = Pages(Visitors(access), self.feed)
        self.sessions = Sessions(store)
        self.manifests = asyncio.Semaphore(1)
        self.logins = asyncio.Semaphore(LOGINS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        count = _Count(receive, send, lambda: self._record(request, count))
        request = Request(scope, count.receive)
        try:
            response = await self._answer(request)
            await response(scope, count.receive, count.send)
        except (ClientDisconnect, OSError):
            # Whoever asked is gone; what arrived of an upload stays, to be resumed.
            pass
        finally:
            count.finish()

    def _record(self, request: Request, count: _Count) -> None:
        event = WireEvent.of(
            request.method,
            request.scope["path"],
            query=request.url.query,
            status=count.status,
            bytes_in=count.bytes_in,
            bytes_out=count.bytes_out,
            seconds=time.perf_counter() - count.began,
            at=count.at,
        )
        self.feed.record(event, self._saved(event))

    def _saved(self, event: WireEvent) -> int:
        """Tell how many bytes need not be sent after this answer."""
        return self.store.blobs.size(event.digest) or 0 if spares(event.purpose, event.status) else 0

    async def _answer(self, request: Request) -> Response:
        try:
            if is_foreign(request, known=self._is_page(request) and self.pages.visitors.is_known(request)):
                raise Problem(Code.DENIED, "this registry does not answer web pages of other sites")
            return await self._dispatch(request)
        except Problem as problem:
            return refusal(problem, request)
        except OSError as error:
            return refusal(trouble(error), request)

    def _is_page(self, request: Request) -> bool:
        return self.pages.handler(request.scope["path"], request.method) is not None

    async def _dispatch(self, request: Request) -> Response:
        if (shown := self.pages.handler(request.scope["path"], request.method)) is not None:
            return await shown(Call(self, request, "", ""))
        # Not request.url.path: parsing an address drops line breaks, so that another name would be checked than came.
        for pattern, handlers in _ROUTES:
            if (match := pattern.fullmatch(request.scope["path"])) is None:
                continue
            handler = handlers.get(request.method)
            if handler is None:
                raise Problem(Code.UNSUPPORTED, "the operation is unsupported", headers={"Allow": ", ".join(handlers)})
            parts = match.groupdict()
            repository = names.repository(parts["name"]) if "name" in parts else ""
            return await handler(Call(self, request, repository, parts.get("item") or ""))
        raise Problem(Code.NAME_UNKNOWN, "not found")


def refusal(problem: Problem, request: Request) -> Response:
    """Turn a refusal into an answer; a 401 says where to fetch a token (RFC 6750, Docker's token spec)."""
    headers = dict(problem.headers)
    if problem.code is Code.UNAUTHORIZED:
        headers["WWW-Authenticate"] = challenge(request)
    body = b"" if request.method == "HEAD" else problem.body()
    return Response(body, problem.status, headers, media_type="application/json")


def challenge(request: Request) -> str:
    """Say where tokens are to be had, and which scope this request wants."""
    parameters = [("realm", f"{request.base_url}token"), ("service", SERVICE)]
    if match := re.match(r"/v2/(.+)/(?:blobs|manifests|tags|referrers)/", request.scope["path"]):
        parameters.append(("scope", f"repository:{match[1]}:pull,push"))
    return "Bearer " + ",".join(f'{name}="{_quotable(value)}"' for name, value in parameters)


def _quotable(value: str) -> str:
    return "".join(letter for letter in value if letter.isprintable() and letter.isascii() and letter not in '"\\')


class _Count:
    """Counts the bytes of the bodies that pass, and keeps the status.

    ``finished`` is called once: before the last piece of the answer goes out, so that whoever has an answer finds it in
    the log; or when it is known that there will be none.
    """

    def __init__(self, receive: Receive, send: Send, finished: Callable[[], None]) -> None:
        self._receive, self._send, self._finished = receive, send, finished
        self._is_finished, self._announced = False, -1
        self.bytes_in = self.bytes_out = self.status = 0
        self.began, self.at = time.perf_counter(), time.time()

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._announced = int(dict(message["headers"]).get(b"content-length", -1))
        else:
            self.bytes_out += len(message.get("body", b""))
            if self.bytes_out == self._announced or not message.get("more_body", False):
                self.finish()
        await self._send(message)

    def finish(self) -> None:
        """Say that nothing more will be counted. May be repeated."""
        if not self._is_finished:
            self._is_finished = True
            self._finished()


def create_app(store: RegistryStore, access: Access, log: WireLog) -> RegistryApp:
    """Put the registry together."""
    return RegistryApp(store, access, log)
