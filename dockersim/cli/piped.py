"""``docker build -``: a Dockerfile, or a whole context as a tar archive, through stdin."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dockersim.engine.archives import open_archive
from dockersim.engine.laying import lay_out
from dockersim.errors import BuildError, ContextError
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
        if _unpack(data, context):
            yield context, context / file if file else None, None
            return
        if b"\0" in data:
            raise ContextError("stdin holds neither a Dockerfile nor a tar archive")
        context.mkdir()
        yield context, None, data.decode("utf-8", "surrogateescape")


def _unpack(data: bytes, folder: Path) -> bool:
    """Unpack an archive to ``folder``; False if it is none. Nothing gets out of the folder, as in ADD."""
    try:
        archive = open_archive(io.BytesIO(data))
    except BuildError as error:
        raise ContextError(f"the context in stdin cannot be unpacked: {error.message}") from error
    if archive is None:
        return False
    wanted = [entry for entry in archive.entries if isinstance(entry, Entry) and entry.kind in _KINDS]
    lay_out(archive, Tree.EMPTY.apply(wanted).root, folder)
    return True
