"""``dockersim inspect``: all that is known of an image or a container, as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from dockersim.cli.boundary import FAILED, Ended, shown
from dockersim.cli.session import Session, pass_session
from dockersim.errors import ContainerError, ImageNotFound, InvalidReference
from dockersim.images import inspect as inspect_image
from dockersim.printable import printable_json
from dockersim.views.template import render

Finder = Callable[[Session, str], Mapping[str, Any] | None]
"""Gives all that is known of the object of that name, None if there is none."""


def _image(session: Session, name: str) -> Mapping[str, Any] | None:
    try:
        return inspect_image(session.engine().store.images.get(name))
    except (ImageNotFound, InvalidReference):
        return None


def _container(session: Session, name: str) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = session.engine().containers.inspect(name)
        return found
    except ContainerError:
        return None


_KINDS: Final[Mapping[str, Finder]] = {"container": _container, "image": _image}
"""In docker's order: a name that a container and an image have is the container's."""

_FORMAT: Final = click.option("-f", "--format", "template", help="Format output: json, or a Go template")


@click.command()
@click.argument("names", metavar="NAME|ID [NAME|ID...]", nargs=-1, required=True)
@_FORMAT
@click.option("--type", "kind", type=click.Choice(tuple(_KINDS)), help="Only inspect objects of the given type")
@pass_session
def inspect(session: Session, names: tuple[str, ...], template: str | None, kind: str | None) -> None:
    """Return low-level information on images and containers."""
    _show(session, names, template, [_KINDS[kind]] if kind else list(_KINDS.values()), kind or "object")


@click.command("inspect")
@click.argument("names", metavar="IMAGE [IMAGE...]", nargs=-1, required=True)
@_FORMAT
@pass_session
def image_inspect(session: Session, names: tuple[str, ...], template: str | None) -> None:
    """Display detailed information on one or more images."""
    _show(session, names, template, [_image], "image")


@click.command("inspect")
@click.argument("names", metavar="CONTAINER [CONTAINER...]", nargs=-1, required=True)
@_FORMAT
@pass_session
def container_inspect(session: Session, names: tuple[str, ...], template: str | None) -> None:
    """Display detailed information on one or more containers."""
    _show(session, names, template, [_container], "container")


def _show(session: Session, names: tuple[str, ...], template: str | None, finders: list[Finder], kind: str) -> None:
    """Print what is found, then name what is not, and end with 1 if that is anything (docker's cli/inspect)."""
    found: list[Mapping[str, Any]] = []
    missing: list[str] = []
    for name in names:
        document = next((one for finder in finders if (one := finder(session, name)) is not None), None)
        if document is None:
            missing.append(name)
        else:
            found.append(document)
    if template and template != "json":
        for document in found:
            click.echo(render(template, document))
    else:
        click.echo(printable_json(json.dumps(found, indent=None if template else 4, ensure_ascii=False)))
    for name in missing:
        click.echo(f"Error: No such {kind}: {shown(name)}", err=True)
    if missing:
        raise Ended(FAILED)
