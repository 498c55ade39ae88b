"""``docker build -``: a Dockerfile, or a whole context as a tar archive, through stdin."""

from __future__ import annotations

import io
import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dockersim.engine.archives import open_archive
from dockersim.engine.laying import lay_out
from dockersim.errors import BuildError, ContextError, DockerfileError
from dockersim.filesystem import Entry, Kind, Tree

_KINDS = (Kind.DIRECTORY, Kind.FILE, Kind.HARDLINK, Kind.SYMLINK)
"""What a context can hold: nothing can be copied from a device or a pipe."""


@contextmanager
def piped_source(stream: BinaryIO, file: str | None) -> Iterator[tuple[Path, Path | None, str | None]]:
    """Give (context, Dockerfile, text) of what comes through ``stream``; the directory goes when the block ends.

    A text is the Dockerfile, of a build without a context; an archive is the context. As in docker the content
    decides which it is. Raises ContextError for neither.
    """
    data = stream.read()
    if not data.strip():
        raise ContextError("no build stage in current context: stdin is empty", hint="pipe a Dockerfile into it")
    with tempfile.TemporaryDirectory(prefix="dockersim-context-") as folder:
        context = Path(folder, "context")
        if (tree := _unpack(data, context)) is not None:
            name = posixpath.normpath(file or "Dockerfile").lstrip("/")
            _check_files(tree, name)
            yield context, context / name, None
            return
        if b"\0" in data:
            raise ContextError("stdin holds neither a Dockerfile nor a tar archive")
        context.mkdir()
        yield context, None, data.decode("utf-8", "surrogateescape")


def _unpack(data: bytes, folder: Path) -> Tree | None:
    """Unpack an archive to ``folder``; None if it is none. Nothing gets out of the folder, as in ADD."""
    try:
        archive = open_archive(io.BytesIO(data))
    except BuildError as error:
        raise ContextError(f"the context in stdin cannot be unpacked: {error.message}") from error
    if archive is None:
        return None
    wanted = [entry for entry in archive.entries if isinstance(entry, Entry) and entry.kind in _KINDS]
    tree = Tree.EMPTY.apply(wanted)
    lay_out(archive, tree.root, folder)
    return tree


def _check_files(tree: Tree, dockerfile: str) -> None:
    """See to it that what is read of an archive lies in it: a link, or a folder that is one, may lead anywhere."""
    if not _is_file(tree, dockerfile):
        message = f"failed to read dockerfile: open {dockerfile}: no such file or directory"
        raise DockerfileError(message, hint="the archive in stdin has to hold it as a file; name another one with -f")
    for ignore in (".dockerignore", f"{dockerfile}.dockerignore"):
        if tree.get(ignore) is not None and not _is_file(tree, ignore):
            raise ContextError(f"{ignore} of the context in stdin is no regular file")


def _is_file(tree: Tree, path: str) -> bool:
    node = tree.get(path)
    return node is not None and node.entry.kind is Kind.FILE
