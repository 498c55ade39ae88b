"""``dockersim builder prune``."""

from __future__ import annotations

import click

from dockersim.cli.filters import CACHE, choose_cache, read_filters
from dockersim.cli.pruning import say_deleted, say_swept
from dockersim.cli.session import Session, pass_session
from dockersim.engine.pruning import prune_cache, sweep
from dockersim.sizes import read_size

_SHOWN = 25
"""So many characters does BuildKit give the name of a cache record."""


def _size(context: click.Context, parameter: click.Parameter, text: str) -> int:
    try:
        return read_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Remove all unused build cache, not just dangling ones")
@click.option("--filter", "filters", multiple=True, help='Provide filter values (e.g. "until=24h"), id=, type=')
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@click.option(
    "--keep-storage", "--reserved-space", "keep", metavar="BYTES", default="0", callback=_size,
    help="Amount of disk space to keep for cache",
)  # fmt: skip
@pass_session
def prune(session: Session, everything: bool, filters: tuple[str, ...], force: bool, keep: int) -> None:
    """Remove build cache.

    That is: what steps came to, unless an image has the layer, cache mounts, and what was fetched of Git repositories.
    With --keep-storage what was not used for longest goes first. 'system df -v' lists it all.
    """
    chosen = choose_cache(read_filters(filters, CACHE))
    which = "all" if everything else "all dangling"
    if not force and not session.confirmed(f"WARNING! This will remove {which} build cache."):
        return
    engine = session.engine()
    pruned = prune_cache(engine.store, everything=everything, chosen=chosen, keep_bytes=keep)
    say_deleted("build cache objects", [shown_name(name) for name in pruned.objects])
    say_swept(session, pruned.size, sweep(engine))


def shown_name(name: str) -> str:
    """Write the name of a cache record."""
    return name.removeprefix("sha256:")[:_SHOWN]
