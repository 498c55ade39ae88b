"""Where the files of a build's sources are: the build context, a stage, or an image."""

from __future__ import annotations

from dockersim.content import LayerStore
from dockersim.digest import DiffID
from dockersim.engine.sources import ContextOrigin, LayersOrigin, Origin
from dockersim.solver import ContextSource, Source


class Contexts:
    """The sources of one build; ``main`` is its context."""

    def __init__(self, layers: LayerStore, main: Origin) -> None:
        self._layers = layers
        self._main = main

    def origin(self, source: Source | None, layers: tuple[DiffID, ...]) -> Origin:
        """Give the files that ``source`` means; ``layers`` are those of a stage or an image."""
        if isinstance(source, ContextSource):
            return self._main
        return LayersOrigin(self._layers, layers)

    def save(self) -> None:
        """Keep the digests that have been found out. Losing them costs only time."""
        if isinstance(self._main, ContextOrigin):
            self._main.context.save()
