"""What the commands of one call share: where the root is, the engine, and how to talk to the learner."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from dockersim.cli.pages import Page
    from dockersim.engine import Engine
    from dockersim.views.requests import Requests

_SMALLEST_TIME: Final = "0001-01-01T00:00:00Z"


class Session:
    """One call of the command line.

    ``root`` is what --root says, None for the shared one. ``notebook`` says that a notebook is the terminal: progress
    goes to stdout there, and questions can be asked although stdin is no terminal. ``debug`` is --debug.
    """

    def __init__(self, root: Path | None = None, *, notebook: bool = False) -> None:
        self.root = root
        self.notebook = notebook
        self.debug = False
        self._engine: Engine | None = None
        self._made: list[Engine] = []

    def engine(self, *, sandbox: str | None = None, stand_ins: bool = False, looking: bool = False) -> Engine:
        """Make the engine for this call; the same one each time that nothing special is asked for.

        Raises StoreError if nothing can be kept in the root, unless the command is only ``looking`` at something else.
        """
        if sandbox or stand_ins:
            return self._make(sandbox, stand_ins=stand_ins, looking=looking)
        if self._engine is None:
            self._engine = self._make(None, stand_ins=False, looking=looking)
        return self._engine

    def _make(self, sandbox: str | None, *, stand_ins: bool, looking: bool) -> Engine:
        from dockersim.engine import Engine
        from dockersim.engine.store import check_root

        made = Engine(self.root, sandbox=sandbox, stand_ins=stand_ins)
        if not looking:
            check_root(made.root)
        self._made.append(made)
        return made

    def close(self) -> None:
        """Close what the engines of this call have open."""
        for engine in self._made:
            engine.close()

    def tell_warnings(self) -> None:
        """Print what registries have warned of during this call, each once: on stderr, as docker does."""
        for line in dict.fromkeys(line for engine in self._made for line in engine.registry_warnings):
            self.note(line)

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to answer a question."""
        return self.notebook or sys.stdin.isatty()

    @property
    def draws(self) -> bool:
        """Whether what was printed can be drawn over."""
        return not self.notebook and sys.stdout.isatty()

    def confirmed(self, warning: str) -> bool:
        """Print what will be lost, and ask. Raises DockersimError if nobody is there to answer."""
        click.echo(warning)
        try:
            return bool(click.confirm("Are you sure you want to continue?", default=False, prompt_suffix=" "))
        except (click.Abort, NotImplementedError) as error:  # the second is of a notebook that is run by a program
            if isinstance(error, click.Abort) and (self.can_ask or not isinstance(error.__context__, EOFError)):
                raise
            from dockersim.errors import DockersimError

            click.echo()  # ends the line of the question
            raise DockersimError("nobody is there to confirm", hint="use --force") from error

    def note(self, text: str) -> None:
        """Print what is not the command's output: progress, warnings."""
        click.echo(text, err=not self.notebook)

    def show_page(self, page: Page) -> None:
        """Tell where a browser finds a published port; in a notebook that is a link."""
        self.note(f"dockersim: {page}")

    def show_requests(self, requests: Requests) -> None:
        """Show the requests of a push or pull; in a notebook that is a table."""
        click.echo(f"\n{requests}")


pass_session = click.make_pass_decorator(Session, ensure=True)
"""Give a command the session as its first argument."""


def age(moment: str) -> float | None:
    """Tell how many seconds ago an RFC 3339 time was; None for no time at all, which docker writes as the year 1."""
    if not moment or moment == _SMALLEST_TIME:
        return None
    seconds, _, rest = moment.partition(".")
    zone = rest.lstrip("0123456789") if rest else ""
    try:
        return max(0.0, time.time() - datetime.fromisoformat(seconds + zone).timestamp())
    except ValueError:
        return None


def whole_seconds(moment: str) -> str:
    """Write an RFC 3339 time without the parts of a second, and no time at all as docker does."""
    return re.sub(r"\.\d+", "", moment) or _SMALLEST_TIME


def clock_time(moment: str) -> str:
    """Write an RFC 3339 time by this machine's clock, as docker's ``CREATED AT``: ``2024-01-31 12:00:00 +0000 UTC``."""
    seconds = age(moment)
    if seconds is None:
        return "N/A"
    found = datetime.fromisoformat(whole_seconds(moment))
    with suppress(OverflowError, ValueError):  # by this clock it is in the year 0 or 10000
        found = found.astimezone()
    return f"{found:%Y-%m-%d %H:%M:%S %z %Z}"


def print_rows(template: str, rows: Sequence[Mapping[str, Any]], header: Mapping[str, str]) -> None:
    """Print a line for each row as ``template`` says (see ``views.template``); no rows are no line, as in docker."""
    from dockersim.views.template import render_rows  # most commands lay out nothing

    laid_out = render_rows(template, rows, header)
    click.echo(laid_out, nl=bool(laid_out or rows))


def pairs(words: tuple[str, ...]) -> dict[str, str]:
    """Read ``KEY=VALUE`` words; a lone KEY has the value ""."""
    return {key: value for key, _, value in (word.partition("=") for word in words)}
