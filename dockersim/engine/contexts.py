"""Where the files of a build's sources are: its contexts, the main one and those with names, stages and images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from dockersim.content import LayerStore
from dockersim.digest import DiffID
from dockersim.engine.context import open_context
from dockersim.engine.network import Network
from dockersim.engine.opening import is_address
from dockersim.engine.sources import ContextOrigin, LayersOrigin, Origin
from dockersim.errors import ContextError
from dockersim.solver import ContextSource, NamedContext, NamedSource, Source

OpenNamed = Callable[[NamedContext], Origin]
"""Opens a context of files that has a name."""


class Contexts:
    """The sources of one build: ``main`` is its context, those that have names are opened when they are first used."""

    def __init__(
        self, layers: LayerStore, main: Origin, named: Mapping[str, NamedContext], open_named: OpenNamed
    ) -> None:
        self._layers = layers
        self._main = main
        self._named = named
        self._open_named = open_named
        self._opened: dict[str, Origin] = {}

    def origin(self, source: Source | None, layers: tuple[DiffID, ...]) -> Origin:
        """Give the files that ``source`` means; ``layers`` are those of a stage or an image."""
        match source:
            case ContextSource():
                return self._main
            case NamedSource(name):
                if name not in self._opened:
                    self._opened[name] = self._open_named(self._named[name])
                return self._opened[name]
            case _:
                return LayersOrigin(self._layers, layers)

    def save(self) -> None:
        """Keep the digests that have been found out. Losing them costs only time."""
        for origin in (self._main, *self._opened.values()):
            if isinstance(origin, ContextOrigin):
                origin.context.save()


def check_named(named: Mapping[str, NamedContext]) -> None:
    """Check before anything is done that every directory is there. Raises ContextError in buildx's words."""
    for one in named.values():
        if one.image or is_address(one.value):
            continue
        if not os.path.lexists(one.value):
            message = f"failed to get build context {one.name}: stat {one.value}: no such file or directory"
            raise ContextError(message, hint="name a directory, an address, docker-image://NAME or oci-layout://PATH")
        if not Path(one.value).is_dir():
            raise ContextError(f"failed to get build context path {one.value}: not a directory")


def open_named(one: NamedContext, network: Network, state: Path) -> Origin:
    """Open a context of files: a directory, with the .dockerignore that lies in it, or what an address means."""
    if is_address(one.value):
        return network.contexts.named(one)
    return ContextOrigin(open_context(Path(one.value), None, state))
