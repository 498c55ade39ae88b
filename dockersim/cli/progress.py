"""How a build shows on the terminal: line by line, as a picture drawn over and over, as JSON, or not at all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, Protocol

import click

from dockersim.cli.session import Session
from dockersim.engine import Build
from dockersim.errors import DockersimError
from dockersim.solver import Event
from dockersim.views.progress import PlainProgress, failure

CHOICES: Final = ("auto", "plain", "tty", "json")


class Progress(Protocol):
    """Shows a build while it happens. A context manager: what it draws on is left tidy."""

    def __call__(self, event: Event) -> None:
        """Show one event."""

    def __enter__(self) -> Progress:
        """Begin to show."""

    def __exit__(self, *_: object) -> None:
        """End, leaving the last state to be read."""


class Silent:
    """Shows nothing (``--quiet``)."""

    def __call__(self, event: Event) -> None:
        """Say nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return


class Plain(Silent):
    """Prints BuildKit's lines as they come."""

    def __init__(self, write: Callable[[str], None], names: tuple[str, ...]) -> None:
        self._write = write
        self._progress = PlainProgress(time.monotonic)
        self._progress.naming(*names)

    def __call__(self, event: Event) -> None:
        """Print the lines of one event."""
        if lines := self._progress.feed(event):
            self._write("\n".join(lines))


class Json(Silent):
    """Prints one line of JSON for each event, on stdout."""

    def __call__(self, event: Event) -> None:
        """Print one event."""
        from dockersim.views.event_lines import event_line  # only who asks for it pays for it

        click.echo(event_line(event))


def progress_for(choice: str, session: Session, names: tuple[str, ...], *, quiet: bool) -> Progress:
    """Choose how to show a build: ``auto`` draws where there is a terminal to draw on."""
    if quiet:
        return Silent()
    if choice == "json":
        return Json()
    drawable = not session.notebook and sys.stderr.isatty()
    if choice == "tty" and not drawable:
        raise DockersimError("failed to get console: stderr is no terminal", hint="use --progress=plain")
    if choice == "plain" or not drawable:
        return Plain(session.note, names)
    from dockersim.cli.drawing import Drawn  # threads and terminal sizes, for who looks at one

    return Drawn(names)


def show_failure(session: Session, error: DockersimError, build: Build | None) -> None:
    """Print why a build failed, with the lines of the Dockerfile around the place."""
    session.note(failure(error, build.text if build else ""))
