"""``docker build -``: a Dockerfile, or a whole context as a tar archive, through stdin."""

from __future__ import annotations

import posixpath
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from dockersim.content.disk import temporary_directory, told_plainly
from dockersim.engine.archives import open_archive
from dockersim.engine.laying import lay_out
from dockersim.errors import BuildError, ContentError, ContextError, DockerfileError
from dockersim.filesystem import Entry, Kind, Tree
from dockersim.oci import LARGEST_DOCUMENT
from dockersim.snapshots.disk import delete_surely

_KINDS = (Kind.DIRECTORY, Kind.FILE, Kind.HARDLINK, Kind.SYMLINK)
"""What a context can hold: nothing can be copied from a device or a pipe."""


@contextmanager
def piped_source(stream: BinaryIO, file: str | None) -> Iterator[tuple[Path, Path | None, str | None]]:
    """Give (context, Dockerfile, text) of what comes through ``stream``; the directory goes when the block ends.

    A text is the Dockerfile, of a build without a context; an archive is the context. As in docker the content
    decides which it is. Raises ContextError for neither.
    """
    with tempfile.TemporaryFile(dir=temporary_directory()) as data:
        with told_plainly("keep the context in", temporary_directory()):
            shutil.copyfileobj(stream, data)
        yield from _opened(cast(BinaryIO, data), file)


def _opened(data: BinaryIO, file: str | None) -> Iterator[tuple[Path, Path | None, str | None]]:
    folder = tempfile.mkdtemp(prefix="dockersim-context-")
    context = Path(folder, "context")
    try:
        if (tree := _unpack(data, context)) is not None:
            name = posixpath.normpath(file or "Dockerfile").lstrip("/")
            _check_files(tree, name)
            yield context, context / name, None
            return
        context.mkdir()
        yield context, None, _text(data)
    finally:
        delete_surely(folder)


def _text(data: BinaryIO) -> str:
    """Read the Dockerfile that comes alone. Raises ContextError for what is none."""
    data.seek(0)
    text = data.read(LARGEST_DOCUMENT + 1)
    if not text.strip():
        raise ContextError("no build stage in current context: stdin is empty", hint="pipe a Dockerfile into it")
    if b"\0" in text or len(text) > LARGEST_DOCUMENT:
        raise ContextError("stdin holds neither a Dockerfile nor a tar archive")
    return text.decode("utf-8", "surrogateescape")


def _unpack(data: BinaryIO, folder: Path) -> Tree | None:
    """Unpack an archive to ``folder``; None if it is none. Nothing gets out of the folder, as in ADD."""
    data.seek(0)
    try:
        archive = open_archive(data)
        if archive is None:
            return None
        wanted = [entry for entry in archive.entries if isinstance(entry, Entry) and entry.kind in _KINDS]
        tree = Tree.EMPTY.apply(wanted)
    except (BuildError, ContentError) as error:
        message = f"the context in stdin cannot be unpacked: {error.message}"
        raise ContextError(message, hint=error.hint) from error
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
