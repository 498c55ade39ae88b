"""The options of ``RUN --mount`` and ``RUN --device``: comma-separated fields, as in a line of CSV.

BuildKit: commands_runmount.go and commands_rundevice.go in frontend/dockerfile/instructions. A mount is read
twice: when the Dockerfile is parsed only ``from`` is looked at; the rest may hold variables and is read when
the step is reached.

>>> mount = MountFlag("type=cache,target=$HOME/.cache").resolve(lambda word: word.replace("$HOME", "/root"))
>>> mount.type, mount.target, mount.read_only
(<MountType.CACHE: 'cache'>, '/root/.cache', False)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from dockersim.dockerfile.gotext import parse_bool, quote
from dockersim.dockerfile.suggest import did_you_mean
from dockersim.errors import DockerfileError
from dockersim.sizes import read_size


class MountType(Enum):
    """What is mounted."""

    BIND = "bind"
    CACHE = "cache"
    TMPFS = "tmpfs"
    SECRET = "secret"
    SSH = "ssh"


class Sharing(Enum):
    """How builds at the same time use one cache mount."""

    SHARED = "shared"
    PRIVATE = "private"
    LOCKED = "locked"


class Mount(Struct, frozen=True):
    """A mount, expanded; ``uid``, ``gid``, ``mode``, ``env`` and ``sharing`` are None if not given."""

    type: MountType = MountType.BIND
    from_: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = True
    size: int = 0
    id: str = ""
    sharing: Sharing | None = None
    required: bool = False
    env: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class MountFlag(Struct, frozen=True):
    """The value of one ``--mount`` as written."""

    value: str

    @property
    def from_(self) -> str:
        """The stage or image named by ``from=``, which is never expanded; empty if none."""
        return next((value for key, _, value in reversed(self._fields()) if key == "from"), "")

    def check(self) -> None:
        """Refuse what is wrong whatever the variables are; DockerfileError has no place yet."""
        for key, equals, value in self._fields():
            if key == "from" and equals and "$" in value[:-1]:
                problem = "'from' doesn't support variable expansion, define alias stage instead"
                raise DockerfileError(problem)

    def resolve(self, expand: Callable[[str], str]) -> Mount:
        """Expand the values and read them; DockerfileError has no place yet."""
        mount, reading_decided = Mount(), False
        for key, equals, value in self._fields():
            word = expand(value) if equals else None
            mount = _with_option(mount, key, word, f"{key}={value}" if equals else value)
            reading_decided |= key in _READING
        if not reading_decided:
            mount = replace(mount, read_only=mount.type not in (MountType.CACHE, MountType.TMPFS))
        _check_together(mount)
        return mount

    def _fields(self) -> list[tuple[str, str, str]]:
        """Cut into (key in lower case, ``=`` or nothing, value); a field without ``=`` is its own value."""
        found = []
        for field in csv_fields(self.value, "mounts"):
            key, equals, value = field.partition("=")
            found.append((key.lower(), equals, value if equals else field))
        return found


_READING: Final = {"readonly": True, "ro": True, "readwrite": False, "rw": False}
_OPTIONS: Final = (
    "type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid",
    "src", "dst", "destination", "ro", "rw", "readwrite", "env",
)  # fmt: skip
_REQUIRABLE: Final = (MountType.SECRET, MountType.SSH)
_WITH_OWNER: Final = (MountType.SECRET, MountType.SSH, MountType.CACHE)
_TEXTS: Final = {
    "from": "from_", "source": "source", "src": "source", "target": "target", "dst": "target",
    "destination": "target", "id": "id", "env": "env",
}  # fmt: skip
_NUMBERS: Final = {"mode": 8, "uid": 10, "gid": 10}


def _with_option(mount: Mount, key: str, word: str | None, field: str) -> Mount:
    """Set one option; ``word`` is its expanded value, None where there was no ``=``."""
    if key == "required" and mount.type not in _REQUIRABLE:
        raise DockerfileError(f"unexpected key 'required' for mount type '{mount.type.value}'")
    if key == "required":
        return replace(mount, required=_truth(key, word))
    if key in _READING:
        return replace(mount, read_only=_truth(key, word) is _READING[key])
    if word is None:
        raise DockerfileError(f"invalid field '{field}' must be a key=value pair")
    if key in _TEXTS or key in _NUMBERS:
        option: dict[str, Any] = {_TEXTS[key]: word} if key in _TEXTS else {key: _number(key, word)}
        return replace(mount, **option)
    if key == "type":
        return replace(mount, type=_type(word))
    if key == "sharing":
        return replace(mount, sharing=_sharing(word))
    if key == "size":
        return replace(mount, size=_size(mount.type, word))
    raise DockerfileError(f"unexpected key '{key}' in '{field}'", hint=did_you_mean(key, _OPTIONS))


def _truth(key: str, word: str | None) -> bool:
    try:
        return word is None or parse_bool(word)
    except ValueError:
        raise DockerfileError(f"invalid value for {key}: {word}") from None


def _number(key: str, word: str) -> int:
    base = _NUMBERS[key]
    digits = "01234567" if base == 8 else "0123456789"
    if not word or word.strip(digits) or len(word.lstrip("0")) > 11 or int(word, base) >= 2**32:
        raise DockerfileError(f"invalid value {word} for {key}")
    return int(word, base)


def _type(word: str) -> MountType:
    try:
        return MountType(word.lower())
    except ValueError:
        hint = did_you_mean(word, [kind.value for kind in MountType])
        raise DockerfileError(f"unsupported mount type {quote(word)}", hint=hint) from None


def _sharing(word: str) -> Sharing:
    try:
        return Sharing(word.lower())
    except ValueError:
        hint = did_you_mean(word, [mode.value for mode in Sharing])
        raise DockerfileError(f"unsupported sharing value {quote(word)}", hint=hint) from None


def _size(kind: MountType, word: str) -> int:
    if kind is not MountType.TMPFS:
        raise DockerfileError(f"unexpected key 'size' for mount type '{kind.value}'")
    try:
        return read_size(word)
    except ValueError:
        raise DockerfileError(f"invalid value for size: {word}") from None


def _check_together(mount: Mount) -> None:
    if mount.type not in _WITH_OWNER:
        for key, value in (("mode", mount.mode), ("uid", mount.uid), ("gid", mount.gid)):
            if value is not None:
                raise DockerfileError(f"{key} not allowed for {quote(mount.type.value)} type mounts")
    if mount.type is MountType.SECRET:
        _check_secret(mount)
    if mount.sharing and mount.type is not MountType.CACHE:
        raise DockerfileError(f"invalid cache sharing set for {mount.type.value} mount")


def _check_secret(mount: Mount) -> None:
    if mount.from_:
        raise DockerfileError("secret mount should not have a from")
    if mount.sharing:
        raise DockerfileError("secret mount should not define sharing")
    if not (mount.source or mount.target or mount.id):
        raise DockerfileError("invalid secret mount. one of source, target required")
    if mount.source and mount.id:
        raise DockerfileError("both source and id can't be set")


class Device(Struct, frozen=True):
    """A CDI device that ``RUN --device`` asks for."""

    name: str
    required: bool = False


def parse_device(text: str) -> Device:
    """Read the value of one ``--device``; DockerfileError has no place yet."""
    name, required = "", False
    for field in csv_fields(text, "devices"):
        key, equals, value = field.partition("=")
        key = key.lower()
        if key == "required":
            required = _truth(key, value if equals else None)
        elif equals and key == "name":
            if name:
                raise DockerfileError(f"device name already set to {name}")
            name = value
        elif not name:
            name = field
        elif not equals:
            raise DockerfileError(f"invalid field '{field}' must be a key=value pair")
        else:
            hint = did_you_mean(key, ("name", "required"))
            raise DockerfileError(f"unexpected key '{key}' in '{field}'", hint=hint)
    return Device(name, required)


_CSV_FIELD: Final = re.compile(r'"((?:[^"]|"")*)"(?=,|\Z)|([^",]*)(?=,|\Z)')


def csv_fields(text: str, what: str) -> list[str]:
    """Cut one line of comma-separated values; a field in double quotes may hold commas."""
    fields: list[str] = []
    position = -1
    while position < len(text):
        match = _CSV_FIELD.match(text, position + 1)
        if match is None:
            where = f"parse error on line 1, column {position + 2}"
            raise DockerfileError(f'failed to parse csv {what}: {where}: bare " in non-quoted-field')
        fields.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        position = match.end()
    return fields
