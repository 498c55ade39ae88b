"""The requests for pages.

    GET  ./                            repositories, and the requests as they come
    GET  repositories                  the list of them by itself, for pages that are open
    GET  image?repository=R&name=N     one tag or manifest
    GET  delete?repository=R&name=N    the plan of a delete;      POST delete    does it
    GET  garbage[?young=yes]           the plan of a collection;  POST garbage   does it
    GET  requests?after=N, events?after=N   the log as JSON, and as server-sent events
    GET  page.css, page.js

All addresses are relative, as a proxy may show the page below any prefix.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from dockersim.registry.page import home, image, orders
from dockersim.registry.page.feed import Feed
from dockersim.registry.page.layout import HEADERS, HOME, page, paragraph
from dockersim.registry.page.log import messages, stream_text
from dockersim.registry.page.markup import link
from dockersim.registry.page.visit import Visit, image_named
from dockersim.registry.page.visitors import Visitors
from dockersim.registry.problems import Problem
from dockersim.registry.server.call import Call
from dockersim.registry.server.inventory import Inventory

_SCRIPT: Final = Path(__file__).with_name("page.js")
_STYLE: Final = Path(__file__).with_name("page.css")

Handler = Callable[[Visit], Awaitable[Response]]


class Pages:
    """The pages of one registry."""

    def __init__(self, visitors: Visitors, feed: Feed) -> None:
        self.visitors = visitors
        self.feed = feed
        self.listing = home.Listing()

    def handler(self, path: str, method: str) -> Callable[[Call], Awaitable[Response]] | None:
        """Find what answers a request, None if it is for no page."""
        found = _TABLE.get(path, {}).get(method)
        return (lambda call: self._answer(found, call)) if found else None

    async def _answer(self, handler: Handler, call: Call) -> Response:
        session = self.visitors.session_of(call.request) or self.visitors.new_session()
        try:
            response = await handler(Visit(call, session, self.visitors, self.feed, self.listing))
        except Problem as problem:
            response = _refused(problem)
        self.visitors.greet(call.request, response, session)
        return response


async def _home(visit: Visit) -> Response:
    listing = await visit.listing.write(visit.call.store, _registry(visit))
    content = await run_in_threadpool(home.home, listing, visit.feed)
    return page("Practice registry", content, here=HOME)


async def _repositories(visit: Visit) -> Response:
    return HTMLResponse(await visit.listing.write(visit.call.store, _registry(visit)), headers=HEADERS)


async def _image(visit: Visit) -> Response:
    repository, name = image_named(visit.call.request.query_params)

    def write() -> HTMLResponse:
        inventory = Inventory.read(visit.call.store)
        looked = image.Looked.at(inventory, inventory.find(repository, name), visit.call.store.blobs)
        return page(image.title_of(repository, name), image.image(looked, name, _registry(visit)))

    return await run_in_threadpool(write)


async def _requests(visit: Visit) -> Response:
    run = visit.feed.run
    return JSONResponse({"run": run, "requests": messages(run, visit.feed.after(_after(visit)))}, headers=HEADERS)


async def _events(visit: Visit) -> Response:
    if visit.feed.is_full:  # a browser does not come back by itself after an answer that is no stream
        return Response("too many pages follow the requests", 503, {**HEADERS, "Retry-After": "60"})

    async def stream() -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        async for news in visit.feed.follow(_after(visit)):
            yield stream_text(visit.feed.run, news)

    # nginx, which stands before most hubs, would else keep the events until its buffer is full.
    return StreamingResponse(stream(), headers={**HEADERS, "X-Accel-Buffering": "no"}, media_type="text/event-stream")


async def _style(visit: Visit) -> Response:
    return Response(_STYLE.read_bytes(), headers=HEADERS, media_type="text/css")


async def _script(visit: Visit) -> Response:
    return Response(_SCRIPT.read_bytes(), headers=HEADERS, media_type="text/javascript")


def _after(visit: Visit) -> int:
    """Read where the page has got to; from another run of the server the numbers mean nothing."""
    run, _, number = visit.call.header("last-event-id").partition("-")
    if not run:
        run, number = visit.call.query("run"), visit.call.query("after")
    is_number = number.isascii() and number.isdigit() and len(number) < 16
    return int(number) if is_number and run == visit.feed.run else 0


def _registry(visit: Visit) -> str:
    host, port = visit.call.request.scope.get("server") or ("127.0.0.1", 0)
    return f"{host}:{port}"


def _refused(problem: Problem) -> Response:
    title = "Not here" if problem.status == 404 else "Not possible"
    words = paragraph(problem.message[:1].upper() + problem.message[1:], ".")
    return page(title, words, paragraph(link("Go to the repositories", HOME), "."), status=problem.status)


_TABLE: Final[dict[str, dict[str, Handler]]] = {
    "/": {"GET": _home},
    "/repositories": {"GET": _repositories},
    "/image": {"GET": _image},
    "/delete": {"GET": orders.plan_delete, "POST": orders.delete},
    "/garbage": {"GET": orders.plan_garbage, "POST": orders.garbage},
    "/requests": {"GET": _requests},
    "/events": {"GET": _events},
    "/page.css": {"GET": _style},
    "/page.js": {"GET": _script},
}
