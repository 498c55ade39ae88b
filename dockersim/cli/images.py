"""``dockersim images``, ``history``, ``tag`` and ``rmi``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from dockersim.bases.resolution import TITLE_LABEL, stand_in_note
from dockersim.cli.boundary import FAILED, Ended
from dockersim.cli.filters import IMAGES, choose_images, read_filters
from dockersim.cli.session import Session, age, clock_time, pass_session, print_rows, whole_seconds
from dockersim.digest import short
from dockersim.errors import DockersimError, ImageError, InvalidReference
from dockersim.images import HistoryRow as Step
from dockersim.images import Image
from dockersim.images import history as history_of
from dockersim.images.removal import is_one_reference
from dockersim.oci import Reference, parse_reference
from dockersim.views.tables import NO_LAYER, HistoryRow, ImageRow, history_table, images_table, table
from dockersim.views.template import render_rows
from dockersim.views.units import human_size, human_time

if TYPE_CHECKING:
    from dockersim.engine import Engine

NONE: Final = "<none>"
"""What docker shows for the name of an image that has none."""

_HEADER: Final = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "VirtualSize": "SIZE",
}
_HISTORY_HEADER: Final = {
    "ID": "IMAGE",
    "Layer": "LAYER",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}


@click.command()
@click.argument("pattern", metavar="[REPOSITORY[:TAG]]", required=False)
@click.option("-a", "--all", "everything", is_flag=True, help="Show all images (here as in BuildKit, none are hidden)")
@click.option("--digests", is_flag=True, help="Show digests")
@click.option("-f", "--filter", "conditions", multiple=True,
              help="Filter output: dangling=, label=, before=, since=, reference=, until=")  # fmt: skip
@click.option("--format", "template", help="Format output: table, json, or a Go template")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only show image IDs")
@pass_session
def images(
    session: Session,
    pattern: str | None,
    everything: bool,
    digests: bool,
    conditions: tuple[str, ...],
    template: str | None,
    no_trunc: bool,
    quiet: bool,
) -> None:
    """List images."""
    filters = {**read_filters(conditions, IMAGES)}
    if pattern is not None:
        filters["reference"] = [*filters.get("reference", ()), pattern]
    found = choose_images(session.engine().store.images, filters)
    asked = digests or "{{.Digest}}" in (template or "")
    shown = list(_rows(found, column=digests, asked=asked, truncate=not no_trunc))
    if quiet:
        print_lines(row["ID"] for _, row in shown)  # one for each row, as docker does
        return
    if template and template != "table":
        print_rows(template, [row for _, row in shown], _HEADER)
        return
    if digests:
        columns = ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size")
        cells = [[row[column] for column in columns] for _, row in shown]
        click.echo(table([_HEADER[column] for column in columns], cells))
    else:
        click.echo(
            images_table(
                ImageRow(row["Repository"], row["Tag"], row["ID"], row["CreatedSince"], row["Size"]) for _, row in shown
            )
        )
    for line in dict.fromkeys(_stand_in_lines(shown)):
        session.note(line)


class _History(click.Command):
    """Takes ``--human=false`` as docker does; click knows no flag that may have a value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write it as click's flag."""
        plain = {"--human=false": "--no-human", "--human=true": "--human"}
        return super().parse_args(ctx, [plain.get(word, word) for word in args])


@click.command(cls=_History)
@click.argument("name", metavar="IMAGE")
@click.option("--format", "template", help="Format output: table, json, or a Go template")
@click.option("-H", "--human/--no-human", default=True,
              help="Print sizes and dates in human readable format; --human=false for plain numbers")  # fmt: skip
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only show image IDs")
@pass_session
def history(session: Session, name: str, template: str | None, human: bool, no_trunc: bool, quiet: bool) -> None:
    """Show the history of an image, latest step first, with the layer that each step made.

    A step that changed only the config has made none, and shows <empty>.
    """
    steps = history_of(session.engine().store.images.get(name))
    rows = [_history_row(step, human=human, truncate=not no_trunc) for step in steps]
    ids = [shown_id(step.id, truncate=not no_trunc) for step in steps]
    if quiet:
        print_lines(filter(None, ids))
    elif template and template != "table":
        fields = (
            {**_history_fields(row), "ID": image_id, "CreatedAt": whole_seconds(step.created)}
            for row, step, image_id in zip(rows, steps, ids, strict=True)
        )
        click.echo(render_rows(template, fields, _HISTORY_HEADER))
    else:
        click.echo(history_table(rows, truncate=not no_trunc, human=human))


@click.command()
@click.argument("source", metavar="SOURCE_IMAGE[:TAG]")
@click.argument("target", metavar="TARGET_IMAGE[:TAG]")
@pass_session
def tag(session: Session, source: str, target: str) -> None:
    """Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE."""
    try:
        parse_reference(target)
    except InvalidReference as error:
        wrong = f'Error parsing reference: "{target}" is not a valid repository/tag: {error.message}'
        raise InvalidReference(wrong, hint=error.hint) from error
    session.engine().store.images.tag(source, target)


@click.command()
@click.argument("names", metavar="IMAGE [IMAGE...]", nargs=-1, required=True)
@click.option("-f", "--force", is_flag=True, help="Force removal of the image")
@click.option("--no-prune", is_flag=True, hidden=True, help="Taken for docker's sake: there are no untagged parents")
@pass_session
def rmi(session: Session, names: tuple[str, ...], force: bool, no_prune: bool) -> None:
    """Remove one or more images. Layers that the build cache still knows are kept until the next prune."""
    engine = session.engine()
    store = engine.store.images
    failed = False
    for name in names:
        try:
            _check_unused(engine, name, force=force)
            print_lines(map(str, store.remove(name, force=force)))
        except DockersimError as error:
            click.echo(str(error), err=True)
            failed = True
    if failed:
        raise Ended(FAILED)


# ---------------------------------------------------------------- rows


def _rows(
    found: Iterable[Image], *, column: bool, asked: bool, truncate: bool
) -> Iterator[tuple[Image, dict[str, Any]]]:
    for image in found:
        for name, digest in _named(image, column=column, asked=asked):
            yield image, {**image_fields(image, name, truncate=truncate), "Digest": digest}


def _named(image: Image, *, column: bool, asked: bool) -> Iterator[tuple[Reference | None, str]]:
    """Give a row for each name: what is shown as repository and tag, and as digest (cli/command/formatter/image.go).

    A tag has a row for each digest of its repository if digests are ``asked`` for. A repository that knows the image by
    digest alone has one for each digest if these have a ``column``, else one without.
    """
    for name in image.names:
        digests = [one.digest for one in image.digests if one.name == name.name and asked]
        yield from ((name, digest) for digest in digests or [NONE])
    repositories = {name.name for name in image.names}
    alone = [one for one in image.digests if one.name not in repositories]
    if column:
        yield from ((one, one.digest) for one in alone)
    else:
        yield from ((one, "") for one in {one.name: one for one in alone}.values())
    if not image.names and not image.digests:
        yield None, NONE


def image_fields(image: Image, name: Reference | None, *, truncate: bool) -> dict[str, Any]:
    seconds = age(image.created)
    return {
        "Repository": name.familiar_name if name else NONE,
        "Tag": (name and name.tag) or NONE,
        "Digest": NONE,
        "ID": shown_id(image.id, truncate=truncate),
        "CreatedSince": "N/A" if seconds is None else human_time(seconds),
        "CreatedAt": clock_time(image.created),
        "Size": human_size(image.size),
        "VirtualSize": human_size(image.size),
        # As docker, which works them out for system df alone.
        "Containers": "N/A",
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
    }


def shown_id(full: str, *, truncate: bool) -> str:
    """Write an id or a digest as docker's columns do; "" stays ""."""
    return short(full) if full and truncate else full


def _stand_in_lines(shown: Iterable[tuple[Image, dict[str, Any]]]) -> Iterator[str]:
    """Say of each name that is answered by a stand-in what it really is. What was built on one has its labels, too."""
    for image, row in shown:
        name, labels = f"{row['Repository']}:{row['Tag']}", image.config.config.labels
        if labels.get(TITLE_LABEL) == name and (note := stand_in_note(labels)):
            yield f"{name} is {note}"


def _history_row(step: Step, *, human: bool, truncate: bool) -> HistoryRow:
    seconds = age(step.created)
    created = "N/A" if seconds is None else human_time(seconds)
    layer = shown_id(step.layer, truncate=truncate) if step.layer else NO_LAYER
    size = human_size(step.size) if human else str(step.size)
    return HistoryRow(layer, created if human else whole_seconds(step.created), step.created_by, size, step.comment)


def _history_fields(row: HistoryRow) -> dict[str, Any]:
    return {
        "Layer": row.layer,
        "CreatedSince": row.created,
        "CreatedBy": row.created_by,
        "Size": row.size,
        "Comment": row.comment,
    }


# ---------------------------------------------------------------- choosing


def _check_unused(engine: Engine, name: str, *, force: bool) -> None:
    """Raise ImageError if a container needs the image that would go (moby, daemon/images/image_delete.go)."""
    image, reference = engine.store.images.find(name)
    if reference is not None and not is_one_reference(image):
        return  # only a name goes
    users = [container for container in engine.containers.list(all=True) if container.image_id == image.id]
    for container in users:
        if container.state.running and (force or reference is None):
            raise _conflict(image, "cannot be forced", f"running container {container.short_id}")
    if users and not force:
        if reference is None:
            raise _conflict(image, "must be forced", f"stopped container {users[0].short_id}")
        raise ImageError(
            f'conflict: unable to remove repository reference "{name}" (must force) - container'
            f" {users[0].short_id} is using its referenced image {image.short_id}",
            hint="remove the container first",
        )


def _conflict(image: Image, remedy: str, user: str) -> ImageError:
    return ImageError(
        f"conflict: unable to delete {image.short_id} ({remedy}) - image is being used by {user}",
        hint="remove the container first",
    )


def print_lines(lines: Iterable[str]) -> None:
    """Print each on a line of its own."""
    for line in lines:
        click.echo(line)
