"""``dockersim lab``: the lessons in JupyterLab."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import click

from dockersim.cli.boundary import Ended
from dockersim.cli.lessons import lessons_folder
from dockersim.errors import DockersimError


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("more", metavar="[JUPYTER OPTIONS]", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("~/dockersim-lessons"),
    show_default=True,
    help="Where your copy of the lessons is",
)
@click.option("--sandbox", help="Run the lessons' commands on this rung ('dockersim info' lists them)")
def lab(directory: Path, sandbox: str | None, more: tuple[str, ...]) -> None:
    """Open JupyterLab on your own copy of the lessons.

    Lessons that are in the directory already stay as you left them. Options that are not ours go to JupyterLab.
    """
    folder = directory.expanduser()
    copied = copy_missing(lessons_folder(), folder)
    click.echo(f"Your lessons are in {folder}" + (f" ({copied} new files)" if copied else ""))
    sys.stdout.flush()
    if sandbox:
        os.environ["DOCKERSIM_SANDBOX"] = sandbox  # for the kernels, which inherit it from JupyterLab
    # In a container, where people are root, JupyterLab wants to be told that this is known.
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    _become([sys.executable, "-m", "jupyterlab", *root, *more, str(folder)])


def _become(command: list[str]) -> NoReturn:
    """Turn this process into another program, so that whoever ends it ends that."""
    if os.name == "posix":
        os.execv(command[0], command)
    raise Ended(subprocess.run(command, check=False).returncode)  # Windows has no exec that keeps the console


def copy_missing(source: Path, target: Path) -> int:
    """Copy what ``target`` does not have yet, and nothing over what it has; return how many files that were."""
    copied = 0
    try:
        for file in sorted(source.rglob("*")):
            here = target / file.relative_to(source)
            if file.is_dir() or here.exists() or ".ipynb_checkpoints" in file.parts:
                continue
            here.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, here)
            copied += 1
    except OSError as error:
        message = f"cannot copy the lessons to {target}: {error.strerror}"
        raise DockersimError(message, hint="choose another place with --directory") from error
    return copied
