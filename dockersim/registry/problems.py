"""The ways in which a registry says no (distribution-spec, "Error Codes").

An answer of 4xx carries ``{"errors": [{"code": ..., "message": ..., "detail": ...}]}``. The codes are a closed list.

>>> Problem(Code.BLOB_UNKNOWN, "no such blob").status
404
>>> Problem(Code.DENIED, "no").body()
b'{"errors":[{"code":"DENIED","message":"no"}]}'
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from enum import StrEnum


class Code(StrEnum):
    """An error code of the spec (code-1 to code-14)."""

    BLOB_UNKNOWN = "BLOB_UNKNOWN"
    BLOB_UPLOAD_INVALID = "BLOB_UPLOAD_INVALID"
    BLOB_UPLOAD_UNKNOWN = "BLOB_UPLOAD_UNKNOWN"
    DIGEST_INVALID = "DIGEST_INVALID"
    MANIFEST_BLOB_UNKNOWN = "MANIFEST_BLOB_UNKNOWN"
    MANIFEST_INVALID = "MANIFEST_INVALID"
    MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN"
    NAME_INVALID = "NAME_INVALID"
    NAME_UNKNOWN = "NAME_UNKNOWN"
    SIZE_INVALID = "SIZE_INVALID"
    UNAUTHORIZED = "UNAUTHORIZED"
    DENIED = "DENIED"
    UNSUPPORTED = "UNSUPPORTED"
    TOO_MANY_REQUESTS = "TOOMANYREQUESTS"
    UNKNOWN = "UNKNOWN"
    """Not of the spec: distribution's word for what is the registry's own fault, such as a full disk."""


_STATUS: Mapping[Code, int] = {
    Code.BLOB_UNKNOWN: 404,
    Code.BLOB_UPLOAD_INVALID: 400,
    Code.BLOB_UPLOAD_UNKNOWN: 404,
    Code.DIGEST_INVALID: 400,
    # The spec demands the code ("Push") and has 404 in its table of endpoints (end-7); distribution answers 400.
    Code.MANIFEST_BLOB_UNKNOWN: 404,
    Code.MANIFEST_INVALID: 400,
    Code.MANIFEST_UNKNOWN: 404,
    Code.NAME_INVALID: 400,
    Code.NAME_UNKNOWN: 404,
    Code.SIZE_INVALID: 400,
    Code.UNAUTHORIZED: 401,
    Code.DENIED: 403,
    Code.UNSUPPORTED: 405,
    Code.TOO_MANY_REQUESTS: 429,
    Code.UNKNOWN: 500,
}


class Problem(Exception):
    """One refusal, on its way to becoming an answer; ``status`` follows from the code unless given."""

    def __init__(self, code: Code, message: str, *, status: int = 0, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or _STATUS[code]
        self.headers: Mapping[str, str] = headers or {}

    def body(self) -> bytes:
        """Write the answer's body."""
        error = {"code": str(self.code), "message": self.message}
        return json.dumps({"errors": [error]}, separators=(",", ":")).encode()


_TROUBLE: Mapping[int | None, tuple[str, int]] = {
    # 507 Insufficient Storage (RFC 4918, section 11.5). distribution answers 500 to all of these.
    errno.ENOSPC: ("the registry's disk is full", 507),
    errno.EDQUOT: ("the registry's disk quota is used up", 507),
    errno.EFBIG: ("the file is larger than the registry's disk allows", 507),
    errno.EROFS: ("the registry's disk is read-only", 500),
    errno.EACCES: ("the registry may not write to its own disk", 500),
    errno.EPERM: ("the registry may not write to its own disk", 500),
    errno.EMFILE: ("the registry has too many files open; try again in a moment", 503),
    errno.ENFILE: ("the registry's machine has too many files open; try again in a moment", 503),
}


def trouble(error: OSError) -> Problem:
    """Say what is wrong with the registry's own machine.

    >>> trouble(OSError(errno.ENOSPC, "")).status
    507
    """
    message, status = _TROUBLE.get(error.errno, ("the registry's disk failed", 500))
    return Problem(Code.UNKNOWN, message, status=status)
