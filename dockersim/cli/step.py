"""``dockersim step``: walk through a build in the terminal, one instruction at a time, forwards and backwards."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import click

from dockersim.cli.asking import asking, lending
from dockersim.cli.boundary import FAILED, Ended
from dockersim.cli.build import arguments, lent, show_unbegun, source_of
from dockersim.cli.session import Session, pass_session
from dockersim.cli.walker import Walker
from dockersim.errors import DockersimError
from dockersim.solver import CacheMoved, Event, OutputWritten


@click.command()
@click.argument("path", metavar="PATH | URL", default=".")
@click.option("-t", "--tag", "tags", multiple=True, help='Name and optionally a tag in the "name:tag" format')
@click.option("-f", "--file", "file", help='Name of the Dockerfile (default: "PATH/Dockerfile")')
@click.option("--build-arg", "build_args", multiple=True, metavar="KEY[=VALUE]", help="Set build-time variables")
@click.option("--target", help="Set the target build stage to build")
@lending
@click.option("--no-cache", is_flag=True, help="Do not use cache when building the image")
@asking
@click.option("--sandbox", help="Run commands on this rung ('dockersim info' lists them)")
@click.option("--yes-stand-in", is_flag=True, help="Agree to stand-ins for images that cannot be pulled")
@pass_session
def step(
    session: Session,
    /,
    path: str,
    tags: tuple[str, ...],
    file: str | None,
    build_args: tuple[str, ...],
    target: str | None,
    secrets: tuple[str, ...],
    agents: tuple[str, ...],
    no_cache: bool,
    sandbox: str | None,
    yes_stand_in: bool,
    **asked: Any,
) -> None:
    """Walk through a build one instruction at a time, forwards and backwards.

    At every step: n next, b back, d what it changed, c the cache's decision, f its files, o its output, i the image's
    config, s a shell in a throw-away copy, r LINE run to a line, q quit, h help.
    """
    engine = session.engine(sandbox=sandbox, stand_ins=yes_stand_in)
    lendings = lent(secrets, agents, os.environ)
    with source_of(path, file, engine.root) as source:
        try:
            build = engine.build(
                source.context, source.dockerfile, tags, arguments(build_args, os.environ), target, no_cache,
                text=source.text, on_event=_stream, **lendings, **asked,
            )  # fmt: skip
            build.prepare()
        except DockersimError as error:
            show_unbegun(session, error, source)
            raise Ended(FAILED) from error
        walker = Walker(engine, build)
        walker.walk(typed(sys.stdin))
    if build.error is not None:
        raise Ended(FAILED)


def _stream(event: Event) -> None:
    """Show a command's output while it runs, and what becomes of imported caches."""
    if isinstance(event, OutputWritten):
        click.echo(event.text, nl=False)
    elif isinstance(event, CacheMoved):
        click.echo(f"{event.title}: {event.text}")


def typed(stream: TextIO) -> Iterator[tuple[str, ...]]:
    """Give the words of each line that is typed, until the end. The prompt is printed by whoever asks."""
    if stream.isatty():
        try:
            import readline  # noqa: F401  # gives input() a history and editing keys
        except ImportError:  # a Python without it
            pass
    while True:
        try:
            line = input() if stream.isatty() else stream.readline()
        except EOFError:
            return
        if not stream.isatty():
            if not line:
                return
            click.echo(line.rstrip("\n"))  # nobody has seen it being typed
        yield tuple(line.split())
