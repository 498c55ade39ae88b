"""The requests for pages: what is looked up, who may, and what is answered.

    GET  ./                            repositories, and the requests as they come
    GET  image?repository=R&name=N     one tag or manifest
    GET  delete?repository=R&name=N    the plan of a delete;      POST delete    does it
    GET  garbage[?young=yes]           the plan of a collection;  POST garbage   does it
    GET  requests?after=N, events?after=N   the log as JSON, and as server-sent events
    GET  page.css, page.js

Asked for ``application/json`` the plans, and what was done, come as JSON: that is how ``dockersim registry`` asks.
All addresses are relative, as a proxy may show the page below any prefix.
"""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from dockersim.registry import names
from dockersim.registry.page import freeing, home, image
from dockersim.registry.page.feed import Feed
from dockersim.registry.page.freeing import Form
from dockersim.registry.page.layout import HEADERS, HOME, page, paragraph
from dockersim.registry.page.log import messages, stream_text
from dockersim.registry.page.markup import Markup, link
from dockersim.registry.page.visitors import Visitors
from dockersim.registry.plans import LATER, Collection, Removal
from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.access import Caller
from dockersim.registry.server.call import Call
from dockersim.registry.server.guard import is_local
from dockersim.registry.server.inventory import Inventory

LONGEST_FORM: Final = 16 * 1024

_SCRIPT: Final = Path(__file__).with_name("page.js")
_STYLE: Final = Path(__file__).with_name("page.css")

Handler = Callable[["Pages", Call], Awaitable[Response]]


class Pages:
    """What the pages need beside the registry itself."""

    def __init__(self, visitors: Visitors, feed: Feed) -> None:
        self.visitors = visitors
        self.feed = feed

    def handler(self, path: str, method: str) -> Callable[[Call], Awaitable[Response]] | None:
        """Find what answers a request, None if it is for no page."""
        found = _TABLE.get(path, {}).get(method)
        return (lambda call: self._answer(found, call)) if found else None

    async def _answer(self, handler: Handler, call: Call) -> Response:
        try:
            response = await handler(self, call)
        except Problem as problem:
            response = _refused(problem)
        self.visitors.greet(call.request, response, self.session(call))
        return response

    def session(self, call: Call) -> str:
        """Give the session of the request, or a new one: the same one for the length of a request."""
        if "page_session" not in call.request.scope:
            found = self.visitors.session_of(call.request) or self.visitors.new_session()
            call.request.scope["page_session"] = found
        return str(call.request.scope["page_session"])

    def form(self, call: Call, plan: Removal | Collection, error: str = "") -> Form:
        """Make the form that confirms a plan."""
        owner = plan.repository.partition("/")[0] if isinstance(plan, Removal) else ""
        ask = not _may(call, Caller("", is_local(call.request)), plan)
        return Form(self.visitors.seal(self.session(call), plan.fingerprint), owner, ask, error)


# ---------------------------------------------------------------- looking


async def _home(pages: Pages, call: Call) -> Response:
    inventory = await run_in_threadpool(Inventory.read, call.store)
    content = await run_in_threadpool(home.home, inventory, pages.feed, _registry(call))
    return page("Practice registry", content, here=HOME)


async def _image(pages: Pages, call: Call) -> Response:
    repository, name = _wanted(call.query("repository"), call.query("name"))

    def write() -> HTMLResponse:
        inventory = Inventory.read(call.store)
        looked = image.Looked.at(inventory, inventory.find(repository, name), call.store.blobs)
        return page(image.title_of(repository, name), image.image(looked, name, _registry(call)))

    return await run_in_threadpool(write)


async def _requests(pages: Pages, call: Call) -> Response:
    body = {"run": pages.feed.run, "requests": messages(pages.feed.run, pages.feed.after(_after(pages, call)))}
    return JSONResponse(body, headers=HEADERS)


async def _events(pages: Pages, call: Call) -> Response:
    async def stream() -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        async for news in pages.feed.follow(_after(pages, call)):
            yield stream_text(pages.feed.run, news)

    # nginx, which stands before most hubs, would else keep the events until its buffer is full.
    return StreamingResponse(stream(), headers={**HEADERS, "X-Accel-Buffering": "no"}, media_type="text/event-stream")


async def _style(pages: Pages, call: Call) -> Response:
    return Response(_STYLE.read_bytes(), headers=HEADERS, media_type="text/css")


async def _script(pages: Pages, call: Call) -> Response:
    return Response(_SCRIPT.read_bytes(), headers=HEADERS, media_type="text/javascript")


# ---------------------------------------------------------------- delete


async def _plan_delete(pages: Pages, call: Call) -> Response:
    repository, name = _wanted(call.query("repository"), call.query("name"))
    plan = await run_in_threadpool(_removal, call, repository, name)
    return _removal_page(pages, call, plan)


async def _delete(pages: Pages, call: Call) -> Response:
    fields = await _form(call)
    repository, name = _wanted(fields.get("repository", ""), fields.get("name", ""))
    plan = await run_in_threadpool(_removal, call, repository, name)
    if (refused := await _refusal(pages, call, plan, fields)) is not None:
        return _removal_page(pages, call, plan, *refused)
    # A second click finds nothing to delete any more: the plan has then raised MANIFEST_UNKNOWN.
    remove = call.store.remove_tag if plan.tag else call.store.remove_manifest
    await run_in_threadpool(remove, repository, name)
    if _wants_json(call):
        return _json(plan)
    return page(f"Deleted: {image.title_of(repository, name)}", freeing.removed(plan))


def _removal(call: Call, repository: str, name: str) -> Removal:
    return Inventory.read(call.store).plan_removal(repository, name)


def _removal_page(pages: Pages, call: Call, plan: Removal, error: str = "", status: int = 200) -> Response:
    if _wants_json(call):
        return _json(plan, status)
    title = f"Delete {image.title_of(plan.repository, plan.tag or plan.digest)}?"
    return page(title, freeing.removal(plan, pages.form(call, plan, error)), status=status)


# ---------------------------------------------------------------- garbage collection


async def _plan_garbage(pages: Pages, call: Call) -> Response:
    spare_young = call.query("young") != "yes"
    return _garbage_page(pages, call, await run_in_threadpool(_collection, call, spare_young), spare_young)


async def _garbage(pages: Pages, call: Call) -> Response:
    fields = await _form(call)
    spare_young = fields.get("young") != "yes"
    plan = await run_in_threadpool(_collection, call, spare_young)
    if (refused := await _refusal(pages, call, plan, fields)) is not None:
        return _garbage_page(pages, call, plan, spare_young, *refused)
    before = await run_in_threadpool(_on_disk, call)
    freed = await run_in_threadpool(call.store.collect, _before(spare_young))
    after = await run_in_threadpool(_on_disk, call)
    if _wants_json(call):
        return JSONResponse({"freed": freed, "before": before, "after": after}, headers=HEADERS)
    return page("Garbage collected", freeing.collected(sum(freed.values()), len(freed), before, after), here="garbage")


def _collection(call: Call, spare_young: bool) -> Collection:
    return Inventory.read(call.store).plan_collection(time.time(), spare_young=spare_young)


def _garbage_page(
    pages: Pages, call: Call, plan: Collection, spare_young: bool, error: str = "", status: int = 200
) -> Response:
    if _wants_json(call):
        return _json(plan, status)
    content = freeing.garbage(plan, pages.form(call, plan, error), spare_young=spare_young)
    return page("Garbage collection", content, here="garbage", status=status)


# ---------------------------------------------------------------- who may


async def _refusal(
    pages: Pages, call: Call, plan: Removal | Collection, fields: dict[str, str]
) -> tuple[str, int] | None:
    """Say why a form is not obeyed, in words and as a status; None if it is."""
    _check_same_site(call)
    session = pages.visitors.session_of(call.request)
    if not pages.visitors.is_sealed(session, plan.fingerprint, fields.get("seal", "")):
        return "The registry has changed since this plan was made, or the page is too old. This is the plan now.", 409
    try:
        caller = await _caller(call, fields)
    except Problem:
        return "The name or the password is wrong.", 401
    if not _may(call, caller, plan):
        return "This user may not do that: a repository belongs to the user with whose name it begins.", 403
    return None


def _check_same_site(call: Call) -> None:
    """Raise DENIED for a form that a page of another site has sent; the browser itself says so (Fetch Metadata)."""
    if call.header("sec-fetch-site") not in ("", "same-origin", "none"):
        raise Problem(Code.DENIED, "this form was sent by a page of another site")


async def _caller(call: Call, fields: dict[str, str]) -> Caller:
    if not fields.get("user"):
        return await call.caller()
    pair = f"{fields['user']}:{fields.get('password', '')}"
    authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    # Not local: a name that was mistyped here must not become a new user, as it would at docker login.
    async with call.registry.logins:
        return await run_in_threadpool(call.registry.access.identify, authorization, local=False)


def _may(call: Call, caller: Caller, plan: Removal | Collection) -> bool:
    """Tell whether the caller may do what is planned: the rules of a push; collecting takes nothing from anybody."""
    if isinstance(plan, Removal):
        return call.registry.access.may_push(caller, plan.repository, as_hub=False)
    return caller.local or caller.proven


# ---------------------------------------------------------------- pieces


def _wanted(repository: str, name: str) -> tuple[str, str]:
    """Check what is asked for; raise NAME_INVALID, DIGEST_INVALID or MANIFEST_UNKNOWN."""
    checked = names.repository(repository)
    if names.looks_like_digest(name):
        return checked, names.digest(name)
    if not names.is_tag(name):
        raise Problem(Code.MANIFEST_UNKNOWN, "manifest unknown")
    return checked, name


async def _form(call: Call) -> dict[str, str]:
    data = b""
    async for piece in call.request.stream():
        data += piece
        if len(data) > LONGEST_FORM:
            raise Problem(Code.SIZE_INVALID, "form too long", status=413)
    try:
        fields = parse_qs(data.decode("ascii"), max_num_fields=20)
    except ValueError as error:
        raise Problem(Code.UNSUPPORTED, "not a form", status=400) from error
    return {name: values[0] for name, values in fields.items()}


def _after(pages: Pages, call: Call) -> int:
    """Read where the page has got to; from another run of the server the numbers mean nothing."""
    run, _, number = call.header("last-event-id").partition("-")
    if not run:
        run, number = call.query("run"), call.query("after")
    is_number = number.isascii() and number.isdigit() and len(number) < 16
    return int(number) if is_number and run == pages.feed.run else 0


def _registry(call: Call) -> str:
    host, port = call.request.scope.get("server") or ("127.0.0.1", 0)
    return f"{host}:{port}"


def _on_disk(call: Call) -> int:
    return sum(call.store.blobs.size(digest) or 0 for digest in call.store.blobs.all())


def _before(spare_young: bool) -> float:
    return time.time() - (LATER if spare_young else 0)


def _wants_json(call: Call) -> bool:
    return call.header("accept").startswith("application/json")


def _json(plan: Removal | Collection, status: int = 200) -> Response:
    return Response(msgspec.json.encode(plan), status, HEADERS, media_type="application/json")


def _refused(problem: Problem) -> Response:
    words: Markup = paragraph(problem.message[:1].upper() + problem.message[1:], ".")
    return page("Not here" if problem.status == 404 else "Not possible", words,
                paragraph(link("Go to the repositories", HOME), "."), status=problem.status)  # fmt: skip


_TABLE: Final[dict[str, dict[str, Handler]]] = {
    "/": {"GET": _home},
    "/image": {"GET": _image},
    "/delete": {"GET": _plan_delete, "POST": _delete},
    "/garbage": {"GET": _plan_garbage, "POST": _garbage},
    "/requests": {"GET": _requests},
    "/events": {"GET": _events},
    "/page.css": {"GET": _style},
    "/page.js": {"GET": _script},
}
