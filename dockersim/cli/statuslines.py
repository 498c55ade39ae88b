"""Lines that each tell how far one thing is: ``5f70bf18a086: Pushing 12MB/80MB``.

On a terminal a line is written over when its state changes; elsewhere each state is a line, but for those that only
count bytes.
"""

from __future__ import annotations

from types import TracebackType

import click

from dockersim.views.transfers import Status


class StatusLines:
    """Prints states as they come. A context manager: below it printing goes on as usual."""

    def __init__(self, *, live: bool, silent: bool = False) -> None:
        self._live = live
        self._silent = silent
        self._rows: dict[str, int] = {}

    def __enter__(self) -> StatusLines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._rows.clear()

    def show(self, status: Status | None) -> None:
        """Print one state."""
        if status is None or self._silent:
            return
        if not self._live:
            if not status.counting:
                click.echo(status.line)
            return
        if not status.key:
            click.echo(status.line)
            self._rows = {key: up + 1 for key, up in self._rows.items()}
            return
        self._overwrite(status)

    def _overwrite(self, status: Status) -> None:
        if status.key not in self._rows:
            click.echo(status.line)
            self._rows = {key: up + 1 for key, up in self._rows.items()} | {status.key: 1}
            return
        up = self._rows[status.key]
        click.echo(f"\x1b[{up}A\r\x1b[K{status.line}\x1b[{up}B\r", nl=False)
