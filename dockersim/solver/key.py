"""Cache keys: what a step is made of, field by field, and why two of them differ.

A builder that only keeps a hash can say *that* a step missed, never *why*. So a key here is a record; its digest is
what the cache is searched by, its fields are what a miss is explained with. As in BuildKit (solver/llbsolver, and
contenthash for the inputs) a key is made of content, never of time stamps: the same instruction on the same step
below with the same inputs is the same step, whenever and wherever it ran.

>>> below = CacheKey("", "FROM busybox")
>>> one = CacheKey(below.digest, "COPY app.py /", inputs=(Input("app.py", "file", "sha256:ab12"),))
>>> two = CacheKey(below.digest, "COPY app.py /", inputs=(Input("app.py", "file", "sha256:cd34"),))
>>> [d.words() for d in differences(one, two)]
['app.py changed (sha256 ab12… → cd34…)']
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from msgspec import Struct

from dockersim.digest import Digest, sha256


class Input(Struct, frozen=True):
    """One path that a COPY or ADD takes, as far as it counts for the cache: no times.

    ``kind`` is a word of ``filesystem.Kind``, and ``path`` relative to the source's root. For a Git repository, kind is
    "git", and ``digest`` names the commit and what is taken of it.
    """

    path: str
    kind: str
    digest: str = ""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    link: str = ""

    def row(self) -> list[Any]:
        """Give the fields as a JSON row."""
        return [self.path, self.kind, self.digest, self.mode, self.uid, self.gid, self.link]


class CacheKey(Struct, frozen=True, dict=True):
    """All that decides whether a step may be taken from the cache.

    ``parent`` is the digest of the key of the step below ("" at the bottom), ``instruction`` the instruction in its
    normal form, ``environment`` what a RUN can see, in order, ``user`` and ``directory`` where it runs, ``options``
    further flags that count, ``inputs`` the files it takes.
    """

    parent: str
    instruction: str
    environment: tuple[tuple[str, str], ...] = ()
    user: str = ""
    directory: str = ""
    options: tuple[tuple[str, str], ...] = ()
    inputs: tuple[Input, ...] = ()

    @cached_property
    def inputs_digest(self) -> Digest:
        """Name all inputs together."""
        return sha256(_json([entry.row() for entry in self.inputs]))

    @cached_property
    def digest(self) -> Digest:
        """Name the key; equal keys, and only those, have equal digests."""
        return sha256(_json([self.parent, self.instruction, self.environment, self.user, self.directory,
                             self.options, self.inputs_digest]))  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Give the fields as JSON; ``from_json`` reads them back."""
        return {
            "parent": self.parent,
            "instruction": self.instruction,
            "environment": [list(pair) for pair in self.environment],
            "user": self.user,
            "directory": self.directory,
            "options": [list(pair) for pair in self.options],
            "inputs": [entry.row() for entry in self.inputs],
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> CacheKey:
        """Read what ``to_json`` wrote."""
        return cls(
            fields["parent"],
            fields["instruction"],
            tuple((name, value) for name, value in fields["environment"]),
            fields["user"],
            fields["directory"],
            tuple((name, value) for name, value in fields["options"]),
            tuple(Input(*row) for row in fields["inputs"]),
        )


class Difference(Struct, frozen=True):
    """One field in which two keys differ; None where one of them has no such field."""

    field: str
    before: str | None
    after: str | None

    def words(self) -> str:
        """Say the difference in words."""
        return _WORDS.get(self.field.partition(":")[0], _say_field)(self)


def differences(before: CacheKey, after: CacheKey) -> tuple[Difference, ...]:
    """List every field in which ``after`` is not ``before``; empty if and only if their digests are equal."""
    found = [
        Difference(name, one, two)
        for name in ("parent", "instruction", "user", "directory")
        if (one := getattr(before, name)) != (two := getattr(after, name))
    ]
    found += _compare("environment", dict(before.environment), dict(after.environment))
    found += _compare("option", dict(before.options), dict(after.options))
    found += _compare("input", _by_path(before), _by_path(after))
    if not found and before.digest != after.digest:
        found.append(Difference("order", None, None))
    return tuple(found)


def _by_path(key: CacheKey) -> dict[str, str]:
    if not key.inputs:
        return {}
    return {entry.path: _summary(entry) for entry in key.inputs}


def _summary(entry: Input) -> str:
    facts = [entry.kind, entry.digest.removeprefix("sha256:"), f"{entry.mode:04o}"]
    return " ".join([*facts, f"{entry.uid}:{entry.gid}", entry.link])


def _compare(field: str, before: dict[str, str], after: dict[str, str]) -> list[Difference]:
    names = [*before, *(name for name in after if name not in before)]
    return [
        Difference(f"{field}:{name}", before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _say_field(difference: Difference) -> str:
    return f"{difference.field} is {difference.after!r} now, it was {difference.before!r}"


def _say_parent(difference: Difference) -> str:
    return "the step below is another one"


def _say_order(difference: Difference) -> str:
    return "the same fields stand in another order"


def _say_named(difference: Difference) -> str:
    kind, _, name = difference.field.partition(":")
    what = {"environment": "variable", "option": "flag"}[kind]
    if difference.before is None:
        return f"{what} {name} is new ({difference.after})"
    if difference.after is None:
        return f"{what} {name} is gone (it was {difference.before})"
    return f"{what} {name} is {difference.after!r} now, it was {difference.before!r}"


def _say_input(difference: Difference) -> str:
    path = difference.field.partition(":")[2]
    if difference.before is None:
        return f"{path} is new"
    if difference.after is None:
        return f"{path} is gone"
    old, new = difference.before.split(" ", 4), difference.after.split(" ", 4)
    if old[0] == new[0] == "git":
        return f"{path} is at another commit ({old[1][:7]} → {new[1][:7]})"
    if old[1] != new[1] and old[0] == new[0]:
        return f"{path} changed (sha256 {old[1][:4]}… → {new[1][:4]}…)"
    for index, what in ((0, "type"), (2, "mode"), (3, "owner"), (4, "link target")):
        if old[index] != new[index]:
            return f"{path} has another {what} ({old[index]} → {new[index]})"
    return f"{path} changed"


_WORDS = {
    "parent": _say_parent,
    "order": _say_order,
    "environment": _say_named,
    "option": _say_named,
    "input": _say_input,
}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()
