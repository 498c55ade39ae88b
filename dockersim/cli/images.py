"""``dockersim images``, ``history``, ``tag``, ``rmi`` and ``image prune``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from dockersim.bases.resolution import stand_in_note
from dockersim.cli.boundary import FAILED, Ended
from dockersim.cli.session import Session, age, pass_session
from dockersim.digest import short
from dockersim.engine.pruning import sweep
from dockersim.errors import DockersimError, ImageError
from dockersim.images import HistoryRow as Step
from dockersim.images import Image
from dockersim.images import history as history_of
from dockersim.oci import Reference
from dockersim.views.tables import HistoryRow, ImageRow, history_table, images_table, table
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
    "CreatedBy": "CREATED BY",
    "Comment": "COMMENT",
}


@click.command()
@click.argument("pattern", metavar="[REPOSITORY[:TAG]]", required=False)
@click.option("-a", "--all", "everything", is_flag=True, help="Show all images (here as in BuildKit, none are hidden)")
@click.option("--digests", is_flag=True, help="Show digests")
@click.option("-f", "--filter", "filters", multiple=True, help="Filter output: dangling=, label=, reference=")
@click.option("--format", "template", help="Format output: table, json, or a Go template")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only show image IDs")
@pass_session
def images(
    session: Session,
    pattern: str | None,
    everything: bool,
    digests: bool,
    filters: tuple[str, ...],
    template: str | None,
    no_trunc: bool,
    quiet: bool,
) -> None:
    """List images."""
    found = [image for image in session.engine().store.images.list() if all(_passes(image, one) for one in filters)]
    shown = list(_rows(found, pattern, truncate=not no_trunc))
    if quiet:
        _print_lines(dict.fromkeys(row["ID"] for _, row in shown))
        return
    if template and template != "table":
        click.echo(render_rows(template, (row for _, row in shown), _HEADER))
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


@click.command()
@click.argument("name", metavar="IMAGE")
@click.option("--format", "template", help="Format output: table, json, or a Go template")
@click.option("-H", "--human/--no-human", default=True, help="Print sizes and dates in human readable format")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only show image IDs")
@pass_session
def history(session: Session, name: str, template: str | None, human: bool, no_trunc: bool, quiet: bool) -> None:
    """Show the history of an image, latest step first."""
    steps = history_of(session.engine().store.images.get(name))
    rows = [_history_row(step, human=human, truncate=not no_trunc) for step in steps]
    if quiet:
        _print_lines(row.image for row in rows)
    elif template and template != "table":
        fields = ({**_history_fields(row), "CreatedAt": step.created} for row, step in zip(rows, steps, strict=True))
        click.echo(render_rows(template, fields, _HEADER | {"ID": "IMAGE"}))
    else:
        click.echo(history_table(rows, truncate=not no_trunc))


@click.command()
@click.argument("source", metavar="SOURCE_IMAGE[:TAG]")
@click.argument("target", metavar="TARGET_IMAGE[:TAG]")
@pass_session
def tag(session: Session, source: str, target: str) -> None:
    """Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE."""
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
            _print_lines(map(str, store.remove(name, force=force)))
        except DockersimError as error:
            click.echo(str(error), err=True)
            failed = True
    if failed:
        raise Ended(FAILED)


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Remove all unused images, not just dangling ones")
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@pass_session
def prune(session: Session, everything: bool, force: bool) -> None:
    """Remove unused images, and the layers that neither an image nor the build cache needs."""
    what = "all images without at least one container associated to them" if everything else "all dangling images"
    if not force and not session.confirmed(f"WARNING! This will remove {what}."):
        return
    store = session.engine().store
    used = images_in_use(session.engine())
    doomed = [image for image in store.images.list() if (everything or image.dangling) and image.id not in used]
    removed = [str(line) for image in doomed for line in store.images.remove(image.id, force=True)]
    if removed:
        click.echo("\n".join(["Deleted Images:", *removed, ""]))
    click.echo(f"Total reclaimed space: {human_size(sweep(session.engine()).size, 4)}")


# ---------------------------------------------------------------- rows


def _rows(found: Iterable[Image], pattern: str | None, *, truncate: bool) -> Iterator[tuple[Image, dict[str, Any]]]:
    for image in found:
        for reference in _names(image, pattern):
            yield image, _image_fields(image, reference, truncate=truncate)


def _names(image: Image, pattern: str | None) -> list[Reference | None]:
    """Choose the names of an image that a row is for; one row without a name for a dangling image."""
    if pattern is None:
        return list(image.names) or [None]
    return [name for name in image.names if name.matches(pattern)]


def _image_fields(image: Image, name: Reference | None, *, truncate: bool) -> dict[str, Any]:
    digest = next((one.digest for one in image.digests if name is None or one.name == name.name), "")
    seconds = age(image.created)
    return {
        "Repository": name.familiar_name if name else NONE,
        "Tag": name.tag if name else NONE,
        "Digest": digest or NONE,
        "ID": short(image.id) if truncate else image.id,
        "CreatedSince": "N/A" if seconds is None else human_time(seconds),
        "CreatedAt": image.created,
        "Size": human_size(image.size),
    }


def _stand_in_lines(shown: Iterable[tuple[Image, dict[str, Any]]]) -> Iterator[str]:
    """Say of each name that is answered by a stand-in what it really is."""
    for image, row in shown:
        if image.names and (note := stand_in_note(image.config.config.labels)):
            yield f"{row['Repository']}:{row['Tag']} is {note}"


def _history_row(step: Step, *, human: bool, truncate: bool) -> HistoryRow:
    seconds = age(step.created)
    created = "N/A" if seconds is None else human_time(seconds)
    image_id = short(step.id) if truncate else step.id
    size = human_size(step.size) if human else str(step.size)
    return HistoryRow(image_id, created if human else step.created, step.created_by, size, step.comment)


def _history_fields(row: HistoryRow) -> dict[str, Any]:
    return {
        "ID": row.image,
        "CreatedSince": row.created,
        "CreatedBy": row.created_by,
        "Size": row.size,
        "Comment": row.comment,
    }


# ---------------------------------------------------------------- choosing


def _passes(image: Image, condition: str) -> bool:
    """Tell whether an image passes one ``--filter``. Raises DockersimError for a filter that there is not."""
    key, _, value = condition.partition("=")
    if key == "dangling":
        return image.dangling is (value.lower() in ("true", "1"))
    if key == "reference":
        return any(name.matches(value) for name in image.names)
    if key == "label":
        name, equals, wanted = value.partition("=")
        labels = dict(image.config.config.labels)
        return name in labels and (not equals or labels[name] == wanted)
    raise DockersimError(f"invalid filter '{condition}'", hint="there are dangling=, label= and reference=")


def _check_unused(engine: Engine, name: str, *, force: bool) -> None:
    """Raise ImageError if a container needs the image that would go (moby, daemon/images/image_delete.go)."""
    image, reference = engine.store.images.find(name)
    if reference is not None and len(image.names) > 1:
        return  # only a name goes
    for container in engine.containers.list(all=True):
        if container.image_id != image.id or (force and not container.state.running):
            continue
        state = "running" if container.state.running else "stopped"
        remedy = "cannot be forced" if container.state.running else "must be forced"
        raise ImageError(
            f"conflict: unable to delete {image.short_id} ({remedy}) - image is being used by {state} container"
            f" {container.short_id}",
            hint="remove the container first",
        )


def images_in_use(engine: Engine) -> set[str]:
    """Give the ids of the images that containers were made of."""
    return {container.image_id for container in engine.containers.list(all=True)}


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
