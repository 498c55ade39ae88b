"""Users of the practice registry: a file of names and hashes, as htpasswd keeps them.

    alice:$scrypt$14$8$1$<salt>$<hash>
    bob:$2y$05$<salt><hash>

Alice has registered here: a name that logs in for the first time is written down, as this is a practice registry and
needs no account. The form is that of ``crypt`` entries: log2(N), r and p, then salt and hash in base64 (RFC 7914).
Bob's line is bcrypt's, as ``htpasswd -B`` writes it: distribution takes no other, so whoever comes from there brings
such a file. Only the file's owner can read it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from enum import Enum
from pathlib import Path
from typing import Final

from dockersim.content.disk import write_private
from dockersim.registry.names import is_user

_LOG_N, _R, _P = 14, 8, 1
"""Interactive strength: 16 MiB and some 50 ms for every guess (RFC 7914, section 2)."""

_BCRYPT: Final = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_DEAREST: Final = 15
"""log2 of bcrypt's most rounds, some 2 s: a dearer line would keep a thread busy for minutes, so it lets no one in."""
_BCRYPT_BYTES: Final = 72
"""bcrypt looks no further into a password; htpasswd and distribution leave out the rest, too."""

_AS_IT_IS: Final = "surrogateescape"
"""A file from elsewhere may have a name in Latin-1: that keeps nobody else out, and stays as it is."""

RESERVED = frozenset({"library"})
"""Docker Hub's official images live here; no one logs in as it."""


class Login(Enum):
    """How a login ended."""

    ACCEPTED = "accepted"
    REGISTERED = "registered"
    REFUSED = "refused"


class Users:
    """The users in the file ``path``. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        # What was right before need not cost 50 ms again; the key makes the memory useless elsewhere.
        self._key = secrets.token_bytes(32)
        self._seen: dict[str, bytes] = {}

    def exists(self, name: str) -> bool:
        """Tell whether someone has registered under ``name``."""
        return name in self._read()

    def login(self, name: str, password: str, *, may_register: bool) -> Login:
        """Check a password, or register a new name where that is allowed."""
        with self._lock:
            known = self._read().get(name)
            if known is None:
                return self._register(name, password) if may_register else Login.REFUSED
        mark = hmac.digest(self._key, f"{known}:{password}".encode(errors=_AS_IT_IS), "sha256")
        if not hmac.compare_digest(self._seen.get(name, b""), mark):
            if not _matches(password, known):
                return Login.REFUSED
            self._seen[name] = mark
        return Login.ACCEPTED

    def _register(self, name: str, password: str) -> Login:
        if not is_user(name) or name in RESERVED or not password:
            return Login.REFUSED
        self._append(f"{name}:{_scramble(password)}\n")
        return Login.REGISTERED

    def _read(self) -> dict[str, str]:
        pairs = (line.partition(":") for line in self._text().splitlines() if line and not line.startswith("#"))
        return {name: scrambled for name, _, scrambled in pairs}

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8", errors=_AS_IT_IS)
        except FileNotFoundError:
            return ""

    def _append(self, line: str) -> None:
        """Write the file anew with one line more; comments and all else that a teacher has written stay."""
        text = self._text()
        separator = "\n" if text and not text.endswith("\n") else ""
        write_private(self.path, f"{text}{separator}{line}".encode(errors=_AS_IT_IS))


def _scramble(password: str) -> str:
    salt = secrets.token_bytes(16)
    hashed = _scrypt(password, salt, _LOG_N, _R, _P)
    encoded = (base64.b64encode(part).decode() for part in (salt, hashed))
    return "$".join(("", "scrypt", str(_LOG_N), str(_R), str(_P), *encoded))


def _matches(password: str, scrambled: str) -> bool:
    try:
        if found := _BCRYPT.fullmatch(scrambled):
            return int(found[1]) <= _DEAREST and _matches_bcrypt(password, scrambled)
        _, kind, log_n, r, p, salt, hashed = scrambled.split("$")
        cost = (int(log_n), int(r), int(p))
        return kind == "scrypt" and hmac.compare_digest(
            base64.b64decode(hashed), _scrypt(password, base64.b64decode(salt), *cost)
        )
    except ValueError:
        # A line that someone edited by hand lets no one in.
        return False


def _matches_bcrypt(password: str, scrambled: str) -> bool:
    import bcrypt  # few registries have such a line

    return bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], scrambled.encode())


def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=1 << log_n, r=r, p=p, maxmem=64 * 1024 * 1024, dklen=32)
