"""``dockersim diff``: what a container has changed, or what differs between two images."""

from __future__ import annotations

import json

import click

from dockersim.cli.session import Session, pass_session
from dockersim.containers import NoSuchContainer
from dockersim.errors import DockersimError
from dockersim.filesystem import Entry
from dockersim.images.comparison import compare
from dockersim.printable import printable, printable_json
from dockersim.views.comparison import HEADER, comparison_document, comparison_lines, comparison_rows
from dockersim.views.template import render_rows


@click.command()
@click.argument("names", metavar="CONTAINER | IMAGE IMAGE", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as one JSON document (two images)")
@click.option("--format", "template", help="Format each file: table, json, or a Go template (two images)")
@click.option("--times", is_flag=True, help="Also list files of which only the time differs (two images)")
@pass_session
def diff(session: Session, names: tuple[str, ...], as_json: bool, template: str | None, times: bool) -> None:
    """Inspect changes to files on a container's filesystem, as docker does; or compare two images.

    Of two images, the files that were added (A), modified (M) and deleted (D) are shown with their sizes, then what
    changed in the config.
    """
    if len(names) > 2:
        raise DockersimError("diff takes one container, or two images")
    if len(names) == 1:
        _of_container(session, names[0])
        return
    store = session.engine().store
    comparison = compare(store.images, *map(store.images.get, names))
    if as_json:
        click.echo(printable_json(json.dumps(comparison_document(comparison), indent=4, ensure_ascii=False)))
    elif template:
        rows = render_rows(_TABLE if template == "table" else template, comparison_rows(comparison), HEADER)
        click.echo(rows, nl=bool(rows))
    else:
        for line in comparison_lines(comparison, times=times):
            click.echo(line)


_TABLE = r"table {{.Type}}\t{{.Path}}\t{{.Before}}\t{{.After}}"


def _of_container(session: Session, name: str) -> None:
    """Print docker's letters: A added, C changed, D deleted; a directory has changed if something in it has."""
    engine = session.engine()
    try:
        files = engine.containers.files(name)
    except NoSuchContainer as error:
        hint = "to compare images, give two" if engine.store.images.has(name) else ""
        raise NoSuchContainer(error.message, hint=hint) from error
    for entry in sorted(files.layer, key=lambda entry: entry.path):
        letter = ("C" if files.before.get(entry.path) else "A") if isinstance(entry, Entry) else "D"
        click.echo(f"{letter} /{printable(entry.path)}")
