"""``dockersim plan``: what a build would do, without doing it."""

from __future__ import annotations

import os
from typing import Any

import click

from dockersim.cli.asking import asking, ssh
from dockersim.cli.boundary import FAILED, Ended
from dockersim.cli.build import Source, arguments, lent, show_unbegun, source_of
from dockersim.cli.session import Session, pass_session
from dockersim.engine import Build, Engine
from dockersim.errors import DockersimError
from dockersim.solver import CacheMoved, Event
from dockersim.views.predictions import plan_summary, plan_table
from dockersim.views.steps import cache_lines


@click.command()
@click.argument("path", metavar="PATH | URL | -", default=".")
@click.option("-f", "--file", "file", help='Name of the Dockerfile (default: "PATH/Dockerfile"); - reads stdin')
@click.option("--build-arg", "build_args", multiple=True, metavar="KEY[=VALUE]", help="Set build-time variables")
@click.option("--target", help="Set the target build stage to plan for")
@click.option("--platform", help="Set platform, as linux/amd64")
@asking
@ssh
@click.option("--why", is_flag=True, help="Explain each decision with the fields of the cache key")
@pass_session
def plan(
    session: Session,
    /,
    path: str,
    file: str | None,
    build_args: tuple[str, ...],
    target: str | None,
    platform: str | None,
    agents: tuple[str, ...],
    why: bool,
    **asked: Any,
) -> None:
    """Tell which steps of a build would be CACHED, which would be run, and why.

    Nothing is run and nothing is written.
    """
    lent((), agents, os.environ)  # a plan asks no server, but what could not be built is no plan
    engine = session.engine()
    with source_of(path, file, engine.root) as source:
        predicted = _predict(
            session, engine, source, build_args=arguments(build_args, os.environ), target=target, platform=platform,
            **asked,
        )  # fmt: skip
    events = [step.event for step in predicted.steps]
    click.echo(plan_table(events))
    if why:
        for event in events:
            click.echo(f"\n{event.step.at}: {event.step.instruction}")
            click.echo("\n".join(f"  {line}" for line in cache_lines(event.decision)))
    click.echo(f"\n{plan_summary(events)}")
    if predicted.error is not None:
        session.note(f"ERROR: {predicted.error}")
        raise Ended(FAILED)


def _tell_of_caches(session: Session, event: Event) -> None:
    if isinstance(event, CacheMoved):
        session.note(f"{event.title}: {event.text}")


def _predict(session: Session, engine: Engine, source: Source, **options: object) -> Build:
    """Take every step of the prediction; a step that must fail is the last one."""
    predicted: Build | None = None
    try:
        predicted = engine.plan(
            source.context,
            source.dockerfile,
            text=source.text,
            on_event=lambda event: _tell_of_caches(session, event),
            **options,  # type: ignore[arg-type]
        )
        predicted.finish()
    except DockersimError as error:
        if predicted is None or not predicted.steps:
            show_unbegun(session, error, source)
            raise Ended(FAILED) from error
    return predicted
