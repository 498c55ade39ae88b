"""The walk through a build: one letter a command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

import click

from dockersim.engine import Build, Engine, Step
from dockersim.errors import DockersimError
from dockersim.filesystem import Kind
from dockersim.printable import printable, printable_lines
from dockersim.views.steps import cache_lines, config_lines, diff_lines, ls_line
from dockersim.views.units import human_size

MOST: Final = 40
"""So many lines of a diff or a listing are shown unless all are asked for."""

HELP: Final = """\
n          next step                      b          back one step
r LINE     run to a line of the Dockerfile
d [all]    what the step changed in the file system
d N        what is different here from step N
c          the cache's decision, and what its key is made of
f [PATH]   list a directory, or show a file, as it is after the step
o          what the step's command wrote
i          what the step changed in the image's config
s [COMMAND]  a shell, or one command, in a throw-away copy of the step's file system
w          where you are: the Dockerfile with every step's result
q          quit                           h          this help"""


class Walker:
    """Stands on a step of ``build`` and does what is typed."""

    def __init__(self, engine: Engine, build: Build) -> None:
        self._engine = engine
        self._build = build
        self._commands: Mapping[str, Callable[[tuple[str, ...]], Iterable[str]]] = {
            "n": self._next,
            "b": self._back,
            "r": self._run_to,
            "d": self._diff,
            "c": self._cache,
            "f": self._files,
            "o": self._output,
            "i": self._config,
            "s": self._shell,
            "w": self._where,
            "h": lambda words: [HELP],
        }
        self._names: Final = {
            "next": "n", "back": "b", "run": "r", "diff": "d", "cache": "c", "files": "f", "output": "o",
            "config": "i", "shell": "s", "where": "w", "help": "h", "?": "h", "quit": "q", "exit": "q",
        }  # fmt: skip

    def walk(self, lines: Iterator[tuple[str, ...]]) -> None:
        """Do what is typed, line after line, until ``q`` or the end."""
        click.echo(f"{self._build.file}: {self._total} steps. n takes the first one, h lists the commands.")
        self._prompt()
        for words in lines:
            if words and self._names.get(words[0], words[0]) == "q":
                return
            self._do(words)
            self._prompt()
        click.echo()

    def _do(self, words: tuple[str, ...]) -> None:
        if not words:
            return
        command = self._commands.get(self._names.get(words[0], words[0]))
        if command is None:
            click.echo(f"There is no command {words[0]}; h lists them.")
            return
        try:
            shown = str if command in (self._output, self._shell) else printable_lines  # programs may draw
            for line in command(words[1:]):
                click.echo(shown(line))
        except DockersimError as error:
            click.echo(str(error))
        except KeyboardInterrupt:
            click.echo("\nStopped. The steps before are kept; n tries again.")

    def _prompt(self) -> None:
        step = self._build.step
        place = f"step {step.number}/{self._total}, line {step.line}" if step else f"step 0/{self._total}"
        click.echo(f"[{place}] ", nl=False)
        sys.stdout.flush()

    @property
    def _total(self) -> int:
        return len(self._build.prepare().steps)

    # ------------------------------------------------------------ moving

    def _next(self, words: tuple[str, ...]) -> Iterator[str]:
        standing = self._build.step
        if standing is not None and standing.failed:
            yield f"The build failed here: {standing.error}."
            yield "Edit the Dockerfile and walk again: the steps before this one are CACHED then."
            return
        upcoming = self._upcoming(standing)
        if upcoming:
            click.echo(f"{printable(upcoming)} ...")
        step = self._build.next()
        yield from self._card(step) if step else ["This was the last step; b goes back, q quits."]
        yield from self._ending(step)

    def _back(self, words: tuple[str, ...]) -> Iterator[str]:
        step = self._build.back()
        yield from self._card(step) if step else ["This is the first step; nothing lies before it."]

    def _run_to(self, words: tuple[str, ...]) -> Iterator[str]:
        if len(words) != 1 or not words[0].isdigit():
            yield "r LINE runs to a line of the Dockerfile, as in: r 14"
            return
        step = self._build.run_to(int(words[0]))
        yield from self._card(step) if step else ["The build has no steps."]
        yield from self._ending(step)

    def _upcoming(self, standing: Step | None) -> str:
        """Name the step that is about to be taken; nothing for one that was taken before."""
        number = standing.number + 1 if standing else 1
        if number <= len(self._build.steps) or number > self._total:
            return ""
        return " ".join(self._build.prepare().steps[number - 1].instruction.split())

    def _ending(self, step: Step | None) -> Iterator[str]:
        if step is not None and step.number == self._total and self._build.finished is not None:
            image = self._build.finished.image
            if image is not None:
                yield f"  The image is {image.image_id}"

    # ------------------------------------------------------------ looking

    def _card(self, step: Step) -> Iterator[str]:
        """Sum a step up in a few lines."""
        yield f"Step {step.number}/{self._total}, {step.at}: {step.instruction}"
        # What is unset in a RUN is mostly the shell's own variable.
        uses = [use for use in step.variables if use.value is not None or step.keyword != "RUN"]
        if uses:
            yield f"  with variables: {step.expanded}"
        for use in uses:
            value = "(unset)" if use.value is None else repr(use.value)
            yield f"  {use.name} is {value}, from {use.origin}" + (f" in line {use.line}" if use.line else "")
        yield f"  {step.state.value.upper()}{_time(step)}; {_sizes(step)}"
        yield f"  {step.error or step.cache.because}"
        found = (finding for finding in self._build.findings if finding.line in step.at.lines)
        yield from (f"  WARNING {finding.rule}: {finding.message}" for finding in found)
        if not step.cached:  # how a command was run is news only when it was
            yield from (f"  {note}" for note in (*step.notes, *step.fidelity[1]))

    def _diff(self, words: tuple[str, ...]) -> Iterator[str]:
        step = self._standing()
        other = next((word for word in words if word.isdigit()), None)
        changes = step.diff(self._step(int(other)) if other else None)
        if not changes:
            yield "Nothing in the file system is different."
            return
        yield f"{len(changes)} paths (A added, M modified, D deleted):"
        yield from _at_most(diff_lines(changes), len(changes), everything="all" in words)

    def _cache(self, words: tuple[str, ...]) -> Iterator[str]:
        yield from cache_lines(self._standing().cache)

    def _files(self, words: tuple[str, ...]) -> Iterator[str]:
        path = words[0] if words else "/"
        files = self._standing().files
        found = files.stat(path)
        if found.kind is Kind.FILE:
            yield ls_line(found)
            yield files.text(path).rstrip("\n")
            return
        entries = files.ls(path)
        lines = (f"{ls_line(entry)}  {printable(entry.path.rpartition('/')[2])}" for entry in entries)
        yield from _at_most(lines, len(entries), everything="all" in words)

    def _output(self, words: tuple[str, ...]) -> Iterator[str]:
        step = self._standing()
        if step.exit_code is None:
            yield f"{step.keyword} runs no command."
            return
        yield step.output.rstrip("\n") or "(it wrote nothing)"
        yield f"exit code {step.exit_code}, {step.seconds:.1f}s"

    def _config(self, words: tuple[str, ...]) -> Iterator[str]:
        step = self._standing()
        lines = list(config_lines(step.config_before, step.config))
        yield from lines or ["The image's config is the same as before."]

    def _where(self, words: tuple[str, ...]) -> Iterator[str]:
        results = {step.line: step for step in self._build.steps}
        standing = self._build.step
        for number, line in enumerate(self._build.text.rstrip("\n").split("\n"), 1):
            step = results.get(number)
            mark = ">" if standing is not None and number in standing.at.lines else " "
            yield f"{mark}{step.state.value if step else '':>8} {number:3} | {line}".rstrip()

    def _shell(self, words: tuple[str, ...]) -> Iterator[str]:
        step = self._standing()
        if words:
            result = step.run(" ".join(words))
            yield result.output.rstrip("\n")
            if result.exit_code:
                yield f"exit code {result.exit_code}"
            return
        if not sys.stdin.isatty():
            yield "A shell needs a terminal; s COMMAND runs one command."
            return
        from dockersim.cli.shell import enter  # sandboxes and terminals, for who wants in

        yield "A throw-away copy: nothing you do here is kept. exit leaves it."
        enter(self._engine, step)

    def _standing(self) -> Step:
        step = self._build.step
        if step is None:
            raise DockersimError("no step is taken yet", hint="n takes the first one")
        return step

    def _step(self, number: int) -> Step:
        if not 1 <= number <= len(self._build.steps):
            raise DockersimError(f"step {number} is not taken", hint=f"{len(self._build.steps)} are")
        return self._build.steps[number - 1]


def _time(step: Step) -> str:
    return f" in {step.seconds:.1f}s" if step.exit_code is not None and not step.cached else ""


def _sizes(step: Step) -> str:
    layer = f"layer {human_size(step.added)}, " if step.layer else "no layer, "
    return f"{layer}image so far {human_size(step.image_size)}"


def _at_most(lines: Iterable[str], count: int, *, everything: bool) -> Iterator[str]:
    yield from lines if everything else islice(lines, MOST)
    if count > MOST and not everything:
        yield f"... and {count - MOST} more (add the word all to see them)"
