"""Tokens: fetched where the registry says, kept for as long as they are good, one for every scope.

A registry answers the first request with 401 and the address of its token server. The token is fetched there, with the
learner's password if there is one, and sent with every further request (distribution, ``docs/spec/auth``). The password
goes to the token server only, the token to the registry only.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

from msgspec import Struct

from dockersim.errors import AccessDenied, RegistryError
from dockersim.registry.client.answer import Answer
from dockersim.registry.client.challenge import Challenge, parse_challenge
from dockersim.registry.client.credentials import Credentials
from dockersim.registry.client.discretion import bare_address
from dockersim.registry.client.endpoint import Endpoint, is_loopback, origin_of
from dockersim.registry.client.refusals import message_of

SHORTEST_LIFE: Final = 60
"""Seconds that a token is good if the server does not say (distribution's token spec)."""

LONGEST_LIFE: Final = 24 * 3600
"""Seconds that are believed at most; a number may be of any length."""

WRONG: Final = "unauthorized: incorrect username or password"

_MARGIN: Final = 20
"""A token this close to its end is fetched anew, so that it is good until the request has been read."""

_CLIENT: Final = "dockersim"
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")

Ask = Callable[[str, str, Mapping[str, str], "bytes | None"], Answer]
"""Makes one request: method, address, headers, body."""


class _Token(Struct, frozen=True):
    header: str
    until: float


class Granted(Struct, frozen=True):
    """What a token server said; ``registered`` is the practice registry's word for a new name."""

    registered: bool = False


class Tokens:
    """The tokens of one registry. Threads may share them: whoever comes second takes what the first has fetched."""

    def __init__(self, endpoint: Endpoint, credentials: Credentials | None, ask: Ask) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._ask = ask
        self._kept: dict[str, _Token] = {}
        self._lock = threading.Lock()

    def header(self, scope: str) -> dict[str, str]:
        """Give the Authorization header for a scope; nothing if there is no token that is still good."""
        token = self._kept.get(scope)
        if token is None or token.until - _MARGIN < time.monotonic():
            return {}
        return {"Authorization": token.header}

    def answer(self, refusal: Answer, scope: str, sent: Mapping[str, str]) -> bool:
        """Get what a 401 asks for; False if there is nothing to try. ``sent`` is what was refused."""
        challenge = parse_challenge(refusal.header("www-authenticate"))
        with self._lock:
            known = self.header(scope)
            if known and known != sent:
                return True  # another thread has been here meanwhile
            return self._meet(challenge, scope) is not None

    def meet(self, refusal: Answer) -> Granted:
        """Do what the first 401 of a login asks for."""
        with self._lock:
            return self._meet(parse_challenge(refusal.header("www-authenticate")), "") or Granted()

    def _meet(self, challenge: Challenge, scope: str) -> Granted | None:
        if challenge.scheme == "bearer":
            return self._fetch(challenge, scope)
        if challenge.scheme == "basic" and self._credentials is not None and self._credentials.password:
            self._kept[scope] = _Token(self._credentials.basic(), float("inf"))
            return Granted()
        return None

    def _fetch(self, challenge: Challenge, scope: str) -> Granted:
        self._check_realm(challenge.realm)
        # What the registry names is asked for, too: its words for a right may not be ours.
        scopes = list(dict.fromkeys([*scope.split(), *challenge.scope.split()]))
        who = self._credentials
        if who is not None and who.identity_token:
            answer = self._post(challenge, scopes, grant_type="refresh_token", refresh_token=who.identity_token)
        else:
            answer = self._get(challenge, scopes)
            if answer.status in (404, 405) and who is not None:  # a token server that knows OAuth2 only
                answer = self._post(challenge, scopes, grant_type="password", username=who.username,
                                    password=who.password)  # fmt: skip
        if answer.status in (400, 401, 403) and (who is not None or answer.status != 400):
            raise AccessDenied(f"{self._endpoint.title}: {message_of(answer) or WRONG}", hint="log in again")
        return self._keep(answer, scope)

    def _get(self, challenge: Challenge, scopes: list[str]) -> Answer:
        """Ask as docker does (distribution, ``docs/spec/auth/token.md``)."""
        parameters = [("service", challenge.service)] if challenge.service else []
        parameters += [("client_id", _CLIENT), *(("scope", scope) for scope in scopes)]
        headers: dict[str, str] = {}
        if self._credentials is not None:
            parameters.append(("account", self._credentials.username))
            headers["Authorization"] = self._credentials.basic()
        joint = "&" if "?" in challenge.realm else "?"
        return self._ask("GET", f"{challenge.realm}{joint}{urlencode(parameters)}", headers, None)

    def _post(self, challenge: Challenge, scopes: list[str], **grant: str) -> Answer:
        """Ask as OAuth2 does (distribution, ``docs/spec/auth/oauth.md``): what is secret is in the body."""
        form = {"service": challenge.service, "client_id": _CLIENT, "scope": " ".join(scopes), **grant}
        body = urlencode({name: value for name, value in form.items() if value}).encode()
        return self._ask("POST", challenge.realm, {"Content-Type": "application/x-www-form-urlencoded"}, body)

    def _keep(self, answer: Answer, scope: str) -> Granted:
        document = answer.document() if answer.is_success else {}
        text = document.get("token") or document.get("access_token")
        # What cannot stand in a header would come back in the words of the library's complaint.
        if not isinstance(text, str) or not _VISIBLE.fullmatch(text):
            why = "" if answer.is_success else message_of(answer)
            raise RegistryError(f"{self._endpoint.title} gave no token ({answer.status}){': ' if why else ''}{why}")
        said = document.get("expires_in")
        life = min(max(said if isinstance(said, int) else 0, SHORTEST_LIFE), LONGEST_LIFE)
        self._kept[scope] = _Token(f"Bearer {text}", time.monotonic() + life)
        return Granted(registered=document.get("registered") is True)

    def _check_realm(self, realm: str) -> None:
        """Let a password go over TLS only, or to this very machine."""
        origin = origin_of(realm)
        scheme, host, _ = origin
        is_plain = scheme == "http" and self._endpoint.url.startswith("http://")
        is_near = host and (is_loopback(urlsplit(realm).netloc) or origin == origin_of(self._endpoint.url))
        if (scheme == "https" and host) or (is_plain and is_near):
            return
        raise RegistryError(
            f"{self._endpoint.title} names a token server that is not safe: {bare_address(realm)[:80]!r}"
        )
