"""Wheels made from installed packages, so that ``pip install`` works in a starter image without a network.

Installing a wheel unpacks it and leaves a list of what was unpacked, with hashes: ``RECORD`` in the package's
``.dist-info`` (packaging.python.org, "Recording installed projects"). That list read backwards gives the
wheel again. The wheels are zip files of one order, one date and no compression: the same bytes each time.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from msgspec import Struct

from dockersim.errors import ImageError

# Written by the installer on this machine; not part of what was in the wheel.
_OF_THE_INSTALLER = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class InstalledFile(Struct, frozen=True):
    """A file of an installed package: its path as in the wheel, its bytes, and whether it may be executed."""

    path: str
    data: bytes
    executable: bool = False


def closure(name: str) -> tuple[str, ...]:
    """List ``name`` and everything installed that it needs, in alphabetical order.

    A requirement that is not installed is one whose marker (``; python_version < "3.10"``) says no here: pip
    would have installed it otherwise. Extras are nobody's needs.
    """
    found: set[str] = set()
    todo = [name]
    while todo:
        wanted = _normal(todo.pop())
        if wanted in found:
            continue
        try:
            requirements = distribution(wanted).requires or []
        except PackageNotFoundError:
            if not found:
                raise ImageError(f"{name} is not installed beside dockersim", hint=f"pip install {name}") from None
            continue
        found.add(wanted)
        todo += [match[1] for line in requirements if "extra ==" not in line and (match := _REQUIREMENT.match(line))]
    return tuple(sorted(found))


def installed_files(name: str) -> tuple[InstalledFile, ...]:
    """Read the files of an installed package by its RECORD, in order, each checked against its hash.

    Left out is what was made on this machine: byte code, the installer's notes, and the scripts that pip
    makes anew from the entry points. Raises ImageError if the RECORD is missing or broken, or a file is not
    as recorded.
    """
    package = _distribution(name)
    rows = _record(package)
    return tuple(sorted((_read(package, *row) for row in rows if _wanted(row[0])), key=lambda file: file.path))


def wheel(name: str) -> tuple[str, bytes]:
    """Make the wheel of an installed package again: its file name and its bytes."""
    package = _distribution(name)
    files = installed_files(name)
    info = next((file.path.split("/")[0] for file in files if file.path.endswith(".dist-info/METADATA")), "")
    tags = re.findall(r"^Tag:\s*(\S+)", package.read_text("WHEEL") or "", re.MULTILINE)
    if not info or not tags:
        raise _broken(package, "it does not say which wheel it came from")
    record = "".join(f"{file.path},sha256={_hash(file.data)},{len(file.data)}\n" for file in files)
    record += f"{info}/RECORD,,\n"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for file in (*files, InstalledFile(f"{info}/RECORD", record.encode())):
            member = zipfile.ZipInfo(file.path, _ZIP_DATE)
            member.create_system, member.external_attr = 3, (0o100755 if file.executable else 0o100644) << 16
            archive.writestr(member, file.data)
    return f"{info.removesuffix('.dist-info')}-{_compressed(tags)}.whl", content.getvalue()


def _compressed(tags: list[str]) -> str:
    """Join ``py2-none-any`` and ``py3-none-any`` to ``py2.py3-none-any`` (PEP 425, compressed tag sets)."""
    return "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*(tag.split("-") for tag in tags), strict=True))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _distribution(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError as error:
        raise ImageError(f"{name} is not installed beside dockersim", hint=f"pip install {name}") from error


def _record(package: Distribution) -> list[tuple[str, str]]:
    """Return (path, hash) of each line of the RECORD."""
    try:
        text = package.read_text("RECORD")
        rows = list(csv.reader(io.StringIO(text or "")))
    except (csv.Error, UnicodeDecodeError) as error:
        raise _broken(package, f"its RECORD cannot be read: {error}") from error
    if text is None:
        raise _broken(package, "it has no RECORD of its files (was it installed by the system's package manager?)")
    for number, row in enumerate(rows, start=1):
        if len(row) != 3 or not row[0] or "\0" in row[0]:
            raise _broken(package, f"line {number} of its RECORD is not path,hash,size")
    return [(path, recorded) for path, recorded, _ in rows]


def _wanted(path: str) -> bool:
    inside = not path.startswith(("../", "/"))
    return inside and "__pycache__" not in path.split("/") and os.path.basename(path) not in _OF_THE_INSTALLER


def _read(package: Distribution, path: str, recorded: str) -> InstalledFile:
    place = str(package.locate_file(path))
    if ".." in path.split("/"):
        raise _broken(package, f"its RECORD names {path}, which is outside of it")
    try:
        with open(place, "rb") as file:
            data = file.read()
            executable = bool(os.fstat(file.fileno()).st_mode & 0o100)
    except OSError as error:
        raise _broken(package, f"its RECORD names {path}: {error.strerror}") from error
    if not recorded.startswith("sha256="):
        raise _broken(package, f"its RECORD has no sha256 for {path}")
    if recorded != f"sha256={_hash(data)}":
        raise _broken(package, f"{path} is not what its RECORD says; it was changed after it was installed")
    return InstalledFile(path, data, executable)


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _broken(package: Distribution, problem: str) -> ImageError:
    name = f"{package.metadata['Name']}=={package.version}"
    return ImageError(
        f"{name} cannot be made a wheel again: {problem}",
        hint=f"run 'pip install --force-reinstall --no-deps {name}'",
    )
