"""Image names: what a person writes, and what it stands for.

``ubuntu`` stands for ``docker.io/library/ubuntu:latest``. The grammar and the rules of normalisation are
those of the Go library ``distribution/reference`` (``regexp.go``, ``normalize.go``), as in docker:

    reference  := name [":" tag] ["@" digest]
    name       := [domain "/"] component {"/" component}
    domain     := host [":" port]
    component  := letters and digits, in lower case, joined by one of  .  _  __  or dashes

The first part is a domain only if it looks like one: it has a dot, a colon or a capital, or is ``localhost``.

>>> parse_reference("localhost:5000/app")
Reference(registry='localhost:5000', repository='app', tag='latest', digest='')
>>> parse_reference("docker.io/library/python:3.12").familiar()
'python:3.12'
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from dockersim.digest import Digest
from dockersim.errors import InvalidReference

DOCKER_HUB: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
_LEGACY_HUB = "index.docker.io"
_OFFICIAL = "library/"
_LONGEST_REPOSITORY = 255
_HEX_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(rf"((?:{_DOMAIN}/)?{_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?")
_NAME = re.compile(rf"(?:({_DOMAIN})/)?({_PATH})")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


class Parts(NamedTuple):
    """A reference as written; what is not written is ""."""

    domain: str
    path: str
    tag: str
    digest: str


class Reference(Struct, frozen=True):
    """A name in full: ``repository`` is a path on ``registry``, never ""; tag or digest may be ""."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Registry and repository: ``docker.io/library/ubuntu``."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    @property
    def familiar_name(self) -> str:
        """The name as docker shows it: without ``docker.io``, and official images without ``library``."""
        if self.registry != DOCKER_HUB:
            return self.name
        rest = self.repository.removeprefix(_OFFICIAL)
        return self.repository if "/" in rest else rest

    def canonical(self) -> str:
        """Write the reference in full."""
        return self.name + self._suffix()

    def familiar(self) -> str:
        """Write the reference as docker shows it."""
        return self.familiar_name + self._suffix()

    def with_default_tag(self) -> Reference:
        """Add ``:latest`` where there is neither a tag nor a digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def resolvable(self) -> Reference:
        """Reduce to what a registry is asked for: the digest decides, a tag beside it is only a comment."""
        return replace(self, tag="") if self.digest else self.with_default_tag()

    def at(self, digest: str) -> Reference:
        """Name what has this digest in the same repository: ``name@sha256:...``."""
        return replace(self, tag="", digest=digest)

    def matches(self, pattern: str) -> bool:
        """Match the pattern of ``docker images PATTERN`` against the familiar form, with or without tag."""
        expression = _glob(pattern)
        return any(expression.fullmatch(text) for text in (self.familiar(), self.familiar_name))

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.familiar()


def parse_reference(text: str, *, default_tag: str = DEFAULT_TAG) -> Reference:
    """Read what a person wrote, and fill in what it leaves out.

    ``default_tag`` is given to a name with neither tag nor digest; "" leaves it bare.
    Raises InvalidReference.
    """
    if _IDENTIFIER.fullmatch(text):
        raise InvalidReference(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings",
            hint="put sha256: before it if an image id is meant",
        )
    domain, rest = _split_domain(text)
    path = rest.partition(":")[0]
    if path.lower() != path:
        raise InvalidReference(
            f"invalid reference format: repository name ({path}) must be lowercase",
            hint=f"write {path.lower()}",
        )
    parts = parse_strict(f"{domain}/{rest}")
    bare = Reference(parts.domain, parts.path, parts.tag, parts.digest)
    return bare if bare.tag or bare.digest else replace(bare, tag=default_tag)


def parse_any(text: str) -> Reference | Digest:
    """Read a name or an id; 64 hex digits or a digest are an id. Raise InvalidReference for neither."""
    if _IDENTIFIER.fullmatch(text):
        return Digest(f"sha256:{text}")
    if re.fullmatch(r"sha256:[a-f0-9]{64}", text):
        return Digest(text)
    return parse_reference(text, default_tag="")


def parse_strict(text: str) -> Parts:
    """Read a reference by the grammar alone: no short names, nothing filled in."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise InvalidReference(_why_not(text))
    name, tag, digest = match.group(1), match.group(2) or "", match.group(3) or ""
    named = _NAME.fullmatch(name)
    domain, path = (named.group(1) or "", named.group(2)) if named else ("", name)
    if len(path) > _LONGEST_REPOSITORY:
        raise InvalidReference(f"repository name must not be more than {_LONGEST_REPOSITORY} characters")
    _check_digest(digest)
    return Parts(domain, path, tag, digest)


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    looks_like_domain = first == "localhost" or "." in first or ":" in first or first.lower() != first
    domain, path = (first, rest) if slash and looks_like_domain else (DOCKER_HUB, text)
    if domain == _LEGACY_HUB:
        domain = DOCKER_HUB
    if domain == DOCKER_HUB and "/" not in path:
        path = _OFFICIAL + path
    return domain, path


def _why_not(text: str) -> str:
    if not text:
        return "repository name must have at least one component"
    if _REFERENCE.fullmatch(text.lower()):
        return "repository name must be lowercase"
    return "invalid reference format"


def _check_digest(digest: str) -> None:
    algorithm, _, encoded = digest.partition(":")
    if not digest:
        return
    if algorithm not in _HEX_LENGTH:
        raise InvalidReference("unsupported digest algorithm")
    if len(encoded) != _HEX_LENGTH[algorithm]:
        raise InvalidReference("invalid checksum digest length")
    if encoded.lower() != encoded:
        raise InvalidReference("invalid checksum digest format")


def _glob(pattern: str) -> re.Pattern[str]:
    """Translate the pattern of Go's ``path.Match``: ``*`` and ``?`` stop at a slash, ``[^a]`` is a class."""
    tokens = {"*": "[^/]*", "?": "[^/]"}
    pieces = re.findall(r"\\.|\[(?:\\.|[^\]\\])+\]|.", pattern, re.DOTALL)
    if {"[", "\\"} & set(pieces):  # a class or an escape that does not end
        raise InvalidReference(f"not a pattern: {pattern[:80]!r}")
    translated = [
        piece if piece.startswith("[") and len(piece) > 2 else tokens.get(piece) or re.escape(piece[-1])
        for piece in pieces
    ]
    try:
        return re.compile("".join(translated))
    except re.error as error:
        raise InvalidReference(f"not a pattern: {pattern[:80]!r}") from error
