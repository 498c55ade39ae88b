"""What the watcher reads."""

from __future__ import annotations

import re
import sys
import textwrap
import time
from typing import Final

import click

_WIDTH: Final = 100
_SHOWN: Final = 4
"""So many lines of what a RUN writes are shown; apt alone writes hundreds."""

_COMMAND_OUTPUT: Final = re.compile(r"#\d+ \d+\.\d{3} ")
"""A line that a RUN wrote, in BuildKit's plain progress."""


class Story:
    """Tells a story in numbered acts, on stdout."""

    def __init__(self) -> None:
        self.acts = 0
        self._began = time.monotonic()
        self._skipped = 0
        self._shown = 0

    def act(self, title: str) -> None:
        """Begin an act."""
        self.acts += 1
        click.echo()
        click.secho(f"━━ {self.acts}. {title} ".ljust(_WIDTH, "━"), bold=True)
        sys.stdout.flush()

    def say(self, *sentences: str) -> None:
        """Say something, each sentence on a line of its own."""
        for sentence in sentences:
            click.echo(textwrap.fill(sentence, _WIDTH))

    def command(self, line: str) -> None:
        """Show a command that is about to run."""
        click.echo()
        click.secho(f"$ {line}", fg="green", bold=True)
        self._shown = self._skipped = 0

    def output(self, line: str) -> None:
        """Show a line that a command has printed; what RUNs write is cut short."""
        if _COMMAND_OUTPUT.match(line):
            self._shown += 1
            if self._shown > _SHOWN:
                self._skipped += 1
                return
        else:
            self.end_output()
        click.echo(f"  {line}"[: _WIDTH * 2].rstrip())

    def end_output(self) -> None:
        """Say how much was cut of what was printed last."""
        if self._skipped:
            click.echo(f"  ... {self._skipped} more lines of output")
        self._shown = self._skipped = 0

    def show(self, text: str) -> None:
        """Show a table, a file or a page as it is."""
        for line in text.rstrip("\n").split("\n"):
            click.echo(f"  {line}".rstrip())

    def proved(self, fact: str) -> None:
        """Say what an act has shown to be true."""
        click.echo(click.style("✔ ", fg="green") + fact)

    @property
    def seconds(self) -> float:
        """How long the story has lasted."""
        return time.monotonic() - self._began
