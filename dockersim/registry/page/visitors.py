"""Who looks at the page, and whether a form was really sent from it.

The page is for this machine. Two things could pretend to be it: a stranger's domain that points here (DNS rebinding),
and a page elsewhere that makes the learner's browser send a form (CSRF). Against both stands a session, a cookie that
only we can make: it is given to who calls this machine by an honest name (``guard``), or who brings the registry's
key, which whoever owns the registry's folder can read. That is how a page behind JupyterHub is let in, where the
browser calls us by the hub's name.

A form carries a seal made of the session and of the plan that was read, so that nothing else can be confirmed with it.

>>> from pathlib import Path
>>> from dockersim.registry.server.users import Users
>>> visitors = Visitors(Access(Users(Path("none")), b"secret", lambda: 0.0))
>>> session = visitors.new_session()
>>> visitors.holds(session), visitors.holds("0" * 32 + ".forged"), visitors.holds("é.x")
(True, False, False)
>>> visitors.seal(session, "plan") == visitors.seal(session, "another plan")
False
"""

from __future__ import annotations

import hmac
import secrets

from starlette.requests import Request
from starlette.responses import Response

from dockersim.registry.server.access import Access


class Visitors:
    """Gives and checks sessions and seals; keeps none of them."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.key = access.seal("page key")
        # Cookies know no ports: another registry on this machine must not take ours away.
        self._cookie = f"dockersim-{access.seal('page cookie')[:12]}"

    def new_session(self) -> str:
        """Make a session."""
        number = secrets.token_hex(16)
        return f"{number}.{self._access.seal(f'page session {number}')}"

    def holds(self, session: str) -> bool:
        """Tell whether a session was made by us."""
        number, _, mark = session.partition(".")
        return _same(mark, self._access.seal(f"page session {number}"))

    def session_of(self, request: Request) -> str:
        """Give the session that a request brings, "" if it brings none of ours."""
        session = request.cookies.get(self._cookie, "")
        return session if self.holds(session) else ""

    def is_known(self, request: Request) -> bool:
        """Tell whether whoever asks may see the page, by whatever name the browser calls us."""
        return bool(self.session_of(request)) or _same(request.query_params.get("key", ""), self.key)

    def greet(self, request: Request, response: Response, session: str) -> None:
        """Give the browser its session. Strict: no page elsewhere can make the browser bring it."""
        if self.session_of(request) != session:
            # Without a path it holds from this page's folder on, which behind a proxy is not "/".
            response.headers.append("Set-Cookie", f"{self._cookie}={session}; HttpOnly; SameSite=Strict")

    def seal(self, session: str, plan: str) -> str:
        """Make the seal for the form that confirms a plan."""
        return self._access.seal(f"page form {session} {plan}")

    def is_sealed(self, session: str, plan: str, seal: str) -> bool:
        """Tell whether a seal was given to this session for this plan."""
        return bool(session) and _same(seal, self.seal(session, plan))


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())
