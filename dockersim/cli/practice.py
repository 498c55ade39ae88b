"""``dockersim registry serve``, ``status``, ``page`` and ``stop``: the practice registry."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import click

from dockersim.cli.boundary import FAILED, Ended
from dockersim.cli.session import Session, pass_session
from dockersim.content.disk import told_plainly
from dockersim.errors import RegistryError
from dockersim.registry import Address, Endpoint, page_key, running
from dockersim.registry import serve as serve_root
from dockersim.registry import stop as stop_root
from dockersim.registry.server.service import last_words

_START_SECONDS: Final = 15.0
_LOOPBACK: Final = "127.0.0.1"
_FOR_OTHERS: Final = "On other machines: export DOCKERSIM_REGISTRY={}"


@click.command()
@click.option("--host", default=_LOOPBACK, show_default=True, help="Address to listen on")
@click.option("--port", default=0, show_default=True, help="Port to listen on; 0 takes a free one")
@click.option("--detach", is_flag=True, help="Serve in the background and print the address")
@pass_session
def serve(session: Session, host: str, port: int, detach: bool) -> None:
    """Serve the practice registry, until Ctrl-C.

    It listens on this machine only, unless --host says otherwise (0.0.0.0 for a class). Then whoever can reach it may
    pull all, log in under a name that is free, and push below that name.
    Its users are in the file htpasswd below its data ('registry status'): whoever logs in first under a name, and who
    is written down by 'htpasswd -B'.
    """
    root = session.engine().shipping.registry_root
    if (already := running(root)) is not None:
        raise RegistryError(f"the practice registry runs already at {already.registry}", hint="dockersim registry stop")
    if detach:
        address = _start(root, host, port)
        click.echo(address.registry)
        if address.for_others:
            session.note(_FOR_OTHERS.format(address.for_others))
        return
    session.note("The practice registry serves until Ctrl-C; 'dockersim registry status' tells where it is.")
    serve_root(root, host, port, open_to_network=host not in (_LOOPBACK, "localhost", "::1"))


@click.command()
@pass_session
def status(session: Session) -> None:
    """Tell where the practice registry is and what it has. Exit code 1 if it is not running."""
    shipping = session.engine().shipping
    if (other := shipping.stand_in()) is not None:
        click.echo(f"Registry: {other.url}/{other.prefix} (DOCKERSIM_REGISTRY)")
        _list(session, other)
        return
    root = shipping.registry_root
    address = running(root) if root.is_dir() else None
    click.echo(f"Data: {root}")
    if address is None:
        click.echo("Running: no")
        raise Ended(FAILED)
    click.echo(f"Running: {address.registry} (process {address.pid})")
    click.echo(f"Page: {address.url}/")
    if address.for_others:
        click.echo(_FOR_OTHERS.format(address.for_others))
    _list(session, shipping.endpoint(address.registry))


@click.command()
@click.option("--open", "opens", is_flag=True, help="Open it in the browser of this machine")
@pass_session
def page(session: Session, opens: bool) -> None:
    """Tell where the registry's page is; the registry is started if it is not running.

    The page shows what the registry holds, how images share layers, and every request as it comes; it deletes and
    collects garbage after telling what that frees.
    """
    from dockersim.cli.pages import Page, find_page  # only this command has a page to show

    shipping = session.engine().shipping
    if (other := shipping.stand_in()) is not None:
        click.echo(f"{other.url}/")
        if opens:
            click.launch(f"{other.url}/")
        return
    address = shipping.practice_registry()
    found = find_page(address.port, os.environ)
    if found is None:
        click.echo(f"{address.url}/")
    else:
        # By the name of the host that shows this page nobody is let in who has not the key.
        key = page_key(shipping.registry_root)
        session.show_page(Page(found.port, f"{found.address}?key={key}" if found.address else "", found.needs))
    if opens:
        click.launch(f"{address.url}/")


@click.command()
@pass_session
def stop(session: Session) -> None:
    """Stop the practice registry; what it has stays."""
    root = session.engine().shipping.registry_root
    stopped = root.is_dir() and stop_root(root)
    click.echo("The practice registry is stopped." if stopped else "The practice registry was not running.")


def _start(root: Path, host: str, port: int) -> Address:
    """Start a registry that outlives this command, and wait until it answers."""
    log = root / "registry.log"
    with told_plainly("serve from", root):
        root.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
    command = [sys.executable, "-m", "dockersim.registry", "--root", str(root), "--host", host, "--port", str(port)]
    if host not in (_LOOPBACK, "localhost", "::1"):
        command.append("--open-to-network")
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, close_fds=True
        )
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if (address := running(root)) is not None:
            return address
        if process.poll() is not None:
            raise RegistryError(f"the practice registry did not start: {last_words(log)}")
        time.sleep(0.02)
    raise RegistryError("the practice registry did not answer in time", hint=f"see {log}")


def _list(session: Session, endpoint: Endpoint) -> None:
    """Print the repositories of a registry with their tags."""
    from dockersim.registry import MemoryLog, NotInRegistry, RegistryClient  # only status talks to it

    with RegistryClient(endpoint, session.engine().shipping.credentials_for(endpoint), MemoryLog()) as client:
        for name in client.catalog():
            if name.startswith(endpoint.prefix):
                repository = name.removeprefix(endpoint.prefix)
                try:
                    tags = client.tags(repository)
                except NotInRegistry:  # distribution goes on naming it when all it held is deleted
                    tags = []
                click.echo(f"  {repository}: {', '.join(tags) or '(no tag)'}")
