"""Delete and garbage collection as requests: GET tells the plan, POST confirms and does it."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dockersim.registry.page import freeing
from dockersim.registry.page.freeing import Form
from dockersim.registry.page.image import title_of
from dockersim.registry.page.layout import page
from dockersim.registry.page.visit import Visit, image_named
from dockersim.registry.plans import Collection, Removal
from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.access import Caller
from dockersim.registry.server.guard import is_local
from dockersim.registry.server.inventory import Inventory
from dockersim.registry.upkeep import collect

Plan = Removal | Collection


async def plan_delete(visit: Visit) -> Response:
    """Tell what follows from a delete."""
    repository, name = image_named(visit.call.request.query_params)
    return _removal_page(visit, await run_in_threadpool(_removal, visit, repository, name))


async def delete(visit: Visit) -> Response:
    """Delete a tag or a manifest, if the form confirms the plan as it is now."""
    fields = await visit.form()
    repository, name = image_named(fields)
    # A second click finds nothing to delete any more: this raises MANIFEST_UNKNOWN.
    plan = await run_in_threadpool(_removal, visit, repository, name)
    if (refused := await _refusal(visit, plan, fields)) is not None:
        return _removal_page(visit, plan, *refused)
    store = visit.call.store
    await run_in_threadpool(store.remove_tag if plan.tag else store.remove_manifest, repository, name)
    return page(f"Deleted: {title_of(repository, name)}", freeing.removed(plan))


async def plan_garbage(visit: Visit) -> Response:
    """Tell what garbage collection would free."""
    spare_young = _spares_young(visit, visit.call.query("young"))
    return _garbage_page(visit, await run_in_threadpool(_collection, visit, spare_young), spare_young)


async def garbage(visit: Visit) -> Response:
    """Collect the garbage, if the form confirms the plan as it is now."""
    fields = await visit.form()
    spare_young = _spares_young(visit, fields.get("young", ""))
    plan = await run_in_threadpool(_collection, visit, spare_young)
    if (refused := await _refusal(visit, plan, fields)) is not None:
        return _garbage_page(visit, plan, spare_young, *refused)
    done = await run_in_threadpool(collect, visit.call.store.root, spare_young=spare_young)
    return page("Garbage collected", freeing.collected(done), here="garbage")


# ---------------------------------------------------------------- plans


def _removal(visit: Visit, repository: str, name: str) -> Removal:
    return Inventory.read(visit.call.store).plan_removal(repository, name)


def _collection(visit: Visit, spare_young: bool) -> Collection:
    return Inventory.read(visit.call.store).plan_collection(time.time(), spare_young=spare_young)


def _removal_page(visit: Visit, plan: Removal, error: str = "", status: int = 200) -> Response:
    title = f"Delete {title_of(plan.repository, plan.tag or plan.digest)}?"
    return page(title, freeing.removal(plan, _form(visit, plan, error)), status=status)


def _garbage_page(visit: Visit, plan: Collection, spare_young: bool, error: str = "", status: int = 200) -> Response:
    content = freeing.garbage(plan, _form(visit, plan, error), spare_young=spare_young)
    return page("Garbage collection", content, here="garbage", status=status)


def _form(visit: Visit, plan: Plan, error: str) -> Form:
    owner = plan.repository.partition("/")[0] if isinstance(plan, Removal) else ""
    ask = not _may(visit, Caller("", is_local(visit.call.request)), plan)
    return Form(visit.visitors.seal(visit.session, plan.fingerprint), owner, ask, error)


# ---------------------------------------------------------------- who may


async def _refusal(visit: Visit, plan: Plan, fields: Mapping[str, str]) -> tuple[str, int] | None:
    """Say why a form is not obeyed, in words and as a status; None if it is."""
    _check_same_site(visit)
    if not visit.visitors.is_sealed(visit.session, plan.fingerprint, fields.get("seal", "")):
        return "The registry has changed since this plan was made, or the page is too old. This is the plan now.", 409
    try:
        caller = await _caller(visit, fields)
    except Problem:
        return "The name or the password is wrong.", 401
    if not _may(visit, caller, plan):
        return "This user may not do that: a repository belongs to the user with whose name it begins.", 403
    return None


def _spares_young(visit: Visit, young: str) -> bool:
    """Read whether blobs that are young are spared; raise DENIED if not, and this is another machine.

    They may be those of a push that is under way, and whose push that is nobody knows.
    """
    if young == "yes" and not is_local(visit.call.request):
        raise Problem(Code.DENIED, "what is young may belong to somebody's push: only on the registry's own machine "
                                   "it can be taken")  # fmt: skip
    return young != "yes"


def _check_same_site(visit: Visit) -> None:
    """Raise DENIED for a form that a page of another site has sent; the browser itself says so (Fetch Metadata)."""
    if visit.call.header("sec-fetch-site") not in ("", "same-origin", "none"):
        raise Problem(Code.DENIED, "this form was sent by a page of another site")


async def _caller(visit: Visit, fields: Mapping[str, str]) -> Caller:
    if not fields.get("user"):
        return await visit.call.caller()
    pair = f"{fields['user']}:{fields.get('password', '')}"
    authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    registry = visit.call.registry
    # Not local: a name that was mistyped here must not become a new user, as it would at docker login.
    async with registry.logins:
        return await run_in_threadpool(registry.access.identify, authorization, local=False)


def _may(visit: Visit, caller: Caller, plan: Plan) -> bool:
    """Tell whether the caller may do what is planned: the rules of a push; what no manifest names is nobody's."""
    if isinstance(plan, Removal):
        may_push = visit.call.registry.access.may_push(caller, plan.repository, as_hub=False)
        return may_push and caller.holds("delete", plan.repository)
    return caller.local or caller.proven
