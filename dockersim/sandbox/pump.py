"""Feed a process, pass its output on as it comes, and see it to its end."""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from dockersim.sandbox.contract import Exit, OutputSink, Stdio, Stream
from dockersim.sandbox.launch import Launched

_PIECE = 65536  # what a pipe holds


def pump(begin: Callable[[Stdio], Launched], stdin: bytes | None, output: OutputSink) -> Exit:
    """Start a process with ``begin``, feed it ``stdin``, hand its output to ``output``, and wait for its end.

    Whatever goes wrong, Ctrl-C and an error in ``output`` included, it is dead when this returns or raises.
    """
    out, theirs_out = os.pipe()
    err, theirs_err = os.pipe()
    feed, theirs_in = _input(stdin)
    launched: Launched | None = None
    try:
        launched = begin(Stdio(theirs_in, theirs_out, theirs_err))
        for descriptor in (theirs_in, theirs_out, theirs_err):
            os.close(descriptor)
        theirs_in = theirs_out = theirs_err = -1
        launched.hear_start()
        feed = _pass_on({out: "stdout", err: "stderr"}, feed, stdin or b"", output)
        ended = launched.wait()
        assert ended is not None
        return ended
    finally:
        if launched is not None:
            launched.close()
        for descriptor in (out, err, feed, theirs_in, theirs_out, theirs_err):
            if descriptor >= 0:
                os.close(descriptor)


def _input(stdin: bytes | None) -> tuple[int, int]:
    """Make the process's stdin: our end (-1 if there is nothing to feed) and its end."""
    if stdin is None:
        return -1, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    return ours, theirs


def _pass_on(names: dict[int, Stream], feed: int, stdin: bytes, output: OutputSink) -> int:
    """Pass pieces on until both streams have ended; return the feeding end, or -1 if it was closed."""
    todo = memoryview(stdin)
    poll = select.poll()
    for descriptor in names:
        poll.register(descriptor, select.POLLIN)
    if feed >= 0:
        poll.register(feed, select.POLLOUT)
    left = set(names)
    while left:
        for descriptor, _ in poll.poll():
            if descriptor == feed:
                todo = todo[_write(feed, todo) :]
                if not todo:
                    poll.unregister(feed)
                    os.close(feed)
                    feed = -1
                continue
            piece = os.read(descriptor, _PIECE)
            if piece:
                output(names[descriptor], piece)
            else:
                poll.unregister(descriptor)
                left.discard(descriptor)
    return feed


def _write(feed: int, data: memoryview) -> int:
    """Write what fits; a process that no longer reads has had enough, so all of it counts as written."""
    try:
        return os.write(feed, data[:_PIECE])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(data)
