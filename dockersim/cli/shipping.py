"""``dockersim login``, ``logout``, ``push`` and ``pull``."""

from __future__ import annotations

import sys

import click
from msgspec.structs import replace

from dockersim.cli.session import Session, pass_session
from dockersim.cli.statuslines import StatusLines
from dockersim.errors import DockersimError, ImageError, ImageNotFound
from dockersim.oci import DOCKER_HUB, Reference, parse_reference
from dockersim.registry import Endpoint, PushEvent
from dockersim.registry.client.docker_config import host_of
from dockersim.registry.client.endpoint import HUB_KEY, PRACTICE_KEY
from dockersim.views.requests import Requests
from dockersim.views.transfers import pull_status, push_status

_HUB = frozenset({"", "docker.io", "index.docker.io"})
"""The ways to write Docker Hub where a server is asked for."""


@click.command()
@click.argument("name", metavar="NAME[:TAG]")
@click.option("-a", "--all-tags", is_flag=True, help="Push all tags of an image to the repository")
@click.option("-q", "--quiet", is_flag=True, help="Suppress verbose output")
@click.option("--show-http", is_flag=True, help="Show every request that was made, and what it was for")
@pass_session
def push(session: Session, name: str, all_tags: bool, quiet: bool, show_http: bool) -> None:
    """Upload an image to a registry."""
    engine = session.engine()
    bare = _parsed(name, all_tags=all_tags)
    if bare.digest:
        raise ImageError("cannot push a digest reference", hint="push it by a tag; dockersim tag gives it one")
    names = [one.familiar() for one in _tags_of(session, name)] if all_tags else [bare.with_default_tag().familiar()]
    if not quiet:
        _say_default_tag(bare.tag or all_tags)
    for one in names:
        _check_is_here(session, one)
    if not quiet:
        _say_practice(engine.shipping.endpoint(bare.registry))
        click.echo(f"The push refers to repository [{bare.name}]")
    for one in names:
        with StatusLines(live=session.draws, silent=quiet) as lines:

            def show(event: PushEvent, lines: StatusLines = lines) -> None:
                lines.show(push_status(event))

            pushed = engine.shipping.push(one, show)
        if show_http:
            session.show_requests(Requests("The requests of this push", pushed.requests, pushed.events))
    if quiet:
        click.echo(bare.with_default_tag().canonical())


@click.command()
@click.argument("name", metavar="NAME[:TAG|@DIGEST]")
@click.option("-a", "--all-tags", is_flag=True, help="Download all tagged images in the repository")
@click.option("--all-platforms", is_flag=True, help="Also keep the images for other platforms (as nerdctl does)")
@click.option("--platform", default="", help="Set platform if server is multi-platform capable")
@click.option("-q", "--quiet", is_flag=True, help="Suppress verbose output")
@click.option("--show-http", is_flag=True, help="Show every request that was made, and what it was for")
@pass_session
def pull(
    session: Session, name: str, all_tags: bool, all_platforms: bool, platform: str, quiet: bool, show_http: bool
) -> None:
    """Download an image from a registry."""
    bare = _parsed(name, all_tags=all_tags)
    shipping = session.engine().shipping
    if not quiet:
        _say_default_tag(bare.tag or bare.digest or all_tags)
        _say_practice(shipping.endpoint(bare.registry))
    names = [name]
    if all_tags:
        with shipping.client(bare) as client:
            names = [replace(bare, tag=tag).canonical() for tag in client.tags(bare.repository)]
    newer, pulls = False, []
    for one in names:
        with StatusLines(live=session.draws, silent=quiet) as lines:
            pulled = shipping.pull(
                one,
                lambda event, lines=lines: lines.show(pull_status(event, bare.repository)),  # type: ignore[misc]
                platform=platform,
                all_platforms=all_platforms,
            )
        if not quiet:
            click.echo(f"Digest: {pulled.digest}")
        newer |= pulled.newer
        pulls.append(pulled)
    if not quiet:
        shown = bare if all_tags else bare.resolvable()
        click.echo(f"Status: {'Downloaded newer image for' if newer else 'Image is up to date for'} {shown.familiar()}")
    click.echo((bare if all_tags else bare.with_default_tag()).canonical())
    for pulled in pulls if show_http else ():
        session.show_requests(Requests("The requests of this pull", pulled.requests, pulled.events))


@click.command()
@click.argument("server", metavar="[SERVER]", default="")
@click.option("-u", "--username", help="Username")
@click.option("-p", "--password", help="Password")
@click.option("--password-stdin", is_flag=True, help="Take the password from stdin")
@pass_session
def login(session: Session, server: str, username: str | None, password: str | None, password_stdin: bool) -> None:
    """Authenticate to a registry. Defaults to Docker Hub, which the practice registry plays.

    At the practice registry any new name and password will do: whoever comes first owns the name.
    """
    if password is not None and password_stdin:
        raise DockersimError("--password and --password-stdin are mutually exclusive")
    if password_stdin and not username:
        raise DockersimError("Must provide --username with --password-stdin")
    if password is not None:
        session.note("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    shipping = session.engine().shipping
    registry = _registry(server)
    endpoint = shipping.endpoint(registry)
    _say_practice(endpoint)
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    name, secret = _who(session, endpoint, username, password, shipping.who(registry))
    _, granted = shipping.login(registry, name, secret)
    if granted.registered:
        click.echo(f"{name} is new here and is registered now.")
    click.echo("Login Succeeded")


@click.command()
@click.argument("server", metavar="[SERVER]", default="")
@pass_session
def logout(session: Session, server: str) -> None:
    """Log out from a registry. Defaults to Docker Hub, which the practice registry plays."""
    registry = _registry(server)
    endpoint, erased = session.engine().shipping.logout(registry)
    shown = HUB_KEY if endpoint.credential_key in (HUB_KEY, PRACTICE_KEY) else endpoint.credential_key
    click.echo(f"Removing login credentials for {shown}" if erased else f"Not logged in to {shown}")


# ---------------------------------------------------------------- who and what


def _parsed(name: str, *, all_tags: bool) -> Reference:
    """Read what is to be pushed or pulled, without a default tag. Raises InvalidReference, DockersimError."""
    bare = parse_reference(name, default_tag="")
    if all_tags and (bare.tag or bare.digest):
        raise DockersimError("tag can't be used with --all-tags/-a")
    return bare


def _registry(server: str) -> str:
    """Find the registry that was typed as a server."""
    host = host_of(server)
    return DOCKER_HUB if host in _HUB else host


def _who(
    session: Session, endpoint: Endpoint, username: str | None, password: str | None, known: str
) -> tuple[str, str]:
    """Find out who wants to log in, asking for what was not given."""
    if (not username or password is None) and not session.can_ask:
        raise _nobody_types()
    try:
        if not username:
            hint = f" ({known})" if known else ""
            username = click.prompt(f"Username{hint}", default=known or None, show_default=False)
        if password is None:
            password = click.prompt("Password", hide_input=True)
    except NotImplementedError as error:  # of a notebook that is run by a program
        click.echo()
        raise _nobody_types() from error
    if not username or not password:
        raise DockersimError(f"{endpoint.title}: a name and a password are needed")
    if any("\udc80" <= letter <= "\udcff" for letter in username + password):  # bytes that are no text
        raise DockersimError(f"{endpoint.title}: the name and the password have to be UTF-8")
    return username, password


def _nobody_types() -> DockersimError:
    return DockersimError(
        "Cannot perform an interactive login from a non TTY device", hint="give --username and --password-stdin"
    )


def _tags_of(session: Session, name: str) -> list[Reference]:
    """List the names that an image has in one repository."""
    repository = parse_reference(name, default_tag="").name
    names = [one for image in session.engine().store.images.list() for one in image.names if one.name == repository]
    if not names:
        raise ImageNotFound(f"An image does not exist locally with the tag: {name}")
    return names


def _check_is_here(session: Session, name: str) -> None:
    images, wanted = session.engine().store.images, parse_reference(name)
    if images.has(name):
        return
    near = sorted(one.familiar() for image in images.list() for one in image.names if one.name == wanted.name)
    if near:
        raise ImageNotFound(f"tag does not exist: {wanted.familiar()}", hint=f"there is {', '.join(near[:5])}")
    raise ImageNotFound(
        f"An image does not exist locally with the tag: {wanted.familiar_name}",
        hint="dockersim images lists those that are here, dockersim tag gives them names",
    )


def _say_default_tag(given: object) -> None:
    if not given:
        click.echo("Using default tag: latest")


def _say_practice(endpoint: Endpoint) -> None:
    if endpoint.is_practice and endpoint.registry == DOCKER_HUB:
        click.echo(f"Docker Hub is played by {endpoint.title}.")
