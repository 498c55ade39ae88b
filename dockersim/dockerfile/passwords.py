"""What of an address may be shown: messages, notes and traces are passed on, passwords and tokens are not."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(https?://)[^/\r\n]*@", re.IGNORECASE)
"""Up to the last ``@`` before the path: a password may hold any other character, and people write ``@`` into it."""


def without_password(text: str) -> str:
    """Leave out what stands before the ``@`` of web addresses, a user or a token, wherever they stand in ``text``.

    >>> without_password("cannot read https://me:secret@example.com/x.git")
    'cannot read https://xxxxx@example.com/x.git'
    """
    return _LOGIN.sub(r"\1xxxxx@", text)
