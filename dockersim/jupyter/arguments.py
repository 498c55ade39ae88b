"""The line of ``%%dockerfile``, read as that of ``dockersim build``: its options are the very same ones."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from dockersim.cli.build import build, wanted
from dockersim.errors import DockersimError

_NOT_HERE = ("progress", "quiet")
"""Options of ``build`` about a terminal: a cell shows its progress in its own way."""


class DockerfileCell(Struct, frozen=True):
    """What a ``%%dockerfile`` line asks for. ``file`` is only the name that errors show.

    ``options`` are those of ``Engine.build``; all else has the names that ``dockersim build`` gives it.
    """

    path: str
    file: Path | None
    step: bool
    call: str
    pull: bool
    iidfile: Path | None
    trace: Path | None
    sandbox: str | None
    yes_stand_in: bool
    options: dict[str, Any]


def parse_cell(line: str) -> DockerfileCell | None:
    """Read the line; None if it only asked for help, which has then been printed. Raises DockersimError."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise DockersimError(f"%%dockerfile {line}: {error}", hint="close the quotes") from None
    try:
        typed = cell_command().make_context("%%dockerfile", words).params
    except click.exceptions.Exit:
        return None
    except click.UsageError as error:
        message = error.format_message().rstrip(".")
        raise DockersimError(f"%%dockerfile: {message}", hint="%%dockerfile --help lists the options") from None
    own = {name: typed.pop(name) for name in DockerfileCell.__struct_fields__ if name != "options"}
    if own["step"] and (own["trace"] or own["iidfile"] or own["call"] != "build"):
        message = "%%dockerfile: --step ends before the build does: it goes with none of --trace, --iidfile, --check"
        raise DockersimError(message, hint="leave one of them out")
    return DockerfileCell(**own, options=wanted(typed, os.environ))


def cell_command() -> click.Command:
    """Make a command of the options of ``dockersim build``, for a text that is here already."""
    shared = [one for one in build.params if isinstance(one, click.Option) and one.name not in (*_NOT_HERE, "file")]
    return click.Command(
        "%%dockerfile",
        params=[
            click.Argument(["path"], default=".", metavar="PATH | URL"),
            click.Option(["--step"], is_flag=True, help="Show the build in a stepper, before its first step"),
            click.Option(["-f", "--file"], type=click.Path(path_type=Path), help="What to call this text in errors"),
            *shared,
        ],
        help="Build the text of this cell.",
    )
