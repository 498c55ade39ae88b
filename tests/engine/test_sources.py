"""Which files a COPY reads."""

from __future__ import annotations

from typing import BinaryIO

import pytest
from msgspec import Struct, field
from msgspec.structs import replace

from dockersim.digest import sha256
from dockersim.engine.sources import digested_tree, inputs, matched
from dockersim.filesystem import Entry, Kind, Node, Tree
from dockersim.solver import ContextSource, CopyOp


class Reading(Struct):
    """A context of which nothing is known before it is read, and which notes what is."""

    tree: Tree
    read: list[str] = field(default_factory=list)

    def digested(self, entry: Entry) -> Entry:
        if entry.kind is Kind.FILE:
            self.read.append(entry.path)
        return replace(entry, digest=sha256(b""))

    def open(self, node: Node) -> BinaryIO:
        raise NotImplementedError(node)


@pytest.mark.parametrize(
    ("patterns", "exclude", "parents", "read"),
    [
        (("",), (), False, ["a.bin", "d/a.bin", "d/b", "d/e/c.bin"]),
        (("",), ("**/*.bin",), False, ["d/b"]),
        (("d",), ("*.bin",), False, ["d/b", "d/e/c.bin"]),
        (("d",), ("e", "!e/c.bin"), False, ["d/a.bin", "d/b", "d/e/c.bin"]),
        (("a.bin",), ("*.bin",), False, ["a.bin"]),
        (("d",), ("d/*.bin",), True, ["d/b", "d/e/c.bin"]),
    ],
)
def test_what_is_excluded_is_not_read(
    patterns: tuple[str, ...], exclude: tuple[str, ...], parents: bool, read: list[str]
) -> None:
    paths = ("a.bin", "d/a.bin", "d/b", "d/e/c.bin")
    origin = Reading(Tree.EMPTY.apply([Entry(path, Kind.FILE, size=1) for path in paths]))
    op = CopyOp(ContextSource(), patterns, "/", exclude=exclude, parents=parents)
    list(inputs(op, origin))
    assert sorted(origin.read) == read
    origin.read.clear()
    for source in matched(op, origin):
        digested_tree(origin, source, op)
    assert sorted(origin.read) == read
