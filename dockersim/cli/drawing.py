"""A build drawn on a terminal, over and over, until it is done."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from typing import Final

import click

from dockersim.cli.progress import Silent
from dockersim.solver import Event
from dockersim.views.live import Line, LiveProgress, Tone

_PERIOD: Final = 0.15
"""Seconds between two frames (BuildKit: 150 ms)."""

_COLOURS: Final = {Tone.DONE: "blue", Tone.FAILED: "red"}


class Drawn(Silent):
    """Draws frames on stderr from a thread of its own, so that the seconds go on while a command runs."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._progress = LiveProgress(time.monotonic, names)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._redraw, daemon=True)
        self._height = 0

    def __call__(self, event: Event) -> None:
        """Take in one event; the next frame shows it."""
        with self._lock:
            self._progress.feed(event)

    def __enter__(self) -> Drawn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._draw(whole=True)
        for line in self._progress.last_words():
            click.echo(line, err=True)

    def _redraw(self) -> None:
        while not self._over.wait(_PERIOD):
            self._draw()

    def _draw(self, *, whole: bool = False) -> None:
        size = shutil.get_terminal_size()
        with self._lock:
            # The last frame may scroll: nothing is drawn over it any more, and all of it should be there to read.
            frame = self._progress.frame(size.columns - 1, 10_000 if whole else size.lines - 1)
        up = f"\x1b[{self._height}A" if self._height else ""
        sys.stderr.write(up + "\r\x1b[J" + "".join(_coloured(line) + "\n" for line in frame))
        sys.stderr.flush()
        self._height = len(frame)


def _coloured(line: Line) -> str:
    colour = _COLOURS.get(line.tone)
    # https://no-color.org: whoever sets it wants plain text.
    return line.text if colour is None or os.environ.get("NO_COLOR") else click.style(line.text, fg=colour)
