"""Who may do what, and the tokens that carry it.

The registry plays two parts, and a request says which by containerd's mark for mirrors, ``?ns=docker.io``:

- asked as **Docker Hub** (short names, ``docker push alice/app``), the Hub's rule holds: ``alice/...`` is pushed to by
  alice and by no one else, and official images (``library/...``) by no one at all;
- asked **by its own address** (``127.0.0.1:5000/test/app``), it is a registry on one's own machine, as docker's
  ``registry:2`` is: a namespace is open to whoever is on this machine, until a user of that name registers.

Pulling is open to all. From another machine nobody registers and nobody pushes without being who they say, unless
the registry was started for a class (``open_to_network``).

A token is signed, not stored, so it is good after a restart too. It is a JWT and says what it was granted for, as
those of Docker's token server do (distribution, ``docs/spec/auth/jwt.md``): whoever has it can do that and no more,
until it expires.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from dockersim.content.disk import write_private
from dockersim.registry.names import LONGEST_NAME
from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.users import Login, Users

TOKEN_SECONDS: Final = 300
"""How long a token is good: what Docker Hub gives."""

DENIED_TEXT: Final = "requested access to the resource is denied"
"""Docker Hub's words, which learners will search the web for."""

SERVICE: Final = "dockersim practice registry"

SECRET_BYTES: Final = 32

_HEADER: Final = {"alg": "HS256", "typ": "JWT"}

_CHANGES: Final = frozenset({"push", "delete"})
"""The actions that need a right; pulling is open to all."""


class Grant(Struct, frozen=True):
    """What may be done: ``actions`` on the ``kind`` of thing (``repository``, ``registry``) of that name."""

    kind: str
    name: str
    actions: frozenset[str]

    @classmethod
    def parse(cls, scope: str) -> Grant | None:
        """Read a scope ``kind:name:actions`` (distribution, ``docs/spec/auth/scope.md``); None if it is none.

        >>> sorted(Grant.parse("repository:alice/app:push,pull").actions)
        ['pull', 'push']
        """
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        return cls(kind, name, frozenset(actions.split(","))) if kind and name and actions else None

    def allows(self, action: str, repository: str) -> bool:
        """Tell whether this is the right to do ``action`` in a repository."""
        is_it = self.kind == "repository" and self.name == repository
        return is_it and bool(self.actions & {action, "*"})


class Caller(Struct, frozen=True):
    """Who asks: ``name`` is "" for anonymous, ``local`` means from this machine, ``proven`` by token or login.

    ``grants`` is what a token was given for; None for who shows no token, and may do all that its name may.
    """

    name: str
    local: bool
    proven: bool = False
    grants: tuple[Grant, ...] | None = None

    def holds(self, action: str, repository: str) -> bool:
        """Tell whether the token, if there is one, was given for this."""
        return self.grants is None or any(grant.allows(action, repository) for grant in self.grants)


class Access:
    """The rules. ``now`` is the clock, in seconds."""

    def __init__(self, users: Users, secret: bytes, now: Callable[[], float], *, open_to_network: bool = False) -> None:
        self.users = users
        self._secret = secret
        self._now = now
        self._open_to_network = open_to_network

    def identify(self, authorization: str, *, local: bool) -> Caller:
        """Read an Authorization header; raise UNAUTHORIZED if what it says is not so."""
        scheme, _, value = authorization.partition(" ")
        match scheme.lower():
            case "":
                return Caller("", local)
            case "basic":
                name, _ = self.login(authorization, local=local)
                return Caller(name, local, proven=True)
            case "bearer":
                claims = self._claims(value.strip())
                return Caller(claims["sub"], local, proven=True, grants=claims["access"])
            case _:
                raise Problem(Code.UNAUTHORIZED, "authentication required")

    def login(self, authorization: str, *, local: bool) -> tuple[str, Login]:
        """Check ``Basic`` credentials, registering a new name from this machine; raise UNAUTHORIZED."""
        name, password = basic_credentials(authorization)
        outcome = self.users.login(name, password, may_register=local or self._open_to_network)
        if outcome is Login.REFUSED:
            raise Problem(Code.UNAUTHORIZED, "incorrect username or password")
        return name, outcome

    def may_push(self, caller: Caller, repository: str, *, as_hub: bool) -> bool:
        """Tell whether the caller may change the repository."""
        owner = repository.partition("/")[0]
        if caller.name and caller.name == owner:
            return True
        return caller.local and not as_hub and not self.users.exists(owner)

    def check_push(self, caller: Caller, repository: str, *, as_hub: bool, action: str = "push") -> None:
        """Raise UNAUTHORIZED for a caller who has not said who they are, DENIED for one who is the wrong one.

        A token that was given for something else is UNAUTHORIZED as well: its holder may fetch another one.
        """
        if self.may_push(caller, repository, as_hub=as_hub):
            if not caller.holds(action, repository):
                raise Problem(Code.UNAUTHORIZED, f"authentication required: the token is not for {action}")
            return
        if not caller.proven:
            raise Problem(Code.UNAUTHORIZED, "authentication required")
        raise Problem(Code.DENIED, DENIED_TEXT)

    def grant(self, caller: Caller, scopes: Iterable[str]) -> tuple[Grant, ...]:
        """Give of what is asked for as much as the caller may have."""
        asked = filter(None, map(Grant.parse, scopes))
        return tuple(Grant(one.kind, one.name, self._granted(caller, one)) for one in asked)

    def seal(self, text: str) -> str:
        """Sign a text that is not a token, which has no colon."""
        return self._sign(f"seal:{text}".encode()).hex()

    def issue(self, name: str, grants: Iterable[Grant] = ()) -> str:
        """Make a token for ``name``, "" for anonymous."""
        now = int(self._now())
        access = [{"type": one.kind, "name": one.name, "actions": sorted(one.actions)} for one in grants]
        claims = {"iss": SERVICE, "aud": SERVICE, "sub": name, "iat": now, "nbf": now, "exp": now + TOKEN_SECONDS,
                  "jti": secrets.token_hex(8), "access": access}  # fmt: skip
        signed = ".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in (_HEADER, claims))
        return f"{signed}.{_encode(self._sign(signed.encode()))}"

    def _granted(self, caller: Caller, asked: Grant) -> frozenset[str]:
        if asked.kind != "repository":
            return asked.actions & {"*"}  # the catalogue, which is open to all
        if self.may_push(caller, asked.name, as_hub=False):
            return asked.actions
        return asked.actions - _CHANGES - {"*"} | ({"pull"} if "*" in asked.actions else set())

    def _claims(self, token: str) -> dict[str, Any]:
        """Read a token's claims, ``access`` as grants; raise UNAUTHORIZED if it is not one of ours, or is too old."""
        signed, _, signature = token.rpartition(".")
        try:
            if not hmac.compare_digest(_decode(signature), self._sign(signed.encode())):
                raise ValueError
            header, claims = (json.loads(_decode(part)) for part in signed.split("."))
            if header != _HEADER or claims["aud"] != SERVICE or claims["exp"] < self._now():
                raise ValueError
            return {**claims, "access": tuple(map(_grant, claims["access"]))}
        except (ValueError, KeyError, TypeError) as error:
            raise Problem(Code.UNAUTHORIZED, "authentication required") from error

    def _sign(self, claim: bytes) -> bytes:
        return hmac.digest(self._secret, claim, "sha256")


def _grant(entry: Mapping[str, Any]) -> Grant:
    return Grant(entry["type"], entry["name"], frozenset(entry["actions"]))


def basic_credentials(authorization: str) -> tuple[str, str]:
    """Take name and password out of a ``Basic`` header (RFC 7617); raise UNAUTHORIZED."""
    try:
        text = base64.b64decode(authorization.partition(" ")[2], validate=True).decode()
    except ValueError as error:  # no base64, perhaps not even ASCII; or no UTF-8
        raise Problem(Code.UNAUTHORIZED, "incorrect username or password") from error
    name, _, password = text.partition(":")
    return name[: LONGEST_NAME + 1], password


def load_secret(path: Path) -> bytes:
    """Read the key that signs tokens, or make one; only its owner can read it."""
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        secret = b""
    if len(secret) >= SECRET_BYTES:
        return secret
    # There is none; or a power cut has left an empty file, with which anybody could sign.
    write_private(path, secrets.token_bytes(SECRET_BYTES))
    return path.read_bytes()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
