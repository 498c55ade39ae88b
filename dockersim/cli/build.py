"""``dockersim build``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from dockersim.cli.asking import asking, lending
from dockersim.cli.boundary import FAILED, Ended
from dockersim.cli.progress import CHOICES, Progress, progress_for, show_failure
from dockersim.cli.session import Session, pairs, pass_session
from dockersim.engine import Build, Engine
from dockersim.errors import Cancelled, ContextError, DockersimError
from dockersim.oci import parse_reference


class Source(Struct, frozen=True):
    """Where a build reads from: the context's directory or address, and the Dockerfile as a path or as text."""

    context: Path | str
    dockerfile: Path | None = None
    text: str | None = None


@click.command()
@click.argument("path", metavar="PATH | URL | -")
@click.option("-t", "--tag", "tags", multiple=True, help='Name and optionally a tag in the "name:tag" format')
@click.option("-f", "--file", "file", help='Name of the Dockerfile (default: "PATH/Dockerfile"); - reads stdin')
@click.option("--build-arg", "build_args", multiple=True, metavar="KEY[=VALUE]", help="Set build-time variables")
@click.option("--target", help="Set the target build stage to build")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Set metadata for an image")
@lending
@click.option("--no-cache", is_flag=True, help="Do not use cache when building the image")
@click.option("--cache-to", multiple=True, metavar="type=local,dest=DIR[,mode=max]",
              help="Cache export destinations (also type=registry,ref=NAME)")  # fmt: skip
@asking
@click.option("--pull", is_flag=True, help="Always attempt to pull a newer version of the base images")
@click.option("--platform", help="Set platform, as linux/amd64")
@click.option("--progress", type=click.Choice(CHOICES), default="auto", help="How the build shows")
@click.option("-q", "--quiet", is_flag=True, help="Suppress the build output and print image ID on success")
@click.option("--iidfile", type=click.Path(path_type=Path), help="Write the image ID to the file")
@click.option("--trace", type=click.Path(path_type=Path), help="Write the whole build as a trace document (JSON)")
@click.option("--call", "call", default="build", metavar="METHOD", help="What to do: build, or check the Dockerfile")
@click.option("--check", "call", flag_value="check", help='Shorthand for "--call=check"')
@click.option("--sandbox", help="Run commands on this rung ('dockersim info' lists them)")
@click.option("--yes-stand-in", is_flag=True, help="Agree to stand-ins for images that cannot be pulled")
@pass_session
def build(
    session: Session,
    /,
    path: str,
    file: str | None,
    pull: bool,
    progress: str,
    quiet: bool,
    iidfile: Path | None,
    trace: Path | None,
    call: str,
    sandbox: str | None,
    yes_stand_in: bool,
    **typed: Any,
) -> None:
    """Build an image from a Dockerfile.

    PATH is the build context: the directory from which COPY and ADD take files. URL is a context that is fetched: a
    Git repository (https://host/x.git#branch:folder), a tar archive or a Dockerfile. With - the Dockerfile, or a
    context as a tar archive, is read from stdin.
    """
    check_places(trace, iidfile)
    engine = session.engine(sandbox=sandbox, stand_ins=yes_stand_in, looking=call != "build")
    options = wanted(typed, os.environ)
    if call != "build":
        with source_of(path, file, engine.root) as source:
            check(session, engine, call, source, options)
        return
    names = tuple(parse_reference(tag).canonical() for tag in options["tags"])
    shown = progress_for(progress, session, names, quiet=quiet)
    with source_of(path, file, engine.root) as source:
        if pull:
            refresh(session, engine, source, options)
        begun = begin(session, engine, source, shown, **options)
        image_id = take(session, engine, begun, shown, trace, warn=not quiet and progress != "json")
    if iidfile is not None:
        write_whole(iidfile, image_id)
    if quiet:
        click.echo(image_id)


def check(session: Session, engine: Engine, call: str, source: Source, options: Mapping[str, Any]) -> None:
    """Run the build checks and nothing else. Raises DockersimError for another method than that."""
    if call != "check":
        raise DockersimError(f"--call={call} is not supported", hint="there are --call=build and --call=check")
    from dockersim.cli.checks import show_report  # a build shows its findings in another way, if it has any

    told = {name: options.get(name) for name in ("build_args", "target", "platform", "agents")}
    show_report(session, engine.check(source.context, source.dockerfile, text=source.text, **told))


def refresh(session: Session, engine: Engine, source: Source, options: Mapping[str, Any]) -> None:
    """Pull the base images anew."""
    from dockersim.cli.refresh import refresh_bases  # asks registries

    text = source.text
    if text is None:
        arguments, agents = options["build_args"], options.get("agents")
        text = engine.read_dockerfile(source.context, source.dockerfile, arguments, agents=agents)
    refresh_bases(engine, text, options["build_contexts"], session.note)


def begin(session: Session, engine: Engine, source: Source, shown: Progress, **options: object) -> Build:
    """Begin the build; if it cannot even begin, say why and end."""
    try:
        return engine.build(
            source.context,
            source.dockerfile,
            text=source.text,
            on_event=shown,
            **options,  # type: ignore[arg-type]
        )
    except DockersimError as error:
        show_unbegun(session, error, source)
        raise Ended(FAILED) from error


def show_unbegun(session: Session, error: DockersimError, source: Source) -> None:
    """Print why a build could not begin: with the Dockerfile's lines if it is those that are wrong."""
    from dockersim.views.progress import failure

    text = source.text
    file = source.dockerfile or Path(source.context, "Dockerfile")
    is_here = Path(source.context).is_dir()  # the Dockerfile of a context that was fetched is not shown
    if error.at is not None and text is None and is_here and file.is_file():
        text = file.read_text(encoding="utf-8", errors="replace")
    session.note(failure(error, text or "") if error.at else f"ERROR: {error}")


def take(
    session: Session, engine: Engine, begun: Build, shown: Progress, trace: Path | None, *, warn: bool = True
) -> str:
    """Take every step and return the image's id; a failure is shown, and the trace written in either case.

    ``warn`` tells what the build checks have found.
    """
    failed: DockersimError | None = None
    try:
        with shown:
            finished = begun.finish()
    except (Cancelled, KeyboardInterrupt):
        session.note("CANCELED: the steps before are kept, and are CACHED in the next build")
        raise
    except DockersimError as error:
        failed = error
    finally:
        if trace is not None:
            write_whole(trace, json.dumps(engine.trace(begun)))
    if warn and begun.findings:
        from dockersim.cli.checks import show_findings  # most builds have nothing to warn of

        show_findings(session, begun)
    if failed is not None:
        show_failure(session, failed, begun)
        raise Ended(FAILED)
    return finished.image.image_id if finished.image else ""


# ---------------------------------------------------------------- reading what was typed


def wanted(typed: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Read the options that were typed as what ``Engine.build`` takes; their names are the same."""
    rest = {name: value for name, value in typed.items() if name not in ("secrets", "agents")}
    return {
        **rest,
        "build_args": arguments(typed["build_args"], environment),
        "labels": pairs(typed["labels"]),
        **lent(typed["secrets"], typed["agents"], environment),
    }


def arguments(words: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, str]:
    """Read --build-arg: ``KEY=VALUE``, or KEY alone for its value in the environment; it is left out if not there."""
    given: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            given[key] = value
        elif key in environment:
            given[key] = environment[key]
    return given


def lent(secrets: tuple[str, ...], agents: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, Any]:
    """Read --secret and --ssh, if either is given."""
    if not secrets and not agents:
        return {}
    from dockersim.cli.lending import find_agents, read_secrets

    return {"secrets": read_secrets(secrets, environment), "agents": find_agents(agents, environment)}


@contextmanager
def source_of(path: str, file: str | None, root: Path) -> Iterator[Source]:
    """Find out where to read from. A context that comes through stdin lives in a temporary directory of the root."""
    if path == "-" and file == "-":
        raise ContextError("invalid argument: can't use stdin for both build context and dockerfile")
    if path == "-":
        from dockersim.cli.piped import piped_source  # archives and temporary directories

        with piped_source(sys.stdin.buffer, file, root) as (context, dockerfile, text):
            yield Source(context, dockerfile, text)
        return
    if file == "-":
        yield Source(path, text=sys.stdin.read())
    else:
        yield Source(path, Path(file) if file else None)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or as it was before. Raises DockersimError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8", errors="surrogateescape")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise DockersimError(f"{path} cannot be written: {error.strerror}") from error


def check_places(*files: Path | None) -> None:
    """Raise DockersimError, before a long build, where one of the files could not be written after it."""
    for file in files:
        if file is not None and not file.parent.is_dir():
            raise DockersimError(f"{file} cannot be written: there is no directory {file.parent}")
        if file is not None and file.is_dir():
            raise DockersimError(f"{file} cannot be written: it is a directory")
