"""The drawing of a build's stages and layers: by Graphviz where ``dot`` is installed, in plain characters else."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from dockersim.engine.build import Build
from dockersim.views import graphviz_source, plain_drawing

HINT = "(for a drawing with boxes and arrows install Graphviz, which brings the program `dot`)"


class Drawing(Struct, frozen=True, dict=True):
    """A drawing that a notebook shows as a picture if it can, and that prints as text."""

    source: str
    """The Graphviz source."""
    plain: str
    """The drawing in characters."""

    @cached_property
    def svg(self) -> str | None:
        """The picture; None where there is no ``dot``."""
        import graphviz  # slow to import, and many never draw

        try:
            return str(graphviz.Source(self.source).pipe(format="svg", encoding="utf-8"))
        except graphviz.ExecutableNotFound:
            return None

    def __str__(self) -> str:
        return self.plain

    def __repr__(self) -> str:
        return self.plain if self.svg else f"{self.plain}\n{HINT}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        bundle = {"text/plain": repr(self)}
        if self.svg is not None:
            bundle["image/svg+xml"] = self.svg
        return bundle


def draw(build: Build) -> Drawing:
    """Draw the stages and steps of ``build``, with what the cache said about those that were taken."""
    plan = build.prepare()
    events = [step.event for step in build.steps]
    return Drawing(graphviz_source(plan, events), plain_drawing(plan, events))
