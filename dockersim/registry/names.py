"""What a request may name: repositories, tags, digests, upload sessions.

The grammar is that of the distribution-spec, "Pulling manifests". It is also the wall that keeps a request
inside the store: what passes here holds no ``..``, no empty part and no leading dot, so it may become a path.

>>> repository("myusername/my-flask-app")
'myusername/my-flask-app'
>>> is_tag("v1.0"), is_tag(".hidden"), is_tag("../../etc/passwd")
(True, False, False)
"""

from __future__ import annotations

import re
from typing import Final

from dockersim.registry.problems import Code, Problem

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_SESSION = re.compile(r"[0-9a-f]{32}")
_USER = re.compile(rf"{_COMPONENT}")

LONGEST_NAME: Final = 255
"""As distribution's ``reference`` package has it; spec: "many clients impose a limit of 255 characters"."""

LONGEST_USER: Final = 64


def repository(text: str) -> str:
    """Check the name of a repository; raise NAME_INVALID."""
    if len(text) > LONGEST_NAME or not _REPOSITORY.fullmatch(text):
        raise Problem(Code.NAME_INVALID, f"invalid repository name: {text[:80]!r}")
    return text


def is_tag(text: str) -> bool:
    """Tell whether ``text`` can be a tag."""
    return _TAG.fullmatch(text) is not None


def looks_like_digest(text: str) -> bool:
    """Tell whether ``text`` means to be a digest: no tag may hold a colon."""
    return ":" in text


def digest(text: str) -> str:
    """Check a digest, sha256 or sha512; raise DIGEST_INVALID."""
    if not _DIGEST.fullmatch(text):
        raise Problem(Code.DIGEST_INVALID, f"invalid digest: {text[:80]!r}")
    return text


def session(text: str) -> str:
    """Check the name of an upload session; raise BLOB_UPLOAD_UNKNOWN."""
    if not _SESSION.fullmatch(text):
        raise Problem(Code.BLOB_UPLOAD_UNKNOWN, "blob upload unknown to registry")
    return text


def is_user(text: str) -> bool:
    """Tell whether ``text`` can be a user: a user's name is the first part of the user's repositories."""
    return len(text) <= LONGEST_USER and _USER.fullmatch(text) is not None
