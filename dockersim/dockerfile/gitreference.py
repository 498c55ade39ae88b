"""Which texts name a Git repository, and what they ask of it: ``https://host/x.git#branch:folder``.

ADD and the build context take such texts. The real thing is BuildKit's frontend/dockerfile/dfgitutil and
util/gitutil; the form with a query is described in the Dockerfile reference under ADD.

>>> parse_git_reference("https://example.com/app.git#v1:docs")
GitReference(remote='https://example.com/app.git', name='app', ref='v1', subdir='docs', ...)
>>> parse_git_reference("https://example.com/app.tar.gz") is None
True
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from dockersim.dockerfile.flags import Switch
from dockersim.errors import DockerfileError

SCHEMES: Final = ("http", "https", "ssh", "git")
"""How a repository may be reached; never ``file``, and no remote helper such as ``ext::``."""

_SCHEME = re.compile(r"([a-zA-Z0-9]+)://")
_SCP_STYLE = re.compile(
    r"(?P<remote>\w[\w-]*@[a-zA-Z0-9.][a-zA-Z0-9.-]*:.*?)(?:\?(?P<query>.*?))?(?:#(?P<fragment>.*))?", re.ASCII
)
_HOST = re.compile(r"(?:\[[^\]\s]*\]|[^\s%:\[\]\\^`{|}]*)(?::\d*)?")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_PATH: Final = "%/:@!$&'()*+,;=~[]"
"""What stays as it is in the path of an address, besides letters, digits and ``_.-``."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")
_FALSE: Final = ("0", "f", "F", "false", "FALSE", "False")
"""The words of Go's ``strconv.ParseBool``."""


class GitReference(Struct, frozen=True):
    """A repository, and what is wanted of it.

    ``remote`` is what git is given, ``name`` the last word of it. ``ref`` is a branch, a tag or a commit ("" for the
    default branch), ``subdir`` the folder that is wanted, ``checksum`` the commit that it must be, or its beginning.
    ``mtime`` is "commit", "checkout" or "". ``looks_local`` marks a form that could as well be a path: only a build
    context may be named that way.
    """

    remote: str
    name: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: Switch = Switch.UNSET
    submodules: Switch = Switch.UNSET
    mtime: str = ""
    fetch_by_commit: bool = False
    looks_local: bool = False


def parse_git_reference(text: str) -> GitReference | None:
    """Read a text that may name a Git repository; None if it names none.

    Raises DockerfileError for a repository with a query that means nothing, or a ref that git would take for a flag.
    """
    if _CONTROL.search(text) or text.startswith(("./", "../")):
        return None
    parts = _parts(text)
    if parts is None:
        return None
    remote, query, fragment = parts
    ref, _, subdir = fragment.partition(":")
    found = GitReference(
        remote,
        remote.rpartition("/")[2].removesuffix(".git"),
        ref,
        posixpath.normpath(posixpath.join("/", subdir)).lstrip("/"),
        looks_local=text.startswith("github.com/"),
    )
    pairs = "&".join(pair for pair in query.split("&") if ";" not in pair)  # Go drops those
    found = _with_query(found, parse_qs(pairs, keep_blank_values=True))
    if found.ref.startswith("-"):
        raise DockerfileError(f'invalid git ref "{found.ref}"', hint="name a branch, a tag or a commit")
    return found


def _parts(text: str) -> tuple[str, str, str] | None:
    """Split a text into remote, query and fragment; None if it is no repository."""
    scheme = _SCHEME.match(text)
    if scheme is None and not text.startswith("github.com/"):
        match = _SCP_STYLE.fullmatch(text)
        return (match["remote"], match["query"] or "", match["fragment"] or "") if match else None
    if scheme is not None and scheme[1].lower() not in SCHEMES:
        return None
    try:
        url = urlsplit(text)
    except ValueError:
        return None  # no address at all
    if not _HOST.fullmatch(url.netloc.rpartition("@")[2]) or _BAD_ESCAPE.search(url.path):
        return None  # nor is this
    # An address of the web is a repository only if it says so (BuildKit, ``ParseGitRef``).
    if url.scheme in ("http", "https") and not unquote(url.path).endswith(".git"):
        return None
    remote = url._replace(path=quote(url.path, safe=_PATH), query="", fragment="").geturl()
    return remote, url.query, unquote(url.fragment)


# ---------------------------------------------------------------- the query


def _with_query(reference: GitReference, query: Mapping[str, list[str]]) -> GitReference:
    """Take in what stands behind the question mark; what the fragment says must not be contradicted."""
    for name, values in query.items():
        if len(values) > 1:
            raise DockerfileError(f'query "{name}" has multiple values')
        if not values[0] and name not in _SWITCHES:
            raise DockerfileError(f'query "{name}" has no value')
        if name not in _READERS:
            raise DockerfileError(f'unexpected query "{name}"', hint=f"these are known: {', '.join(_READERS)}")
        field, read = _READERS[name]
        value = read(name, values[0])
        if field in ("ref", "subdir") and getattr(reference, field) not in ("", value):
            raise DockerfileError(f'{field} conflicts: "{getattr(reference, field)}" vs "{value}"')
        reference = replace(reference, **{field: value})
    return reference


def _text(name: str, value: str) -> str:
    return value


def _below(prefix: str) -> Callable[[str, str], str]:
    return lambda name, value: value if value.startswith(prefix) else prefix + value


def _truth(name: str, value: str) -> bool:
    if value and value not in _TRUE + _FALSE:
        raise DockerfileError(f'invalid {name} value: "{value}"', hint="write true or false")
    return not value or value in _TRUE


def _switch(name: str, value: str) -> Switch:
    return Switch.ON if _truth(name, value) else Switch.OFF


def _mtime(name: str, value: str) -> str:
    if value not in ("checkout", "commit"):
        raise DockerfileError(f'invalid mtime value: "{value}" (must be "checkout" or "commit")')
    return value


_SWITCHES: Final = ("keep-git-dir", "submodules", "fetch-by-commit")
_READERS: Final[dict[str, tuple[str, Callable[[str, str], object]]]] = {
    "ref": ("ref", _text),
    "tag": ("ref", _below("refs/tags/")),
    "branch": ("ref", _below("refs/heads/")),
    "subdir": ("subdir", _text),
    "checksum": ("checksum", _text),
    "commit": ("checksum", _text),
    "keep-git-dir": ("keep_git_dir", _switch),
    "submodules": ("submodules", _switch),
    "mtime": ("mtime", _mtime),
    "fetch-by-commit": ("fetch_by_commit", _truth),
}
"""What may stand behind the question mark: the field it sets, and how its value is read."""
