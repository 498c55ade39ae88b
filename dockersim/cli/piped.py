"""``docker build -``: a Dockerfile, or a whole context as a tar archive, through stdin."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dockersim.errors import ContextError


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
        context = Path(folder)
        if _unpack(data, context):
            yield context, context / file if file else None, None
            return
        if b"\0" in data:
            raise ContextError("stdin holds neither a Dockerfile nor a tar archive")
        yield context, None, data.decode("utf-8", "surrogateescape")


def _unpack(data: bytes, folder: Path) -> bool:
    """Unpack an archive below ``folder``; False if it is none. Nothing gets out of the folder."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(folder, filter="data")
    except tarfile.ReadError:
        return False
    except (tarfile.FilterError, tarfile.TarError, EOFError) as error:
        raise ContextError(f"the context in stdin cannot be unpacked: {error}") from error
    return True
