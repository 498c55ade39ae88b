"""``docker build --pull``: fetch the base images anew before a build."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from dockersim.bases import Provenance, find_base
from dockersim.engine import Engine
from dockersim.errors import RegistryError
from dockersim.oci import Reference, parse_reference


def refresh_bases(
    engine: Engine, context: Path | str, dockerfile: Path | None, text: str | None, say: Callable[[str], None]
) -> None:
    """Pull every image that a FROM names, if a registry has it; what was made on this machine stays as it is.

    Raises nothing for a registry that cannot be reached: the image that is here serves, and a line says so.
    """
    for name in _images(engine, context, dockerfile, text):
        base = find_base(name)
        if base is not None and base.provenance is Provenance.MACHINE:
            continue
        try:
            pulled = engine.shipping.pull(name.familiar(), lambda event: None)
        except RegistryError as error:
            say(f"--pull: {name.familiar()}: {error.message}; the image that is here is used")
            continue
        say(f"--pull: {name.familiar()}: {'a newer image' if pulled.newer else 'up to date'}")


def _images(engine: Engine, context: Path | str, dockerfile: Path | None, text: str | None) -> Iterator[Reference]:
    """Name the images that the Dockerfile builds on, words expanded where a plan can be made without a pull."""
    from dockersim.dockerfile import parse

    source = text if text is not None else engine.read_dockerfile(context, dockerfile)
    stages = parse(source).stages
    names = {stage.name for stage in stages}
    for stage in stages:
        base = stage.from_.image
        if base != "scratch" and base not in names and "$" not in base:
            yield parse_reference(base)
