"""Who may do what, and the tokens that carry it.

The registry plays two parts, and a request says which by containerd's mark for mirrors, ``?ns=docker.io``:

- asked as **Docker Hub** (short names, ``docker push alice/app``), the Hub's rule holds: ``alice/...`` is pushed to by
  alice and by no one else, and official images (``library/...``) by no one at all;
- asked **by its own address** (``127.0.0.1:5000/test/app``), it is a registry on one's own machine, as docker's
  ``registry:2`` is: a namespace is open to whoever is on this machine, until a user of that name registers.

Pulling is open to all. From another machine nobody registers and nobody pushes without being who they say, unless
the registry was started for a class (``open_to_network``).

A token is signed, not stored, so it is good after a restart too (compare the JWTs of Docker's token server,
distribution's ``docs/spec/auth/jwt.md``).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import secrets
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from dockersim.registry.names import LONGEST_NAME
from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.users import Login, Users

TOKEN_SECONDS: Final = 300
"""How long a token is good: what Docker Hub gives."""

DENIED_TEXT: Final = "requested access to the resource is denied"
"""Docker Hub's words, which learners will search the web for."""

SERVICE: Final = "dockersim practice registry"


class Caller(Struct, frozen=True):
    """Who asks: ``name`` is "" for anonymous, ``local`` means from this machine, ``proven`` by token or login."""

    name: str
    local: bool
    proven: bool = False


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
                return Caller(self._holder(value.strip()), local, proven=True)
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

    def check_push(self, caller: Caller, repository: str, *, as_hub: bool) -> None:
        """Raise UNAUTHORIZED for a caller who has not said who they are, DENIED for one who is the wrong one."""
        if self.may_push(caller, repository, as_hub=as_hub):
            return
        if not caller.proven:
            raise Problem(Code.UNAUTHORIZED, "authentication required")
        raise Problem(Code.DENIED, DENIED_TEXT)

    def issue(self, name: str) -> str:
        """Make a token for ``name``, "" for anonymous."""
        claim = json.dumps({"sub": name, "exp": self._now() + TOKEN_SECONDS}, separators=(",", ":")).encode()
        return f"{_encode(claim)}.{_encode(self._sign(claim))}"

    def seal(self, text: str) -> str:
        """Sign a text that is not a token's claim, which begins with a brace."""
        return self._sign(f"seal:{text}".encode()).hex()

    def _holder(self, token: str) -> str:
        claim, _, signature = token.partition(".")
        try:
            data = _decode(claim)
            if not hmac.compare_digest(_decode(signature), self._sign(data)):
                raise ValueError
            document = json.loads(data)
        except ValueError as error:
            raise Problem(Code.UNAUTHORIZED, "authentication required") from error
        if document["exp"] < self._now():
            raise Problem(Code.UNAUTHORIZED, "authentication required")
        return str(document["sub"])

    def _sign(self, claim: bytes) -> bytes:
        return hmac.digest(self._secret, claim, "sha256")


def basic_credentials(authorization: str) -> tuple[str, str]:
    """Take name and password out of a ``Basic`` header (RFC 7617); raise UNAUTHORIZED."""
    try:
        text = base64.b64decode(authorization.partition(" ")[2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Problem(Code.UNAUTHORIZED, "incorrect username or password") from error
    name, _, password = text.partition(":")
    return name[: LONGEST_NAME + 1], password


def load_secret(path: Path) -> bytes:
    """Read the key that signs tokens, or make one; only its owner can read it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(f".{uuid.uuid4().hex}")
        with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        os.replace(half, path)
        return path.read_bytes()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
