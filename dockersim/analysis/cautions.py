"""What should rather not be in a build context: a repository's history, credentials, and very large files.

Names tell most of it (the lists of gitleaks and of GitHub's secret scanning name the same files). Whether a ``.pem``
is a private key or only a certificate its name does not tell; whoever reads the files has to say.

>>> from dockersim.dockerfile import Decision
>>> [caution] = cautions([ContextFile("app/.env", Kind.FILE, 20, Decision(excluded=False))])
>>> caution.path, caution.because
('app/.env', 'it usually holds passwords and tokens')
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import translate
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from dockersim.analysis.context import ContextFile, Use
from dockersim.filesystem import Kind

HUGE: Final = 50 * 1024 * 1024
"""Bytes from which a file is called huge: where GitHub begins to warn of one."""

_HISTORY: Final = "it holds the repository's whole history, and all that was ever committed"
_PRIVATE_KEY: Final = "it is a private key"
_PASSWORDS: Final = "it usually holds passwords and tokens"
_CREDENTIALS: Final = "it usually holds credentials"

_FOLDERS: Final = {
    ".git": _HISTORY,
    ".hg": _HISTORY,
    ".svn": _HISTORY,
    ".ssh": "it holds private keys",
    ".gnupg": "it holds private keys",
    ".aws": _CREDENTIALS,
    ".azure": _CREDENTIALS,
    ".kube": _CREDENTIALS,
}

_NAMES: Final = {
    ".env": _PASSWORDS,
    ".env.*": _PASSWORDS,
    "*.env": _PASSWORDS,
    ".netrc": _PASSWORDS,
    "_netrc": _PASSWORDS,
    ".pgpass": _PASSWORDS,
    ".htpasswd": _PASSWORDS,
    ".git-credentials": _PASSWORDS,
    ".pypirc": _CREDENTIALS,
    ".npmrc": "it may hold a registry's token",
    ".dockercfg": _CREDENTIALS,
    ".vault-token": _CREDENTIALS,
    "credentials.json": _CREDENTIALS,
    "kubeconfig": _CREDENTIALS,
    "*.tfstate": "it holds the secrets of the infrastructure in clear",
    "id_rsa": _PRIVATE_KEY,
    "id_dsa": _PRIVATE_KEY,
    "id_ecdsa": _PRIVATE_KEY,
    "id_ed25519": _PRIVATE_KEY,
    "*.ppk": _PRIVATE_KEY,
    "*.p12": "it usually holds a private key",
    "*.pfx": "it usually holds a private key",
    "*.jks": "it usually holds a private key",
    "*.keystore": "it usually holds a private key",
    "*.kdbx": "it is a safe of passwords",
}

_HARMLESS: Final = (".example", ".sample", ".template", ".dist")
"""Ends of names of files that show which variables there are, and are meant to be passed on."""

_TESTS: Final = tuple((re.compile(translate(pattern)), because) for pattern, because in _NAMES.items())
_ANY: Final = re.compile("|".join(test.pattern for test, _ in _TESTS))
_MAY_BE_KEY: Final = re.compile(r".*\.(pem|key)", re.IGNORECASE | re.DOTALL)
_KEY_HEADER: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")


class Caution(Struct, frozen=True):
    """A file, or a directory with so many ``files``, that is kept and should not be; ``because`` in words."""

    path: str
    because: str
    size: int
    files: int
    is_directory: bool
    uses: tuple[Use, ...]


def may_be_key(path: str) -> bool:
    """Tell whether only the content of the file can say if it is a private key."""
    return _MAY_BE_KEY.fullmatch(path) is not None


def holds_key(head: bytes) -> bool:
    """Tell from the beginning of a file whether a private key is in it (RFC 7468)."""
    return _KEY_HEADER.search(head) is not None


def cautions(files: Iterable[ContextFile], keys: frozenset[str] = frozenset()) -> tuple[Caution, ...]:
    """List what is kept and should not be, a directory once; ``keys`` are the paths of known private keys."""
    found: dict[str, Caution] = {}
    for file in files:
        for caution in _about(file, keys) if file.kept else ():
            known = found.get(caution.path)
            found[caution.path] = caution if known is None else _joined(known, caution)
    return tuple(found.values())


def _about(file: ContextFile, keys: frozenset[str]) -> Iterator[Caution]:
    *folders, name = file.path.split("/")
    for depth, folder in enumerate(folders, 1):
        if folder in _FOLDERS:
            yield Caution("/".join(folders[:depth]), _FOLDERS[folder], file.size, 1, True, file.uses)
            return
    if because := _PRIVATE_KEY if file.path in keys else _of_name(name):
        yield Caution(file.path, because, file.size, 1, False, file.uses)
    elif file.kind is Kind.FILE and file.size >= HUGE:
        yield Caution(file.path, "it is huge", file.size, 1, False, file.uses)


def _of_name(name: str) -> str:
    name = name.lower()
    if not _ANY.match(name) or name.endswith(_HARMLESS):
        return ""
    return next(because for test, because in _TESTS if test.match(name))


def _joined(one: Caution, other: Caution) -> Caution:
    uses = one.uses if one.uses == other.uses else tuple(sorted({*one.uses, *other.uses}))
    return replace(one, size=one.size + other.size, files=one.files + 1, uses=uses)
