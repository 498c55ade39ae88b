"""Which program is to read the file: ``# syntax=``, or the build argument BUILDKIT_SYNTAX.

BuildKit calls such a program a frontend; it is an image, and ``docker/dockerfile`` is the one for Dockerfiles.
"""

from __future__ import annotations

from typing import Final

from dockersim.dockerfile import Dockerfile
from dockersim.errors import DockerfileError, InvalidReference
from dockersim.oci import parse_reference
from dockersim.solver.plan import BuildOptions
from dockersim.source import At

_DOCKERFILES: Final = ("dockerfile", "dockerfile-upstream")


def check_frontend(dockerfile: Dockerfile, options: BuildOptions) -> None:
    """Refuse a file that asks for the frontend of another language; DockerfileError at the line that does."""
    # Deviation: BuildKit fetches the frontend that the file names and lets it read the file; here dockersim reads it,
    # whichever version of docker/dockerfile is named, and refuses frontends of other languages.
    asked, directive = dict(options.build_args).get("BUILDKIT_SYNTAX"), dockerfile.syntax
    name = asked or (directive.reference if directive else "")
    if name and not _reads_dockerfiles(name):
        at = At(dockerfile.file, directive.line) if directive and not asked else None
        hint = "dockersim reads Dockerfiles only: name docker/dockerfile:1, or nothing"
        raise DockerfileError(f"frontend {name} is not supported", at=at, hint=hint)


def _reads_dockerfiles(name: str) -> bool:
    """Tell by the last part of the name, since mirrors and forks keep that."""
    try:
        return parse_reference(name).repository.rpartition("/")[2] in _DOCKERFILES
    except InvalidReference:
        return False
