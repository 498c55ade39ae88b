"""``dockersim image prune`` and ``container prune``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import click

from dockersim.cli.filters import PRUNED, Filters, before, labelled, read_filters
from dockersim.cli.session import Session, pass_session
from dockersim.containers import Container
from dockersim.content import Collected
from dockersim.content.garbage import GRACE_SECONDS
from dockersim.engine import Engine
from dockersim.engine.pruning import Pruned, prune_containers, prune_images, sweep
from dockersim.images import Image
from dockersim.images.image import moment
from dockersim.views.units import human_size

Command = TypeVar("Command", bound=Callable[..., object])

_WORTH_TELLING: Final = 1_000_000
"""Bytes: of less than that nobody wonders why it is still there."""

_FORCE = click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")


def conditions(command: Command) -> Command:
    """Add the option --filter."""
    help_line = "Provide filter values: until=<timestamp or duration>, label=<key>[=<value>], label!=..."
    return click.option("--filter", "filters", multiple=True, help=help_line)(command)


@click.command("prune")
@click.option("-a", "--all", "everything", is_flag=True, help="Remove all unused images, not just dangling ones")
@conditions
@_FORCE
@pass_session
def images(session: Session, everything: bool, filters: tuple[str, ...], force: bool) -> None:
    """Remove unused images, and the layers that neither an image nor the build cache needs."""
    chosen = read_filters(filters, (*PRUNED, "dangling"))
    everything = everything or chosen.get("dangling") == ["false"]
    before(chosen)  # a date that cannot be read is told before anybody is asked
    what = "all images without at least one container associated to them" if everything else "all dangling images"
    if not force and not session.confirmed(f"WARNING! This will remove {what}."):
        return
    engine = session.engine()
    say_deleted("Images", delete_images(engine, chosen, everything=everything))
    say_swept(session, 0, sweep(engine))


@click.command("prune")
@conditions
@_FORCE
@pass_session
def containers(session: Session, filters: tuple[str, ...], force: bool) -> None:
    """Remove all stopped containers."""
    chosen = read_filters(filters, PRUNED)
    before(chosen)
    if not force and not session.confirmed("WARNING! This will remove all stopped containers."):
        return
    pruned = delete_containers(session.engine(), chosen)
    say_deleted("Containers", pruned.objects)
    say_reclaimed(pruned.size)


def delete_images(engine: Engine, filters: Filters, *, everything: bool) -> list[str]:
    """Remove the images that nobody needs and that pass; give docker's lines."""
    limit = before(filters)

    def is_doomed(image: Image) -> bool:
        labels = image.config.config.labels
        return (everything or image.dangling) and moment(image.created) < limit and labelled(filters, labels)

    removed = prune_images(engine, filter(is_doomed, engine.store.images.list()))
    return [line[0].lower() + line[1:] for line in map(str, removed)]  # so docker writes them here, and only here


def delete_containers(engine: Engine, filters: Filters) -> Pruned:
    """Remove the stopped containers that pass."""
    limit = before(filters)

    def is_doomed(container: Container) -> bool:
        return moment(container.record.created) < limit and labelled(filters, container.record.labels)

    return prune_containers(engine, is_doomed)


def say_deleted(what: str, names: Sequence[str]) -> None:
    """Print what was deleted, as docker does: nothing for nothing."""
    if names:
        click.echo("\n".join([f"Deleted {what}:", *names, ""]))


def say_swept(session: Session, size: int, swept: Collected) -> None:
    """Print the last line of a prune that ended with a sweep, and why more is not free yet."""
    say_reclaimed(size + swept.size)
    if swept.spared >= _WORTH_TELLING:
        minutes = f"{GRACE_SECONDS / 60:.0f} minutes"
        more = f"{human_size(swept.spared, 4)} more came within the last {minutes}"
        session.note(f"{more}, and may belong to a build or pull that is running; prune again later.")


def say_reclaimed(size: int) -> None:
    """Print the last line of every prune."""
    click.echo(f"Total reclaimed space: {human_size(size, 4)}")
