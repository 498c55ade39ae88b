"""Who a name is inside an image: its /etc/passwd and /etc/group, read from the tree.

The rules are those of moby/sys/user (``GetExecUser``), which runc and BuildKit use.
"""

from __future__ import annotations

from msgspec import Struct

from dockersim.engine.files import Files
from dockersim.errors import BuildError

_MOST = 1 << 20
"""A passwd file larger than this many bytes is not read."""


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
    if person is None and not name.isdigit():
        raise BuildError(f"unable to find user {name}: no matching entries in passwd file")
    uid, gid, home = (int(person[2]), int(person[3]), person[5]) if person else (int(name), 0, "/")
    if group:
        gid = _group(groups, group)
        return Account(uid, gid, (gid,), home or "/")
    members = tuple(int(row[2]) for row in groups if person and person[0] in row[3].split(",") and row[2].isdigit())
    return Account(uid, gid, tuple(dict.fromkeys((gid, *members))), home or "/")


def owner(files: Files, chown: str) -> tuple[int, int]:
    """Find the uid and gid of a ``--chown``: a lone number is its own group, an unknown name is root.

    Quirk of BuildKit (solver/llbsolver/file/user_linux.go): a name that the image's passwd lacks is silently 0; only
    where there is no passwd file at all it is an error.
    """
    name, colon, group = chown.partition(":")
    if name.isdigit():
        uid, gid = int(name), int(name)
    else:
        uid, gid = _named_owner(files, name)
    if not colon:
        return uid, gid
    if group.isdigit():
        return uid, int(group)
    return uid, next((int(row[2]) for row in _rows(files, "/etc/group", 3) if row[0] == group and row[2].isdigit()), 0)


def _named_owner(files: Files, name: str) -> tuple[int, int]:
    if name in ("root", ""):
        return 0, 0
    if not files.exists("/etc/passwd"):
        raise BuildError("invalid user index: -1", hint=f"the image has no /etc/passwd, so it does not know {name}")
    person = _person(_rows(files, "/etc/passwd", 6), name)
    return (int(person[2]), int(person[3])) if person else (0, 0)


def _person(people: list[list[str]], name: str) -> list[str] | None:
    """Find a person by name, else by number."""
    for column in (0, 2):
        for row in people:
            if row[column] == name and row[2].isdigit() and row[3].isdigit():
                return row
    return None


def _group(groups: list[list[str]], name: str) -> int:
    for row in groups:
        if row[0] == name and row[2].isdigit():
            return int(row[2])
    if name.isdigit():
        return int(name)
    raise BuildError(f"unable to find group {name}: no matching entries in group file")


def _rows(files: Files, path: str, columns: int) -> list[list[str]]:
    if not files.exists(path) or files.stat(path).size > _MOST:
        return []
    rows = [line.split(":") for line in files.text(path).splitlines() if not line.startswith("#")]
    return [row + [""] * (7 - len(row)) for row in rows if len(row) >= columns - 2]
