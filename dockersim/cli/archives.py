"""``dockersim save``, ``load``, ``export`` and ``import``: images and file systems in files."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from dockersim.cli.session import Session, pass_session
from dockersim.engine.exporting import export_container
from dockersim.engine.store import machine_platform
from dockersim.errors import ContentError, DockersimError
from dockersim.images import import_rootfs, save_docker, save_oci
from dockersim.images import load as load_archive
from dockersim.oci import ContainerConfig, Platform, parse_reference

if TYPE_CHECKING:
    from dockersim.engine import Engine


_WRITERS = {"docker": save_docker, "oci": save_oci}


@click.command()
@click.argument("names", metavar="IMAGE [IMAGE...]", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to a file, instead of STDOUT")
@click.option("--format", "form", type=click.Choice(list(_WRITERS)), default="docker", show_default=True,
              help="docker load's archive, or a plain OCI image layout (skopeo's oci-archive)")  # fmt: skip
@pass_session
def save(session: Session, names: tuple[str, ...], output: Path | None, form: str) -> None:
    """Save one or more images to a tar archive (streamed to STDOUT by default)."""
    if output is None and sys.stdout.isatty():
        raise DockersimError("cowardly refusing to save to a terminal", hint="use the -o flag or redirect")
    images, write = session.engine().store.images, _WRITERS[form]
    for name in names:
        images.get(name)  # an image that is missing is told before the first byte is written
    if output is None:
        write(images, names, sys.stdout.buffer)
        return
    with replacing(output) as file:
        write(images, names, file)


@click.command()
@click.option("-i", "--input", "source", type=click.Path(path_type=Path), help="Read from a file, instead of STDIN")
@click.option("-q", "--quiet", is_flag=True, help="Suppress the load output")
@click.option("--platform", help="Which image of several a name stands for (default: this machine's); all are kept")
@pass_session
def load(session: Session, source: Path | None, quiet: bool, platform: str | None) -> None:
    """Load an image from a tar archive or STDIN."""
    if source is None and sys.stdin.isatty():
        raise DockersimError("requested load from stdin, but stdin is empty", hint="use -i FILE, or pipe an archive in")
    with _reading(source) as stream, _named(source):
        loaded = load_archive(session.engine().store.images, stream, Platform.parse(platform or machine_platform()))
    for image in loaded:  # in docker --quiet only silences the progress, of which there is none here
        click.echo(str(image))


@click.command()
@click.argument("name", metavar="CONTAINER")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to a file, instead of STDOUT")
@pass_session
def export(session: Session, name: str, output: Path | None) -> None:
    """Export a container's filesystem as a tar archive: its image's layers and what it changed, in one."""
    if output is None and sys.stdout.isatty():
        raise DockersimError("cowardly refusing to save to a terminal", hint="use the -o flag or redirect")
    engine = session.engine()
    engine.containers.get(name)  # one that is missing is told before the file is made
    if output is None:
        export_container(engine, name, sys.stdout.buffer)
        return
    with replacing(output) as file:
        export_container(engine, name, file)


@click.command("import")
@click.argument("source", metavar="file|URL|-")
@click.argument("name", metavar="[REPOSITORY[:TAG]]", required=False)
@click.option("-c", "--change", "changes", multiple=True, help="Apply Dockerfile instruction to the created image")
@click.option("-m", "--message", help="Set commit message for imported image")
@click.option("--platform", help="Set platform, as linux/amd64")
@pass_session
def import_(
    session: Session, source: str, name: str | None, changes: tuple[str, ...], message: str | None, platform: str | None
) -> None:
    """Import the contents from a tarball to create a filesystem image. The tarball may be packed, or on the web."""
    engine = session.engine()
    reference = parse_reference(name) if name else None
    changed = _changed(engine, changes, platform)
    where = source if _is_on_the_web(source) else "-"  # docker sends a file as it sends what comes through a pipe
    with _opened(engine, source) as stream:
        image = import_rootfs(
            engine.store.images, stream, created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            platform=changed[1], name=reference, config=changed[0], message=message or f"Imported from {where}",
        )  # fmt: skip
    click.echo(image.id)


def _changed(engine: Engine, changes: tuple[str, ...], platform: str | None) -> tuple[ContainerConfig, Platform]:
    """Find the config that ``--change`` makes: that of a build from scratch, which is planned and not made."""
    text = "\n".join(["FROM scratch", *changes]) + "\n"
    finished = engine.plan(Path.cwd(), text=text, platform=platform).finish()
    if finished.config is None:
        raise DockersimError("--change makes no config")
    return finished.config.config, finished.config.platform


def _opened(engine: Engine, source: str) -> AbstractContextManager[BinaryIO]:
    """Open what is to be imported; what is on the web is fetched first. Raises BuildError if it is not to be had."""
    if not _is_on_the_web(source):
        return _reading(None if source == "-" else Path(source))
    from dockersim.engine.downloads import Downloads
    from dockersim.engine.fetching import Fetching

    content = engine.store.content
    found = Downloads(content, engine.root / "downloads", Fetching).fetch(source)
    assert found is not None  # it was online
    return content.open(found.digest)


def _is_on_the_web(source: str) -> bool:
    return source.startswith(("http://", "https://"))


@contextmanager
def _reading(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file, or stdin for None."""
    if path is None:
        yield sys.stdin.buffer
        return
    with path.open("rb") as stream:
        yield stream


@contextmanager
def _named(path: Path | None) -> Iterator[None]:
    """Say of what is wrong with an archive which one it is."""
    try:
        yield
    except ContentError as error:
        if path is None:
            raise
        raise ContentError(f"{path}: {error.message}", hint=error.hint) from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file that is there whole or as it was before; a device or a pipe is written to as it is."""
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    if not path.parent.is_dir():
        raise DockersimError(f"invalid output path: directory {path.parent} does not exist")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as stream:
            yield stream
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
