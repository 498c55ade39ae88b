"""The command: the acts in their order."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import click

from dockersim.cli.boundary import FAILED, Ended
from dockersim.cli.demo import building, sharing
from dockersim.cli.demo.stage import NotShown, Stage
from dockersim.cli.demo.story import Story
from dockersim.errors import DockersimError

STARTER: Final = "starter"
UBUNTU: Final = "ubuntu:latest"

_ENDINGS: Final = (signal.SIGTERM, *([signal.SIGHUP] if os.name == "posix" else []))


@click.command()
@click.option(
    "--base",
    type=click.Choice([STARTER, UBUNTU]),
    default=STARTER,
    show_default=True,
    help="starter: made from this machine, takes seconds; ubuntu:latest: the tutorial's Dockerfile to the word",
)
@click.option("--keep", is_flag=True, help="Leave everything as it is at the end, and say where")
@click.option("--sandbox", help="Run every command on this rung ('dockersim info' lists them)")
def demo(base: str, keep: bool, sandbox: str | None) -> None:
    """The whole tutorial in one command: build, look inside, build again, push, pull, run, fetch the page.

    Nothing is played: every line that begins with $ is a command that really runs, in a scratch directory that is
    deleted at the end. The exit code is 0 only if every act did what it says.
    """
    story = Story()
    stage = Stage.set_up(story, sandbox)
    with unwound(stage):
        try:
            _play(stage, base)
        except NotShown as error:
            raise DockersimError(f"demo: act {story.acts}: {error}") from error
        finally:
            left = _leave(stage, keep=keep)
    if left:
        click.echo(f"demo: cannot delete {', '.join(left)}", err=True)
        raise Ended(FAILED)
    click.echo(f"\nAll {story.acts} acts really happened, in {story.seconds:.1f}s. Next: dockersim lab")


@contextmanager
def unwound(stage: Stage) -> Iterator[None]:
    """Let SIGTERM, and the end of the terminal, unwind us as Ctrl-C does: what we have started outlives us.

    Who is leaving already is let go on; what whoever started us wants to be ignored (nohup) stays so.
    """

    def unwind(number: int, frame: FrameType | None) -> None:
        if not stage.is_leaving:
            raise Ended(128 + number)

    is_main = threading.current_thread() is threading.main_thread()  # Python allows it to no other
    heard = [number for number in _ENDINGS if is_main and signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, unwind) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _play(stage: Stage, base: str) -> None:
    if base == UBUNTU:
        building.lay_out(stage, "Dockerfile")
        built = building.break_and_repair(stage)
    else:
        building.lay_out(stage, "Dockerfile.starter")
        built = building.build(stage)
    building.look_inside(stage, built)
    building.touch(stage)
    building.edit(stage)
    building.list_images(stage)
    sharing.push(stage)
    sharing.serve(stage, sharing.pull(stage))


def _leave(stage: Stage, *, keep: bool) -> list[str]:
    """Clean up, or say where everything is; return what could not be deleted."""
    if keep:
        stage.story.say(
            "",
            f"Everything is kept in {stage.folder}; look at it with DOCKERSIM_HOME={stage.root} dockersim images,",
            f"and delete it with: DOCKERSIM_HOME={stage.root} dockersim registry stop; rm -r {stage.folder}",
        )
        return []
    try:
        stage.story.act("Clean up")
    finally:  # perhaps nobody reads this any more
        left = stage.clean_up()
    if not left:
        stage.story.proved("registry stopped, both stores and the app's folder deleted")
    return left
