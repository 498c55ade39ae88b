"""``--cache-from`` and ``--cache-to``, read as buildx does (util/buildflags/cache.go), and checked.

>>> read_imports(["alice/app:cache", "type=local,src=/tmp/cache"])[1].place
'/tmp/cache'
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Literal

from msgspec import Struct

from dockersim.dockerfile.mounts import csv_fields
from dockersim.errors import BuildError
from dockersim.oci import parse_reference


class Mode(Enum):
    """Which steps are exported: those that made the final image, or those of all stages."""

    MIN = "min"
    MAX = "max"


class CacheOption(Struct, frozen=True):
    """One place that a cache comes from or goes to: a directory, or an image name in a registry.

    ``ignore_error`` lets the build be good although its cache could not be exported.
    """

    type: Literal["local", "registry"]
    place: str
    mode: Mode = Mode.MIN
    ignore_error: bool = False


_AS_IT_IS = {"image-manifest": "true", "oci-mediatypes": "true", "compression": "gzip"}
"""Settings of an export that can be given, as long as they ask for what is done anyway."""


def read_imports(words: Iterable[str]) -> tuple[CacheOption, ...]:
    """Read every --cache-from. Raises BuildError, and InvalidReference for a name that is none."""
    return tuple(_import(fields) for word in words for fields in _entries(word))


def read_exports(words: Iterable[str]) -> tuple[CacheOption, ...]:
    """Read every --cache-to. Raises BuildError, and InvalidReference for a name that is none."""
    return tuple(_export(fields) for word in words for fields in _entries(word))


def _entries(word: str) -> Iterator[dict[str, str]]:
    """Cut one word into its settings; without a ``=`` it is a list of image names."""
    fields = csv_fields(word, "cache")
    if "=" not in word:
        yield from ({"type": "registry", "ref": name} for name in fields if name)
        return
    entry: dict[str, str] = {}
    for one in fields:
        key, equals, value = one.partition("=")
        if not equals:
            raise BuildError(f"invalid value {one}", hint="write it as type=local,dest=DIR or type=registry,ref=NAME")
        entry[key.lower()] = value
    if not entry.get("type"):
        raise BuildError(f'type required for "{word}"', hint="it begins with type=local or type=registry")
    yield entry


def _import(fields: dict[str, str]) -> CacheOption:
    match fields.pop("type"):
        case "local":
            option = CacheOption("local", _required(fields, "src", "local cache importer requires src"))
        case "registry":
            option = CacheOption("registry", _name(fields))
        case other:
            raise BuildError(f"unknown cache importer: {other}", hint="use type=local or type=registry")
    _refuse_rest(fields)
    return option


def _export(fields: dict[str, str]) -> CacheOption:
    kind, mode, ignore = fields.pop("type"), _mode(fields), fields.pop("ignore-error", "false") == "true"
    option: CacheOption
    match kind:
        case "local":
            place = _required(fields, "dest", "local cache exporter requires dest")
            option = CacheOption("local", place, mode, ignore)
        case "registry":
            option = CacheOption("registry", _name(fields), mode, ignore)
        case "inline":
            # Deviation: BuildKit can also keep the cache in the config of the image it builds (type=inline).
            hint = "use --cache-to type=registry,ref=NAME"
            raise BuildError("a cache inside the image (type=inline) is not supported", hint=hint)
        case other:
            raise BuildError(f'unknown cache exporter: "{other}"', hint="use type=local or type=registry")
    _refuse_rest({key: value for key, value in fields.items() if _AS_IT_IS.get(key) != value})
    return option


def _mode(fields: dict[str, str]) -> Mode:
    word = fields.pop("mode", "min")
    if word not in ("min", "max"):
        raise BuildError(f"unknown cache export mode: {word}", hint="use mode=min or mode=max")
    return Mode(word)


def _name(fields: dict[str, str]) -> str:
    return parse_reference(_required(fields, "ref", "missing ref")).canonical()


def _required(fields: dict[str, str], name: str, complaint: str) -> str:
    value = fields.pop(name, "")
    if not value:
        raise BuildError(complaint, hint=f"add {name}=")
    return value


def _refuse_rest(fields: dict[str, str]) -> None:
    for key, value in fields.items():
        raise BuildError(f"{key}={value} of a cache is not supported", hint="leave it out")
