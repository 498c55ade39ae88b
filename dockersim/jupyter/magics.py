"""The magics: ``%docker`` runs a command, ``%%dockerfile`` builds the text of a cell."""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.magic import Magics, cell_magic, line_cell_magic, magics_class, no_var_expand

from dockersim.cli.boundary import Ended
from dockersim.cli.build import Source, check, check_places, refresh, write_whole
from dockersim.cli.session import Session
from dockersim.content.disk import temporary_file
from dockersim.engine import Engine
from dockersim.engine.build import Build, EventSink
from dockersim.engine.store import check_root, default_root
from dockersim.errors import DockersimError
from dockersim.jupyter.arguments import DockerfileCell, parse_cell
from dockersim.jupyter.failures import CommandFailed
from dockersim.oci import parse_reference
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
        """Build the text of the cell, with the options of ``docker build``: ``%%dockerfile [--step] [-t NAME]``."""
        asked = parse_cell(line)
        if asked is None:
            return None
        if asked.step:
            from dockersim.jupyter.stepper import Stepper  # ipywidgets takes its time to import

            return Stepper(begin(_engine(asked), asked, cell))
        if asked.call != "build":
            check_cell(asked, cell)
        else:
            self._build(asked, cell)
        return None

    def _build(self, asked: DockerfileCell, text: str) -> None:
        """Build to the end, and show the table of steps however it ends."""
        check_places(asked.trace, asked.iidfile)
        engine = _engine(asked)
        build = begin(engine, asked, text, _Printer(asked.options["tags"]))
        try:
            finished = build.finish()
        finally:
            for warning in engine.registry_warnings:
                print(warning, flush=True)
            if build.findings:
                print(f"\n{findings_summary(build.findings)}", flush=True)
            if build.steps:
                _show_table(self.shell, build)
            if asked.trace is not None:
                write_whole(asked.trace, json.dumps(engine.trace(build)))
        if asked.iidfile is not None and finished.image is not None:
            write_whole(asked.iidfile, finished.image.image_id)


@contextmanager
def _reading(cell: str) -> Iterator[None]:
    """Make ``cell`` the standard input for the length of a block; with "" there is nothing to read."""
    if not cell:
        yield
        return
    before = sys.stdin
    root = default_root(os.environ)
    with io.TextIOWrapper(temporary_file(root), encoding="utf-8") as file:  # a real file: `exec -i` wants a descriptor
        file.write(cell)
        file.seek(0)
        sys.stdin = file
        try:
            yield
        finally:
            sys.stdin = before


def begin(engine: Engine, asked: DockerfileCell, text: str, on_event: EventSink | None = None) -> Build:
    """Begin the build that a cell asks for; nothing of the text is written to disk."""
    if asked.pull:
        refresh(Session(notebook=True), engine, Source(asked.path, asked.file, text), asked.options)
    return engine.build(asked.path, asked.file, text=text, on_event=on_event, **asked.options)


def check_cell(asked: DockerfileCell, text: str) -> None:
    """Run the build checks over a cell. Raises CommandFailed if they find anything."""
    source = Source(asked.path, asked.file, text)
    try:
        check(Session(notebook=True), _engine(asked), asked.call, source, asked.options)
    except Ended as ended:
        raise CommandFailed("%%dockerfile --check", ended.code) from None


def _engine(asked: DockerfileCell) -> Engine:
    engine = Engine(sandbox=asked.sandbox, stand_ins=asked.yes_stand_in)
    check_root(engine.root)
    return engine


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
        self._progress.naming(*(parse_reference(name).canonical() for name in names))

    def __call__(self, event: Event) -> None:
        for line in self._progress.feed(event):
            print(line, flush=True)
