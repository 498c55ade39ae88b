"""What a container writes, on the learner's stdout and stderr: bytes as they are."""

from __future__ import annotations

import codecs
import sys
from typing import TextIO

from dockersim.containers import Console

_DECODERS = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}


def console_for(*, interactive: bool) -> Console:
    """Make the learner's side of a command in the foreground."""
    return Console(write_piece, _descriptor(sys.stdin) if interactive else None)


def write_piece(stream: str, data: bytes) -> None:
    """Write one piece of output at once. A notebook takes text only, so there the bytes are decoded as UTF-8."""
    file = sys.stdout if stream == "stdout" else sys.stderr
    file.flush()
    binary = getattr(file, "buffer", None)
    if binary is None:
        file.write(_DECODERS[stream].decode(data))
    else:
        binary.write(data)
    file.flush()


def _descriptor(file: TextIO) -> int | None:
    """Give the file's descriptor; None for one that is none of the system's (a notebook's)."""
    try:
        return file.fileno()
    except (OSError, ValueError):
        return None
