"""``dockersim context``: what is in a build context, before anything is built."""

from __future__ import annotations

import os

import click

from dockersim.cli.build import arguments, source_of
from dockersim.cli.session import Session, pass_session
from dockersim.views.context import (
    HEADER,
    caution_line,
    context_fields,
    context_summary,
    context_table,
    missing_line,
)
from dockersim.views.template import render_rows


@click.command()
@click.argument("path", metavar="PATH | -", default=".")
@click.option("-f", "--file", "file", help='Name of the Dockerfile (default: "PATH/Dockerfile"); - reads stdin')
@click.option("--build-arg", "build_args", multiple=True, metavar="KEY[=VALUE]", help="Set build-time variables")
@click.option("--target", help="Set the target build stage whose uses are shown")
@click.option("-a", "--all", "everything", is_flag=True, help="List the files below directories that are left out")
@click.option("--format", "template", help="Format output: table, json, or a Go template")
@pass_session
def context(
    session: Session,
    path: str,
    file: str | None,
    build_args: tuple[str, ...],
    target: str | None,
    everything: bool,
    template: str | None,
) -> None:
    """Show what is in a build context, what is sent of it, and what uses it.

    For every file: its size, whether .dockerignore lets it be sent, which line of it decided, and which instructions
    take it. Warns of a repository's history, credentials, keys and huge files. Nothing is run and nothing is sent.
    """
    engine = session.engine(looking=True)
    with source_of(path, file, engine.root) as source:
        xray, cautions = engine.context(
            source.context, source.dockerfile, arguments(build_args, os.environ), target,
            text=source.text, everything=everything,
        )  # fmt: skip
    if template and template != "table":
        rows = render_rows(template, context_fields(xray), HEADER)
        click.echo(rows, nl=bool(rows))
    else:
        click.echo(context_table(xray))
        click.echo(f"\n{context_summary(xray)}")
    if xray.uses_unknown:
        session.note(f"NOTE: which instruction uses which file is not known: {xray.uses_unknown}")
    for missing in xray.missing:
        session.note(f"WARNING: {missing_line(missing, xray.ignore_file)}")
    for caution in cautions:
        session.note(f"WARNING: {caution_line(caution, xray.ignore_file, uses_known=not xray.uses_unknown)}")
