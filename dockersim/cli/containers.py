"""``dockersim run``, ``ps``, ``logs``, ``stop``, ``rm`` and ``exec``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import click

from dockersim.bases import Provenance, find_base, make
from dockersim.cli.boundary import FAILED, USAGE, Ended
from dockersim.cli.session import Session, age, pairs, pass_session, print_rows
from dockersim.cli.streams import console_for, write_piece
from dockersim.containers import Container, ExecOptions, NoSuchContainer, Options, Publish, StartFailed
from dockersim.containers.ports import read_published
from dockersim.engine import Engine
from dockersim.errors import ContainerError, DockersimError
from dockersim.oci import parse_reference
from dockersim.views.tables import ContainerRow, containers_table, ellipsis
from dockersim.views.transfers import pull_status
from dockersim.views.units import human_duration, human_time

_HEADER: Final = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "CreatedAt": "CREATED AT",
    "Status": "STATUS",
    "State": "STATE",
    "Ports": "PORTS",
    "Names": "NAMES",
}
_STOPS_PARSING: Final = {"allow_interspersed_args": False}
"""What stands after the image, or the container, belongs to the command that is run."""


@click.command(context_settings=_STOPS_PARSING)
@click.argument("image", metavar="IMAGE")
@click.argument("args", metavar="[COMMAND] [ARG...]", nargs=-1, type=click.UNPROCESSED)
@click.option("-d", "--detach", is_flag=True, help="Run container in background and print container ID")
@click.option("-p", "--publish", "published", multiple=True, help="Publish a container's port to the host (8080:5000)")
@click.option("-P", "--publish-all", is_flag=True, help="Publish all exposed ports to random ports")
@click.option("-e", "--env", "env", multiple=True, metavar="KEY[=VALUE]", help="Set environment variables")
@click.option("--env-file", type=click.Path(path_type=Path), multiple=True, help="Read in a file of variables")
@click.option("--rm", "remove", is_flag=True, help="Automatically remove the container when it exits")
@click.option("--name", default="", help="Assign a name to the container")
@click.option("-i", "--interactive", is_flag=True, help="Keep STDIN open even if not attached")
@click.option("-t", "--tty", is_flag=True, help="Allocate a pseudo-TTY")
@click.option("-u", "--user", help="Username or UID (format: <name|uid>[:<group|gid>])")
@click.option("-w", "--workdir", help="Working directory inside the container")
@click.option("-h", "--hostname", default="", help="Container host name")
@click.option("--entrypoint", help="Overwrite the default ENTRYPOINT of the image")
@click.option("-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Set meta data on a container")
@click.option("--network", type=click.Choice(["bridge", "none", "host"]), default="bridge", help="Connect to a network")
@click.option("--stop-signal", default="", help="Signal to stop the container")
@click.option("--sandbox", help="Run it on this rung ('dockersim info' lists them)")
@pass_session
def run(
    session: Session,
    image: str,
    args: tuple[str, ...],
    detach: bool,
    published: tuple[str, ...],
    publish_all: bool,
    env: tuple[str, ...],
    env_file: tuple[Path, ...],
    remove: bool,
    name: str,
    interactive: bool,
    tty: bool,
    user: str | None,
    workdir: str | None,
    hostname: str,
    entrypoint: str | None,
    labels: tuple[str, ...],
    network: str,
    stop_signal: str,
    sandbox: str | None,
) -> None:
    """Create and run a new container from an image.

    Ends with the exit code of the container's command; 125 if the container cannot be made, 126 if its command
    cannot be run, 127 if there is no such command.
    """
    _check_terminal(tty and interactive and not detach)
    try:
        ports = tuple(one for text in published for one in read_published(text))
        options = Options(
            image, args, name, entrypoint, _variables(env, env_file), user, workdir, hostname,
            ports, publish_all, network, pairs(labels),  # type: ignore[arg-type]
            stop_signal, interactive, tty, remove,
        )  # fmt: skip
        engine = session.engine(sandbox=sandbox)
        _obtain(session, engine, image)
        if detach:
            container = engine.containers.run(options)
            click.echo(container.id)
            _show_pages(session, container.ports)
            return
        _show_pages(session, options.publish)
        code = engine.containers.run_attached(options, console_for(interactive=interactive))
    except DockersimError as error:
        _cannot_run(error)
    raise Ended(code)


@click.command(context_settings=_STOPS_PARSING)
@click.argument("name", metavar="CONTAINER")
@click.argument("argv", metavar="COMMAND [ARG...]", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("-e", "--env", "env", multiple=True, metavar="KEY[=VALUE]", help="Set environment variables")
@click.option("-i", "--interactive", is_flag=True, help="Keep STDIN open even if not attached")
@click.option("-t", "--tty", is_flag=True, help="Allocate a pseudo-TTY")
@click.option("-u", "--user", help="Username or UID (format: <name|uid>[:<group|gid>])")
@click.option("-w", "--workdir", help="Working directory inside the container")
@pass_session
def execute(
    session: Session,
    name: str,
    argv: tuple[str, ...],
    env: tuple[str, ...],
    interactive: bool,
    tty: bool,
    user: str | None,
    workdir: str | None,
) -> None:
    """Execute a command in a running container, and end with its exit code."""
    _check_terminal(tty and interactive)
    options = ExecOptions(argv, _variables(env, ()), user, workdir, interactive, tty)
    try:
        code = session.engine().containers.exec(name, options, console_for(interactive=interactive))
    except StartFailed as error:
        click.echo(str(error), err=True)
        raise Ended(error.exit_code) from error
    raise Ended(code)


execute.name = "exec"


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Show all containers (default shows just running)")
@click.option("-f", "--filter", "filters", multiple=True, help="Filter output: name=, status=, ancestor=, label=")
@click.option("--format", "template", help="Format output: table, json, or a Go template")
@click.option("-n", "--last", type=int, default=-1, help="Show n last created containers (includes all states)")
@click.option("-l", "--latest", is_flag=True, help="Show the latest created container (includes all states)")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only display container IDs")
@pass_session
def ps(
    session: Session,
    everything: bool,
    filters: tuple[str, ...],
    template: str | None,
    last: int,
    latest: bool,
    no_trunc: bool,
    quiet: bool,
) -> None:
    """List containers."""
    most = 1 if latest else last
    found = session.engine().containers.list(all=everything or most >= 0 or _asks_for_status(filters))
    chosen = [container for container in found if all(_passes(container, one) for one in filters)]
    rows = [
        container_fields(container, truncate=not no_trunc) for container in (chosen[:most] if most >= 0 else chosen)
    ]
    if quiet:
        for row in rows:
            click.echo(row["ID"])
    elif template and template != "table":
        print_rows(template, rows, _HEADER)
    else:
        columns = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
        cells = (ContainerRow(*(row[column] for column in columns)) for row in rows)
        click.echo(containers_table(cells, truncate=not no_trunc))


@click.command()
@click.argument("name", metavar="CONTAINER")
@click.option("-f", "--follow", is_flag=True, help="Follow log output")
@click.option("-n", "--tail", default="all", help="Number of lines to show from the end of the logs")
@click.option("-t", "--timestamps", is_flag=True, help="Show timestamps")
@pass_session
def logs(session: Session, name: str, follow: bool, tail: str, timestamps: bool) -> None:
    """Fetch the logs of a container."""
    lines = session.engine().containers.logs(name, follow=follow, tail=int(tail) if tail.isdigit() else None)
    for line in lines:
        stamp = f"{line.time} " if timestamps else ""
        write_piece(line.stream, f"{stamp}{line.text}".encode("utf-8", "surrogateescape"))


@click.command()
@click.argument("names", metavar="CONTAINER [CONTAINER...]", nargs=-1, required=True)
@click.option("-t", "--timeout", "--time", "timeout", type=float, default=10.0, help="Seconds to wait before killing")
@pass_session
def stop(session: Session, names: tuple[str, ...], timeout: float) -> None:
    """Stop one or more running containers."""
    containers = session.engine().containers
    _each(names, lambda name: containers.stop(name, timeout))


@click.command()
@click.argument("names", metavar="CONTAINER [CONTAINER...]", nargs=-1, required=True)
@click.option("-f", "--force", is_flag=True, help="Force the removal of a running container (uses SIGKILL)")
@click.option("-v", "--volumes", is_flag=True, hidden=True, help="Taken for docker's sake: there are no volumes yet")
@pass_session
def rm(session: Session, names: tuple[str, ...], force: bool, volumes: bool) -> None:
    """Remove one or more containers."""
    containers = session.engine().containers
    _each(names, lambda name: containers.remove(name, force=force), missing_is_fine=force)


# ---------------------------------------------------------------- doing


def _each(names: Iterable[str], act: Callable[[str], object], *, missing_is_fine: bool = False) -> None:
    """Do something to each container and print its name; what fails is told, the others are done all the same."""
    failed = False
    for name in names:
        try:
            act(name)
        except ContainerError as error:
            click.echo(str(error), err=True)
            # docker rm --force tells it, and does not count it (cli/command/container/rm.go).
            failed = failed or not (missing_is_fine and isinstance(error, NoSuchContainer))
            continue
        click.echo(name)
    if failed:
        raise Ended(FAILED)


def _obtain(session: Session, engine: Engine, name: str) -> None:
    """Pull an image that is not here, or make it if it is one that is made on this machine."""
    images = engine.store.images
    if images.has(name):
        return
    reference = parse_reference(name)
    session.note(f"Unable to find image '{reference.familiar()}' locally")
    base = find_base(reference)
    if base is not None and base.provenance is Provenance.MACHINE:
        made = make(base, engine.store.layers, lambda line: session.note(f"  {line}"))
        images.put(made.config, made.diff_ids, [base.reference])
        return

    def show(event: object) -> None:
        status = pull_status(event, reference.repository)  # type: ignore[arg-type]
        if status is not None and not status.counting:
            session.note(status.line)

    pulled = engine.shipping.pull(name, show)
    session.note(f"Digest: {pulled.digest}\nStatus: Downloaded newer image for {reference.resolvable().familiar()}")


def _show_pages(session: Session, published: tuple[Publish, ...]) -> None:
    """Say where a browser finds the published ports, if it is not at localhost of this machine.

    A port of 0 is not chosen yet.
    """
    if not published:
        return
    from dockersim.cli.pages import find_page  # most containers publish nothing

    for port in sorted({one.host_port for one in published} - {0}):
        page = find_page(port, os.environ)
        if page is not None:
            session.show_page(page)


def _cannot_run(error: DockersimError) -> None:
    """Say why there is no container, and end with docker's code for that (docs, "Exit status" of docker run)."""
    click.echo(f"dockersim: {error}", err=True)
    raise Ended(error.exit_code if isinstance(error, StartFailed) else USAGE) from error


def _check_terminal(wanted: bool) -> None:
    if wanted and not sys.stdin.isatty():
        raise ContainerError("the input device is not a TTY", hint="leave -t out")


def _variables(env: tuple[str, ...], files: tuple[Path, ...]) -> tuple[str, ...]:
    """Read -e and --env-file; a lone name has the value that it has here, and is left out if it has none."""
    words = [word for file in files for word in _lines(file)] + list(env)
    known = [
        word if "=" in word else f"{word}={os.environ[word]}" for word in words if "=" in word or word in os.environ
    ]
    return tuple(known)


def _lines(file: Path) -> list[str]:
    rows = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if row and not row.startswith("#")]


# ---------------------------------------------------------------- showing


def container_fields(container: Container, *, truncate: bool) -> dict[str, str]:
    seconds = age(container.record.created)
    return {
        "ID": container.short_id if truncate else container.id,
        "Image": _without_digest(container.image) if truncate else container.image,
        "Command": container.command,
        "RunningFor": human_time(seconds or 0.0),
        "CreatedAt": container.record.created,
        "Status": status_words(container),
        "State": container.state.status,
        "Ports": ", ".join([*map(str, container.ports), *(container.exposed if container.state.running else ())]),
        "Names": container.name,
    }


def _without_digest(image: str) -> str:
    """Shorten ``name@sha256:...``, as docker ps does; an id stays as it is."""
    return image.partition("@")[0]


def status_words(container: Container) -> str:
    """Write how it is with a container: ``Up 5 minutes``, ``Exited (0) 2 seconds ago``, ``Created``."""
    state = container.state
    if state.running:
        return f"Up {human_duration(age(state.started) or 0.0)}"
    if state.status == "created":
        return "Created"
    ended = age(state.finished)
    return f"Exited ({state.exit_code})" + ("" if ended is None else f" {human_time(ended)}")


def _asks_for_status(filters: tuple[str, ...]) -> bool:
    return any(one.startswith("status=") for one in filters)


def _passes(container: Container, condition: str) -> bool:
    key, _, value = condition.partition("=")
    match key:
        case "name":
            return value in container.name
        case "status":
            return container.state.status == value
        case "ancestor":
            return value in (container.image, container.image_id, ellipsis(container.image_id, 12))
        case "label":
            name, equals, wanted = value.partition("=")
            labels = container.record.labels
            return name in labels and (not equals or labels[name] == wanted)
    raise DockersimError(f"invalid filter '{condition}'", hint="there are name=, status=, ancestor= and label=")
