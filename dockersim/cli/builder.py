"""``dockersim builder prune``."""

from __future__ import annotations

import click

from dockersim.cli.pruning import say_deleted, say_swept
from dockersim.cli.session import Session, pass_session
from dockersim.engine.pruning import prune_cache, sweep

_SHOWN = 25
"""So many characters does BuildKit give the name of a cache record."""


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Remove all unused build cache, not just dangling ones")
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@pass_session
def prune(session: Session, everything: bool, force: bool) -> None:
    """Remove build cache.

    That is: what steps came to, unless an image has the layer, cache mounts, and what was fetched of Git repositories.
    """
    which = "all" if everything else "all dangling"
    if not force and not session.confirmed(f"WARNING! This will remove {which} build cache."):
        return
    engine = session.engine()
    pruned = prune_cache(engine.store, everything=everything)
    say_deleted("build cache objects", [shown_name(name) for name in pruned.objects])
    say_swept(session, pruned.size, sweep(engine))


def shown_name(name: str) -> str:
    """Write the name of a cache record."""
    return name.removeprefix("sha256:")[:_SHOWN]
