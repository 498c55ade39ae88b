"""Logins, in a file of docker's form that only its owner can read.

    {"auths": {"ghcr.io": {"auth": "<base64 of name:password>"}}}

Base64 hides nothing; it is the file's mode that protects it (docker's ``cli/config/configfile``).
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from msgspec import Struct

from dockersim.content.disk import write_private
from dockersim.errors import StoreError


class Credentials(Struct, frozen=True):
    """A name and its password, or the identity token that a token server takes instead; ``repr`` shows neither."""

    username: str
    password: str
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r})"

    def basic(self) -> str:
        """Write the Authorization header of RFC 7617."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class CredentialFile:
    """The file at ``path``; it need not exist. What other programs keep in it is left alone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, key: str) -> Credentials | None:
        """Return the login for a registry, None if there is none."""
        return read_entry(self._auths(self._read()).get(key))

    def save(self, key: str, credentials: Credentials) -> None:
        """Keep a login."""
        document = self._read()
        auth = credentials.basic().removeprefix("Basic ")
        self._write({**document, "auths": {**self._auths(document), key: {"auth": auth}}})

    def erase(self, key: str) -> bool:
        """Forget a login; False if there was none."""
        document = self._read()
        auths = self._auths(document)
        if key not in auths:
            return False
        self._write({**document, "auths": {name: auth for name, auth in auths.items() if name != key}})
        return True

    def _read(self) -> dict[str, Any]:
        try:
            document = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except (ValueError, OSError) as error:
            raise StoreError(f"cannot read the logins in {self.path}", hint="repair or delete it") from error
        if not isinstance(document, dict):
            raise StoreError(f"{self.path} holds no logins", hint="repair or delete it")
        return document

    @staticmethod
    def _auths(document: dict[str, Any]) -> dict[str, Any]:
        auths = document.get("auths")
        return auths if isinstance(auths, dict) else {}

    def _write(self, document: dict[str, Any]) -> None:
        try:
            write_private(self.path, json.dumps(document, indent=2).encode())
        except OSError as error:
            raise StoreError(f"cannot write the logins to {self.path}: {error.strerror}") from error


def read_entry(entry: object) -> Credentials | None:
    """Read one entry of ``auths``, None if it holds no login (docker's ``cli/config/types/authconfig.go``)."""
    if not isinstance(entry, dict):
        return None
    encoded, token = entry.get("auth"), entry.get("identitytoken")
    token = token if isinstance(token, str) else ""
    try:
        text = base64.b64decode(encoded if isinstance(encoded, str) else "").decode()
    except ValueError:  # no base64, perhaps not even ASCII; or no UTF-8
        text = ""
    # docker writes the password of a login with an identity token as a zero byte.
    name, colon, password = text.rstrip("\0").partition(":")
    return Credentials(name, password, token) if (colon and password) or token else None
