"""The checks of FROM lines: the base's name, and the platform."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from dockersim.dockerfile import rules
from dockersim.dockerfile.checkinstruction import Found
from dockersim.dockerfile.checkplatform import system_and_architecture
from dockersim.dockerfile.gotext import quote
from dockersim.dockerfile.instructions import From
from dockersim.dockerfile.suggest import nearest
from dockersim.dockerfile.words import Expansion, expand
from dockersim.errors import DockerfileError, InvalidReference
from dockersim.oci.reference import parse_reference


def default_base(from_: From, defaults: Mapping[str, str], escape: str) -> Found:
    """Find a base that is no image name unless a build argument is given."""
    try:
        parse_reference(expand(from_.image, defaults, escape).text)
    except (InvalidReference, DockerfileError):
        message = f"Default value for ARG {from_.image} results in empty or invalid base image name"
        yield rules.INVALID_DEFAULT_ARG_IN_FROM, message


def undeclared(unset: Iterable[str], declared: Collection[str]) -> Found:
    """Find names in a FROM that no ARG above declares."""
    for name in unset:
        if name not in declared:
            suggestion = nearest(name, declared)
            message = f"FROM argument '{name}' is not declared"
            yield rules.UNDEFINED_ARG_IN_FROM, message + (f" (did you mean {suggestion}?)" if suggestion else "")


def platform_flag(from_: From, platform: Expansion, values: Mapping[str, str]) -> Found:
    """Find a platform that goes without saying, or that nothing can change; DockerfileError if it is none."""
    if platform.used == ("TARGETPLATFORM",) and not platform.unset and platform.text == values["TARGETPLATFORM"]:
        problem = "is redundant as this is the default behavior"
        yield rules.REDUNDANT_TARGET_PLATFORM, f"Setting platform to predefined {from_.platform} in FROM {problem}"
    parts = system_and_architecture(platform.text)
    constant = not platform.used and not platform.unset
    if parts and constant and not any(part and part in from_.name for part in parts):
        message = f"FROM --platform flag should not use constant value {quote(platform.text)}"
        yield rules.FROM_PLATFORM_FLAG_CONST_DISALLOWED, message
    if parts is None:
        problem = f"failed to parse platform {from_.platform}"
        if not platform.text:
            problem = f"empty platform value from expression {from_.platform}"
        near = [suggestion for name in platform.unset if (suggestion := nearest(name, values))]
        raise DockerfileError(problem, at=from_.at, hint=f"did you mean {near[0]}?" if near else "")
