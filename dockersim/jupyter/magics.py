"""The magics: ``%docker`` runs a command, ``%%dockerfile`` builds the text of a cell."""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.magic import Magics, cell_magic, line_cell_magic, magics_class, no_var_expand

from dockersim.engine import Engine
from dockersim.engine.build import Build
from dockersim.errors import DockersimError
from dockersim.jupyter.arguments import DockerfileCell, parse_cell
from dockersim.jupyter.failures import CommandFailed
from dockersim.solver import Event
from dockersim.views import PlainProgress, step_table, steps_html
from dockersim.views.findings import findings_summary

Command = Callable[[list[str]], int]


@magics_class
class DockerMagics(Magics):
    """``%docker`` and ``%%dockerfile``.

    Both work in the root that DOCKERSIM_HOME names when they are used, so that a lesson can have one of its own.
    """

    def __init__(self, shell: Any, command: Command) -> None:
        super().__init__(shell)
        self._command = command

    @no_var_expand
    @line_cell_magic
    def docker(self, line: str, cell: str = "") -> None:
        """Run a docker command, as it would be typed: ``%docker images``. With ``%%docker`` it reads the cell."""
        # IPython puts variables in, {port} or $port; what stands in two braces is a Go template, and docker's.
        shell: Any = self.shell
        line = shell.var_expand(line.replace("{{", "{{{{").replace("}}", "}}}}"))
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise DockersimError(f"%docker {line}: {error}", hint="close the quotes") from None
        with _reading(cell):
            code = self._command(words)
        sys.stdout.flush()
        if code:
            raise CommandFailed(f"docker {words[0]}" if words else "docker", code)

    @cell_magic
    def dockerfile(self, line: str, cell: str) -> Any:
        """Build the text of the cell: ``%%dockerfile [-t NAME] [--step] [--build-arg NAME=VALUE] [PATH]``."""
        asked = parse_cell(line)
        if asked is None:
            return None
        if asked.step:
            from dockersim.jupyter.stepper import Stepper  # ipywidgets takes its time to import

            return Stepper(begin(asked, cell))
        build = begin(asked, cell)
        build.listen(_Printer(build.options.names))
        try:
            build.finish()
        finally:
            if build.findings:
                print(f"\n{findings_summary(build.findings)}", flush=True)
            if build.steps:
                _show_table(self.shell, build)
        return None


@contextmanager
def _reading(cell: str) -> Iterator[None]:
    """Make ``cell`` the standard input for the length of a block; with "" there is nothing to read."""
    if not cell:
        yield
        return
    before = sys.stdin
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:  # a real file: `exec -i` wants a descriptor
        file.write(cell)
        file.seek(0)
        sys.stdin = file
        try:
            yield
        finally:
            sys.stdin = before


def begin(asked: DockerfileCell, text: str) -> Build:
    """Begin the build that a cell asks for; nothing of the text is written to disk."""
    return Engine().build(
        asked.context,
        asked.file,
        asked.tags,
        dict(asked.build_args),
        asked.target or None,
        asked.no_cache,
        text=text,
    )


def _show_table(shell: Any, build: Build) -> None:
    """Show the table of steps, those that the build never came to at its end."""
    left = build.plan.steps[len(build.steps) :] if build.plan else ()
    table = steps_html((step.event for step in build.steps), left)
    plain = step_table((step.event for step in build.steps), left)
    shell.display_pub.publish(data={"text/html": table, "text/plain": plain})


def run_command(words: list[str]) -> int:
    """Run a command of the command line in this process and return its exit code; it prints its errors itself."""
    from dockersim.cli.main import main
    from dockersim.jupyter.pages import NotebookSession

    return int(main.main(args=words, prog_name="docker", standalone_mode=False, obj=NotebookSession()))


class _Printer:
    """Prints a build's progress as it happens."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._progress = PlainProgress(time.monotonic)
        self._progress.naming(*names)

    def __call__(self, event: Event) -> None:
        for line in self._progress.feed(event):
            print(line, flush=True)
