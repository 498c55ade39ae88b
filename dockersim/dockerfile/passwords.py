"""What of an address may be shown: messages, notes and traces are passed on, passwords and tokens are not."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(https?://)[^/\r\n]*@", re.IGNORECASE)
"""Up to the last ``@`` before the path: a password may hold any other character, and people write ``@`` into it."""

_WRITTEN = re.compile(r"""(https?://)((?:[^/\s"]|"(?!,))+)@""", re.IGNORECASE)
"""The same within words, in a text of which only some words are addresses."""

_VARIABLE = r"\$(?:\w+|\{\w+\})"
_NO_PASSWORD = re.compile(rf"(?:(?:[\w.-]+|{_VARIABLE}):)?{_VARIABLE}")
"""A login whose password, or token, is a variable: it is not in the text yet."""


def without_password(text: str) -> str:
    """Leave out what stands before the ``@`` of web addresses, a user or a token, wherever they stand in ``text``.

    >>> without_password("cannot read https://me:secret@example.com/x.git")
    'cannot read https://xxxxx@example.com/x.git'
    """
    return _LOGIN.sub(r"\1xxxxx@", text)


def without_written_passwords(text: str) -> str:
    """Leave them out of a Dockerfile or a part of it, which stays what it is otherwise: words end where they did.

    A password that stands there as a variable is none yet.

    >>> without_written_passwords('ADD https://me:secret@example.com/x.git /src # see http://host, or ask me@host')
    'ADD https://xxxxx@example.com/x.git /src # see http://host, or ask me@host'
    """
    if "://" not in text or "@" not in text:
        return text
    return _WRITTEN.sub(_hidden, text)


def _hidden(found: re.Match[str]) -> str:
    return found[0] if _NO_PASSWORD.fullmatch(found[2]) else f"{found[1]}xxxxx@"
