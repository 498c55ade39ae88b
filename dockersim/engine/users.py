"""Who a name is inside an image: its /etc/passwd and /etc/group, read from the tree.

The rules are those of moby/sys/user (``GetExecUser``), which runc and BuildKit use.
"""

from __future__ import annotations

from msgspec import Struct

from dockersim.engine.files import Files
from dockersim.errors import BuildError

_MOST = 1 << 20
"""A passwd file larger than this many bytes is not read."""

_LAST_USER, _LAST_OWNER = 2**31 - 1, 2**32 - 1
"""The largest numbers of a process's user (moby/sys/user, ``maxID``), and of a file's owner."""
_DIGITS = 20


class Account(Struct, frozen=True):
    """The numbers behind a USER, and the home directory."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def account(files: Files, user: str) -> Account:
    """Find who ``user`` (``name``, ``uid``, ``name:group``, ``uid:gid`` or "") is in ``files``.

    Raises BuildError for a name that the image does not know.
    """
    name, _, group = user.partition(":")
    name = name or "0"
    people, groups = _rows(files, "/etc/passwd", 6), _rows(files, "/etc/group", 3)
    person = _person(people, name)
    number = _read(name, _LAST_USER)
    if person is None and number is None:
        raise BuildError(f"unable to find user {name}: no matching entries in passwd file")
    uid, gid, home = (int(person[2]), int(person[3]), person[5]) if person else (number or 0, 0, "/")
    if group:
        gid = _group(groups, group)
        return Account(uid, gid, (gid,), home or "/")
    found = (_read(row[2], _LAST_USER) for row in groups if person and person[0] in row[3].split(","))
    members = tuple(number for number in found if number is not None)
    return Account(uid, gid, tuple(dict.fromkeys((gid, *members))), home or "/")


def owner(files: Files, chown: str) -> tuple[int, int]:
    """Find the uid and gid of a ``--chown``: a lone number is its own group.

    Quirks of BuildKit (solver/llbsolver/ops/user_linux.go): a user that the image does not know is silently root, and a
    group that it does not know is the user's; only where nothing lies below, as in FROM scratch, a name is an error.
    """
    name, colon, group = chown.partition(":")
    uid = gid = _number(name)
    if uid is None or gid is None:
        person = _named(files, "/etc/passwd", name)
        uid, gid = (int(person[2]), int(person[3])) if person else (0, 0)
    if colon and (number := _number(group)) is not None:
        return uid, number
    row = _named(files, "/etc/group", group) if colon else None
    return uid, int(row[2]) if row else gid


def _number(name: str) -> int | None:
    return 0 if name in ("root", "") else _read(name, _LAST_OWNER)


def _read(text: str, last: int) -> int | None:
    """Read a number of ASCII digits that is at most ``last``."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) if is_number and int(text) <= last else None


def _named(files: Files, path: str, name: str) -> list[str] | None:
    """Find the row of a name in passwd or group."""
    if not files.tree.children():
        raise BuildError("invalid user index: -1", hint=f"there is no image below that could know {name}")
    columns = 6 if path == "/etc/passwd" else 3
    rows = (row for row in _rows(files, path, columns) if row[0] == name and _read(row[2], _LAST_OWNER) is not None)
    return next((row for row in rows if columns == 3 or _read(row[3], _LAST_OWNER) is not None), None)


def _person(people: list[list[str]], name: str) -> list[str] | None:
    """Find a person by name, else by number."""
    for column in (0, 2):
        for row in people:
            if row[column] == name and None not in (_read(row[2], _LAST_USER), _read(row[3], _LAST_USER)):
                return row
    return None


def _group(groups: list[list[str]], name: str) -> int:
    for row in groups:
        if row[0] == name and (found := _read(row[2], _LAST_USER)) is not None:
            return found
    number = _read(name, _LAST_USER)
    if number is not None:
        return number
    raise BuildError(f"unable to find group {name}: no matching entries in group file")


def _rows(files: Files, path: str, columns: int) -> list[list[str]]:
    if not files.exists(path) or files.stat(path).size > _MOST:
        return []
    rows = [line.split(":") for line in files.text(path).splitlines() if not line.startswith("#")]
    return [row + [""] * (7 - len(row)) for row in rows if len(row) >= columns - 2]
