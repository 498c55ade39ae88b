"""docker's own logins: its ``config.json``, and the programs that keep passwords elsewhere. Read only.

    {"auths": {...}, "credsStore": "secretservice", "credHelpers": {"ghcr.io": "gh"}}

A credential helper is a program ``docker-credential-NAME``. Run with ``get`` it reads the registry from stdin and
prints ``{"ServerURL": ..., "Username": ..., "Secret": ...}``; under the name ``<token>`` the secret is an identity
token (github.com/docker/docker-credential-helpers, ``client/command.go``). What cannot be read, and a helper that
fails, is passed over, as by ``docker pull``: the image may be one that anybody may have.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dockersim.registry.client.credentials import Credentials, read_entry

PATIENCE: Final = 30.0
"""Seconds that a helper has to answer; it may ask its user to unlock something."""

_LONGEST: Final = 1 << 20
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TOKEN_USER: Final = "<token>"


class DockerConfig:
    """The file at ``path``, which need not exist. ``environment`` is that of the helpers, whose PATH finds them."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self._path = path
        self._environment = environment

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> DockerConfig | None:
        """Find the file as docker does; None where there is no home for it."""
        folder, home = environment.get("DOCKER_CONFIG"), environment.get("HOME")
        if not folder and not home:
            return None
        return cls(Path(folder) if folder else Path(str(home), ".docker"), environment)

    def load(self, key: str) -> Credentials | None:
        """Return the login for a registry, None if there is none."""
        document = self._read()
        helper = _table(document, "credHelpers").get(key) or document.get("credsStore")
        found = self._ask(helper, key) if isinstance(helper, str) and helper else None
        if found is not None:
            return found
        auths = _table(document, "auths")
        # docker itself has written keys in several forms.
        same = (entry for name, entry in auths.items() if host_of(name) == host_of(key))
        return read_entry(auths.get(key)) or next(filter(None, map(read_entry, same)), None)

    def _read(self) -> dict[str, Any]:
        try:
            document = json.loads((self._path / "config.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    def _ask(self, helper: str, key: str) -> Credentials | None:
        """Run a helper. What it complains of is not shown: it may hold what it is meant to keep."""
        program = shutil.which(f"docker-credential-{helper}", path=self._environment.get("PATH", ""))
        if program is None or not _NAME.fullmatch(helper):
            return None
        try:
            done = subprocess.run([program, "get"], input=key.encode(), capture_output=True, check=False,
                                  env=dict(self._environment), timeout=PATIENCE)  # fmt: skip
            answer = json.loads(done.stdout[:_LONGEST]) if done.returncode == 0 else None
        except (OSError, ValueError, RecursionError, subprocess.TimeoutExpired):
            return None
        name, secret = (answer.get("Username"), answer.get("Secret")) if isinstance(answer, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(secret, str) or not secret:
            return None
        return Credentials("", "", secret) if name == _TOKEN_USER else Credentials(name, secret)


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def host_of(key: str) -> str:
    """Reduce a key, or what was typed for one, to the registry's host (docker's ``ConvertToHostname``)."""
    return key.rpartition("://")[2].partition("/")[0]
