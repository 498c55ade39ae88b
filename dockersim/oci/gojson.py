"""JSON as Go's encoder writes it, and as a careful reader takes it.

Image documents are hashed, so their bytes matter: Go's ``encoding/json`` writes no spaces, keeps the order of
the struct, leaves out what is empty where the struct says ``omitempty``, sorts maps by key, and escapes
``&``, ``<`` and ``>``. Equal values therefore give equal digests, here as there.

>>> encode({"b": "a && b", "a": 1})
b'{"b":"a \\\\u0026\\\\u0026 b","a":1}'
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from msgspec import Struct

from dockersim.digest import Digest
from dockersim.errors import ContentError

Document = bytes | str | Mapping[str, Any]
"""What ``from_json`` takes: the bytes of a document, or what ``json.loads`` made of them."""

_ESCAPES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "&<>\u2028\u2029"})
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]|(?P<half>u[dD][89a-fA-F]..)|.)", re.DOTALL)
"""An escape in a JSON text; a half of a character is one that its other half does not follow."""

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
"""RFC 6838 section 4.2, as descriptor.md demands; the OCI's own schema has the same pattern."""

_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}
LARGEST_DOCUMENT: Final = 8 << 20
"""Bytes of a document that is read at all: twice the largest manifest that registries take (distribution-spec, "Pushing
Manifests"), since no limit is set for configs. In memory it may take a hundred times as much."""

_HEX_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}


def encode(document: Mapping[str, Any]) -> bytes:
    """Write ``document`` as Go would; what is no text in UTF-8 becomes U+FFFD, as there."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return _LONE_SURROGATE.sub("\ufffd", text).translate(_ESCAPES).encode()


def parse(document: bytes | str, where: str, limit: int = LARGEST_DOCUMENT) -> Any:
    """Read JSON as Go's decoder takes it; raise ContentError that says in ``where`` it is none.

    Python's takes more: UTF-16, NaN, and halves of characters, which no terminal, database or browser takes then. Those
    become U+FFFD, as in Go.
    """
    if len(document) > limit:
        raise ContentError(f"{where} is larger than the {limit} bytes of a document")
    try:
        text = _LONE_SURROGATE.sub("\ufffd", document) if isinstance(document, str) else document.decode()
        return json.loads(
            _ESCAPE.sub(_whole, text) if "\\u" in text else text, parse_constant=_refuse, parse_int=_whole_number
        )
    except (ValueError, RecursionError) as error:
        raise ContentError(f"{where} is not JSON: {error}") from error


def _whole(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape["half"] else escape[0]


def _whole_number(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def sorted_map(values: Mapping[str, Any]) -> dict[str, Any]:
    """Order a map by key, as Go does when it writes one."""
    return {key: values[key] for key in sorted(values, key=lambda key: key.encode(errors="replace"))}


def omit_empty(document: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """Leave out the fields that Go calls empty (false, 0, "", no elements), but never one of ``required``."""
    return {key: value for key, value in document.items() if value or key in required}


def check_digest(text: str, where: str) -> Digest:
    """Check the grammar of descriptor.md; registered algorithms must have the right number of digits."""
    algorithm, _, encoded = text.partition(":")
    length = _HEX_LENGTH.get(algorithm)
    good = re.fullmatch(f"[0-9a-f]{{{length}}}", encoded) if length else _DIGEST.fullmatch(text)
    if not good:
        raise ContentError(f"{where} is not a digest: {text[:80]!r}")
    return Digest(text)


class Fields(Struct, frozen=True):
    """One JSON object, read field by field; ``where`` is its path in the document, for the error's text."""

    values: Mapping[str, Any]
    where: str

    @classmethod
    def of(cls, document: Document, where: str) -> Fields:
        """Read ``document``, which must be a JSON object; ``where`` names its kind."""
        values = parse(document, where) if isinstance(document, bytes | str) else document
        if not isinstance(values, Mapping):
            raise ContentError(f"{where} must be a JSON object, not {_kind(values)}")
        return cls(values, where)

    def has(self, name: str) -> bool:
        """Say whether the field is there; Go reads ``null`` as if it were not."""
        return self.values.get(name) is not None

    def text(self, name: str, *, required: bool = False) -> str:
        """Read a string; "" where it is missing."""
        value = self._get(name, str, "a string", required=required)
        return "" if value is None else str(value)

    def integer(self, name: str, *, required: bool = False, least: int | None = None) -> int:
        """Read a whole number that fits Go's int64; 0 where it is missing."""
        value = self._get(name, int, "a whole number", required=required)
        number = 0 if value is None else int(value)
        if isinstance(value, bool) or not -(2**63) <= number < 2**63:
            raise ContentError(f"{self._path(name)} must be a whole number")
        if least is not None and number < least:
            raise ContentError(f"{self._path(name)} must be at least {least}, not {number}")
        return number

    def flag(self, name: str) -> bool:
        """Read true or false; false where it is missing."""
        return bool(self._get(name, bool, "true or false"))

    def texts(self, name: str, *, required: bool = False) -> tuple[str, ...]:
        """Read a list of strings."""
        values = self._get(name, list, "a list", required=required) or []
        for position, value in enumerate(values):
            if not isinstance(value, str):
                raise ContentError(f"{self._path(name)}[{position}] must be a string, not {_kind(value)}")
        return tuple(values)

    def text_map(self, name: str) -> dict[str, str]:
        """Read an object whose values are all strings."""
        values = self._get(name, dict, "an object") or {}
        for key, value in values.items():
            if not isinstance(value, str):
                raise ContentError(f"{self._path(name)}[{key!r}] must be a string, not {_kind(value)}")
        return dict(values)

    def keys(self, name: str) -> tuple[str, ...]:
        """Read an object that is used as a set: ``{"80/tcp": {}}``; sorted."""
        return tuple(sorted(self._get(name, dict, "an object") or {}))

    def one(self, name: str) -> Fields:
        """Enter an object; an empty one where it is missing."""
        return Fields(self._get(name, dict, "an object") or {}, self._path(name))

    def many(self, name: str, *, required: bool = False) -> tuple[Fields, ...]:
        """Enter every object of a list."""
        values = self._get(name, list, "a list", required=required) or []
        return tuple(Fields.of(value, f"{self._path(name)}[{at}]") for at, value in _objects(values))

    def media_type(self, name: str, *, required: bool = False) -> str:
        """Read a media type; "" where it is missing and need not be there."""
        text = self.text(name, required=required)
        if (text or self.has(name)) and not _MEDIA_TYPE.fullmatch(text):
            raise ContentError(f"{self._path(name)} is not a media type: {text[:80]!r}")
        return text

    def digest(self, name: str) -> Digest:
        """Read a digest, which must be there."""
        return check_digest(self.text(name, required=True), self._path(name))

    def _get(self, name: str, kind: type, called: str, *, required: bool = False) -> Any:
        value = self.values.get(name)
        if value is None:
            if required:
                raise ContentError(f"{self._path(name)} is missing")
            return None
        if not isinstance(value, kind):
            raise ContentError(f"{self._path(name)} must be {called}, not {_kind(value)}")
        return value

    def _path(self, name: str) -> str:
        return f"{self.where}.{name}"


def _objects(values: list[Any]) -> list[tuple[int, Any]]:
    # Fields.of would take a string in a list for a document; wrapped, it is refused.
    return [(at, [value] if isinstance(value, str) else value) for at, value in enumerate(values)]


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "null")
