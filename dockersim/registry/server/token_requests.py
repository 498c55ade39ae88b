"""Logging in: the ping that says how, and the token server (distribution, ``docs/spec/auth/token.md``).

Docker Hub has its token server at auth.docker.io; ours is part of the registry, at ``/token``.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.access import TOKEN_SECONDS, Caller, basic_credentials
from dockersim.registry.server.call import Call
from dockersim.registry.server.guard import is_local
from dockersim.registry.server.users import Login

LONGEST_FORM: Final = 16 * 1024

MOST_SCOPES: Final = 16
"""Scopes of one token: a client asks for the one or two repositories that it works with."""


async def check(call: Call) -> Response:
    """Answer ``GET /v2/``: 401 to who says nothing, since from that answer clients learn where tokens are."""
    caller = await call.caller()
    if not caller.proven:
        raise Problem(Code.UNAUTHORIZED, "authentication required")
    return JSONResponse({}, headers={"Docker-Distribution-API-Version": "registry/2.0"})


async def token(call: Call) -> Response:
    """Hand out a token: for the name in the Basic credentials, or an anonymous one without any.

    It is good for as much of what ``scope`` asks for as the caller may have, which is not always all: a client finds
    that out when it uses it (distribution, ``docs/spec/auth/token.md``, "Requesting a Token").
    """
    form = await _form(call) if call.request.method == "POST" else {}
    authorization = _form_login(form) if form else call.header("authorization")
    access, local = call.registry.access, is_local(call.request)
    name, outcome = "", Login.ACCEPTED
    # Empty credentials are none: so asks the OCI conformance suite, and whoever fills in a form of nothing.
    if authorization and basic_credentials(authorization) != ("", ""):
        async with call.registry.logins:
            name, outcome = await run_in_threadpool(access.login, authorization, local=local)
    scopes = " ".join([*call.request.query_params.getlist("scope"), form.get("scope", "")]).split()[:MOST_SCOPES]
    made = access.issue(name, access.grant(Caller(name, local, proven=bool(name)), scopes))
    issued = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body: dict[str, object] = {
        "token": made,
        "access_token": made,
        "expires_in": TOKEN_SECONDS,
        "issued_at": issued,
    }
    if outcome is Login.REGISTERED:
        # Not of the spec: lets our own client say in words that the name is new.
        body["registered"] = True
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


async def _form(call: Call) -> dict[str, str]:
    """Read the form of OAuth2 (distribution, ``docs/spec/auth/oauth.md``)."""
    data = b""
    async for piece in call.request.stream():
        data += piece
        if len(data) > LONGEST_FORM:
            raise Problem(Code.SIZE_INVALID, "form too long", status=413)
    form = {name: values[0] for name, values in parse_qs(data.decode(errors="replace")).items()}
    if form.get("grant_type") != "password":
        raise Problem(Code.UNSUPPORTED, "only the grant type password is supported")
    return form


def _form_login(form: dict[str, str]) -> str:
    """Write the form's name and password as if they were Basic credentials."""
    pair = f"{form.get('username', '')}:{form.get('password', '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
