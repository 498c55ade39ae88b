"""``docker build --pull``: fetch the base images anew before a build."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from dockersim.bases import Provenance, find_base
from dockersim.engine import Engine
from dockersim.errors import RegistryError
from dockersim.oci import Reference, parse_reference


def refresh_bases(engine: Engine, text: str, replaced: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Pull every image that a FROM of the Dockerfile ``text`` names, if a registry has it.

    What was made on this machine stays as it is; names that a --build-context stands in for are left alone.
    Raises nothing for a registry that cannot be reached: the image that is here serves, and a line says so.
    """
    for name in _images(text, replaced):
        base = find_base(name)
        if base is not None and base.provenance is Provenance.MACHINE:
            continue
        try:
            pulled = engine.shipping.pull(name.familiar(), lambda event: None)
        except RegistryError as error:
            say(f"--pull: {name.familiar()}: {error.message}; the image that is here is used")
            continue
        say(f"--pull: {name.familiar()}: {'a newer image' if pulled.newer else 'up to date'}")


def _images(text: str, replaced: Mapping[str, str]) -> Iterator[Reference]:
    """Name the images that the Dockerfile builds on; one that is named by a variable is left to the build."""
    from dockersim.dockerfile import parse

    stages = parse(text).stages
    known = {"scratch", *replaced, *(stage.name for stage in stages)}
    for stage in stages:
        base = stage.from_.image
        if base not in known and stage.name not in replaced and "$" not in base:
            yield parse_reference(base)
