"""The trees of stacks of layers, kept while a snapshotter is in use."""

from __future__ import annotations

from collections.abc import Sequence

from dockersim.digest import DiffID
from dockersim.filesystem import Tree
from dockersim.snapshots.contract import LayerSource

KEPT = 64
"""How many trees are kept: the steps of a few builds. They share what is equal, so that they cost little."""


class Chains:
    """Makes the tree of a stack of layers, from that of the stack without its top layer."""

    def __init__(self, source: LayerSource) -> None:
        self._source = source
        self._trees: dict[tuple[DiffID, ...], Tree] = {}

    def tree(self, layers: Sequence[DiffID]) -> Tree:
        """Return the tree of ``layers``, lowest first."""
        known = len(layers)
        while known and tuple(layers[:known]) not in self._trees:
            known -= 1
        tree = self._trees[tuple(layers[:known])] if known else Tree.EMPTY
        for count in range(known, len(layers)):
            tree = tree.apply(self._source.entries(layers[count]), layers[count])
            self._trees[tuple(layers[: count + 1])] = tree
        while len(self._trees) > KEPT:
            del self._trees[next(iter(self._trees))]
        return tree
