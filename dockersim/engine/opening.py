"""What a build reads, opened: its context, and the Dockerfile. A context is a directory, or lies somewhere else.

BuildKit does this in frontend/dockerui/context.go. A Git repository, a tar archive or a Dockerfile at an address of
the web can be the context; then the Dockerfile is looked for in it, and .dockerignore does not count.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from dockersim.dockerfile import NO_RULES, IgnoreRules
from dockersim.engine.context import open_context
from dockersim.engine.sources import ContextOrigin, Origin
from dockersim.errors import ContextError, DockerfileError

if TYPE_CHECKING:
    from dockersim.engine.network import Network

DOCKERFILE = "Dockerfile"
_NOT_READ = "failed to read dockerfile"


class Remote(Struct, frozen=True):
    """A context that was fetched, what it is known as, and what its Dockerfile is called if nobody says so."""

    origin: Origin
    name: str
    dockerfile: str = DOCKERFILE


class Opened(Struct, frozen=True):
    """What a build reads: its context, the name and text of the Dockerfile, and what both are known as."""

    origin: Origin
    file: str
    text: str
    identity: str

    @property
    def rules(self) -> IgnoreRules:
        """What is left out of the context; of one that was fetched, nothing."""
        return self.origin.context.rules if isinstance(self.origin, ContextOrigin) else NO_RULES


def open_build(
    context: str | os.PathLike[str],
    dockerfile: str | os.PathLike[str] | None,
    text: str | None,
    network: Network,
    state: Path | None,
) -> Opened:
    """Open the context and read the Dockerfile; ``text`` goes before what its file says.

    Raises ContextError or DockerfileError where one of them is not there.
    """
    if is_remote(context):
        return _open_remote(network.contexts.main(os.fspath(context)), dockerfile, text)
    folder = Path(context)
    if not folder.is_dir():
        raise ContextError(f'unable to prepare context: path "{folder}" not found')
    file = Path(dockerfile) if dockerfile is not None else folder / DOCKERFILE
    source = _not_empty(text if text is not None else _read_file(file))
    return Opened(ContextOrigin(open_context(folder, file, state)), file.name, source, f"{folder.resolve()}:{file}")


def is_remote(context: str | os.PathLike[str]) -> bool:
    """Tell whether a context has to be fetched; a directory of that name goes before an address."""
    return isinstance(context, str) and not Path(context).is_dir() and is_address(context)


def is_address(text: str) -> bool:
    """Tell whether a text that is no directory means a context that has to be fetched (buildx, ``IsRemoteURL``)."""
    if text.startswith(("http://", "https://")):
        return True
    if not any(mark in text for mark in ("://", "@", "github.com/")):
        return False
    from dockersim.dockerfile import parse_git_reference  # most contexts are directories

    return parse_git_reference(text) is not None


def _open_remote(remote: Remote, dockerfile: str | os.PathLike[str] | None, text: str | None) -> Opened:
    path = os.fspath(dockerfile) if dockerfile is not None else remote.dockerfile
    source = _not_empty(text if text is not None else _read_within(remote.origin, path))
    return Opened(remote.origin, path.rpartition("/")[2], source, f"{remote.name}:{path}")


def _read_within(origin: Origin, path: str) -> str:
    """Read the Dockerfile in a context that a stranger has made: links lead nowhere out of it."""
    resolved = origin.tree.resolve(path)
    node = None if resolved is None else origin.tree.get(resolved)
    if node is None or node.entry.kind.value != "file":
        message = f"{_NOT_READ}: open {path}: no such file or directory"
        raise DockerfileError(message, hint="name one that is in the context with -f")
    with origin.open(node) as stream:
        return stream.read().decode("utf-8", "surrogateescape")


def _read_file(file: Path) -> str:
    try:
        # Not as text, which would turn \r\n into \n: the lines of a here-document keep their ends.
        return file.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        message = f"{_NOT_READ}: open {file.name}: no such file or directory"
        raise DockerfileError(message, hint=f"write one at {file}, or name another with -f") from None
    except OSError as error:
        raise DockerfileError(f"{_NOT_READ}: open {file}: {error.strerror}") from error


def _not_empty(source: str) -> str:
    if not source:
        raise DockerfileError("the Dockerfile cannot be empty", hint="begin it with FROM")
    return source
