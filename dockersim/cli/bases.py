"""``dockersim base ls`` and ``dockersim base add``."""

from __future__ import annotations

import time

import click

from dockersim.bases import CATALOGUE, Provenance, base_named, make, stand_in_note
from dockersim.cli.session import Session, pass_session
from dockersim.digest import short
from dockersim.views.tables import table
from dockersim.views.units import human_size


@click.command()
@pass_session
def ls(session: Session) -> None:
    """List the base images that can be made here, and those that are made already."""
    images = session.engine().store.images
    rows = []
    for base in CATALOGUE:
        found = images.get(base.name) if images.has(base.name) else None
        kind = base.provenance.value.upper() if base.provenance is Provenance.STAND_IN else base.provenance.value
        rows.append(
            (
                base.name,
                short(found.id) if found else "(not made)",
                human_size(found.size) if found else "",
                kind,
                base.description,
            )
        )
    click.echo(table(("NAME", "IMAGE ID", "SIZE", "KIND", "WHAT IT IS"), rows))


@click.command()
@click.argument("name", metavar="NAME")
@pass_session
def add(session: Session, name: str) -> None:
    """Make the base image NAME and keep it under that name.

    A stand-in is not the image that its name promises; it says so in its labels, in 'dockersim images' and in every
    build that uses it.
    """
    base = base_named(name)
    if base.provenance is Provenance.STAND_IN:
        click.echo(f"{base.name} will be a STAND-IN: {base.description}.")
    store = session.engine().store
    began = time.monotonic()
    made = make(base, store.layers, lambda line: click.echo(f"  {line}"))
    image = store.images.put(made.config, made.diff_ids, [base.reference])
    note = stand_in_note(image.config.config.labels)
    took = f"{time.monotonic() - began:.1f}s"
    click.echo(
        "; ".join([f"{base.name}: {short(image.id)}, {human_size(image.size)}, {took}", *([note] if note else [])])
    )
