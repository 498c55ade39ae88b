"""Contexts that the caller has given names: ``--build-context NAME=VALUE``.

Where a Dockerfile says NAME, the context stands in: for a stage of that name as a whole, or for an image of that name
in FROM, ``COPY --from`` and ``RUN --mount=from``. BuildKit: frontend/dockerui/namedcontext.go, and dockerfile2llb.

>>> contexts = named_contexts((("alpine:latest", "docker-image://busybox"), ("src", "../src")))
>>> contexts["alpine"].image, contexts["src"].image
('docker.io/library/busybox:latest', '')
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from dockersim.errors import ContextError, InvalidReference
from dockersim.oci import parse_reference

LAYOUT = "oci-layout://"
"""How an image in an OCI image layout on disk is named; behind it come the path, and a tag or digest."""

_IMAGE = "docker-image://"
_NEVER = ("scratch", "context")
"""Names that a Dockerfile has a meaning of its own for (BuildKit, ``namedContextFunc``)."""


class NamedContext(Struct, frozen=True):
    """One context: ``image`` is what is to be resolved where it is an image ("scratch" too), "" where it is files."""

    name: str
    value: str
    image: str = ""

    @property
    def vertex(self) -> str:
        """Give the name under which BuildKit shows that it is loaded."""
        if self.value.startswith(LAYOUT):
            return f"[context {self.name}] OCI load from client"
        if self.image:
            return f"[context {self.name}] {self.value.removeprefix(_IMAGE)}"
        return f"[context {self.name}] load from client"


def named_contexts(given: Iterable[tuple[str, str]]) -> dict[str, NamedContext]:
    """Read pairs of name and value; the names are as ``look_up`` looks for them. Raises ContextError."""
    contexts = {}
    for written, value in given:
        name = _short(written)
        if not name:
            raise ContextError(f"invalid context name {written}", hint="a name is written as that of an image is")
        contexts[name] = NamedContext(name, value, _image(name, value))
    return contexts


def look_up(contexts: Mapping[str, NamedContext], written: str) -> NamedContext | None:
    """Find the context that stands in for a stage or an image of this name, if there is one."""
    if not contexts or written.lower() in _NEVER:
        return None
    return contexts.get(_short(written))


def _short(written: str) -> str:
    """Write a name as short as it goes; "" for what is no name."""
    try:
        return parse_reference(written, default_tag="").familiar().removesuffix(":latest")
    except InvalidReference:
        return ""


def _image(name: str, value: str) -> str:
    if value.startswith(LAYOUT):
        return value
    if not value.startswith(_IMAGE):
        return ""
    reference = value.removeprefix(_IMAGE)
    if reference == "scratch":
        return reference
    try:
        return parse_reference(reference).canonical()
    except InvalidReference as error:
        raise ContextError(f"invalid context value {value} for {name}: {error.message}") from error
