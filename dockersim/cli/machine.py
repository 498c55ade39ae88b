"""``dockersim info`` and ``dockersim version``."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from dockersim.cli.session import Session, pass_session
from dockersim.engine.store import machine_platform
from dockersim.registry import running
from dockersim.sandbox import Rung, best
from dockersim.views.units import human_size


def release() -> str:
    """Give the release of dockersim that is installed."""
    from importlib.metadata import PackageNotFoundError  # slow to import
    from importlib.metadata import version as installed

    try:
        return installed("dockersim")
    except PackageNotFoundError:  # run from a copy of the source
        return "0.0.0"


@click.command()
def version() -> None:
    """Show the version information."""
    click.echo("Client:")
    rows = {
        "Version": release(),
        "Python version": platform.python_version(),
        "OS/Arch": machine_platform(),
        "Kernel": f"{platform.system()} {platform.release()}",
    }
    for name, value in rows.items():
        click.echo(f" {name + ':':<18} {value}")
    click.echo(" Server:            none; dockersim builds in this process, there is no daemon")


@click.command()
@click.option("--sandbox", help="Show what it would be like on this rung")
@pass_session
def info(session: Session, sandbox: str | None) -> None:
    """Show what this machine can do, and what is in the store.

    The rung marked * is the one in use; those above it say why they are not, and what would lift that.
    """
    asked = sandbox or session.engine(looking=True).environment.get("DOCKERSIM_SANDBOX") or None
    if sandbox:
        session.engine(sandbox=sandbox, looking=True).store.sandbox  # noqa: B018  # says why, if it cannot be
    for title, rows in _sections(session, asked):
        click.echo(f"{title}:")
        for row in rows:
            click.echo(f" {row}" if row else "")


def _sections(session: Session, asked: str | None) -> Iterator[tuple[str, Iterator[str]]]:
    yield "Client", iter([f"Version: {release()}", f"Python: {platform.python_version()} ({sys.executable})"])
    yield "Store", _store_rows(session, asked)
    yield "Sandbox, best rung first (RUN and containers)", _rung_rows(session, asked)
    yield "Practice registry", _registry_rows(session)


def _store_rows(session: Session, asked: str | None) -> Iterator[str]:
    engine = session.engine(looking=True)
    store = engine.store
    yield f"Root: {engine.root}"
    yield "Layout: an OCI image layout; 'skopeo inspect oci:ROOT:NAME' reads it in place"
    if not engine.root.is_dir():
        yield "Images: 0 (nothing has been built here yet)"
        return
    chosen = _chosen(engine.rungs(), asked)
    form = "overlay (layers are stacked by the kernel)" if chosen and chosen.overlay else "copy (one tree per stage)"
    containers = engine.containers.list(all=True)
    yield f"Snapshots: {form}"
    yield f"Images: {len(store.images.list())}"
    yield f"Containers: {len(containers)}"
    yield f"Cached steps: {len(store.records.layers())}"
    yield f"Blobs: {human_size(_size(engine.root / 'blobs'))}"


def _rung_rows(session: Session, asked: str | None) -> Iterator[str]:
    rungs = session.engine(looking=True).rungs()
    chosen = _chosen(rungs, asked)
    for rung in rungs:
        mark = "*" if rung is chosen else " "
        passed_over = not asked and chosen in rungs[rungs.index(rung) + 1 :]
        works = "works, but its only user cannot own the files of others, as root's can" if passed_over else "works"
        yield f"{mark} {rung.name:<11} {works if rung.works else f'no: {rung.because}'}"
        if rung.remedy and (rung is chosen or not rung.works):
            yield f"{'':14}{rung.remedy}"
        if rung is chosen:
            yield from (f"{'':14}unlike Docker: {deviation}" for deviation in rung.deviations)
    if asked:
        yield f"  ({'* chosen by name' if chosen else 'DOCKERSIM_SANDBOX names one that cannot be used'}: {asked})"


def _chosen(rungs: tuple[Rung, ...], asked: str | None) -> Rung | None:
    if asked:
        return next((rung for rung in rungs if rung.name == asked and rung.works), None)
    return best(rungs)


def _registry_rows(session: Session) -> Iterator[str]:
    engine = session.engine(looking=True)
    if engine.environment.get("DOCKERSIM_HUB") == "real":
        yield "set aside: DOCKERSIM_HUB=real sends short names to Docker Hub itself"
    root = engine.shipping.registry_root
    address = running(root) if root.is_dir() else None
    yield f"Running: {address.registry if address else 'no; it starts with the first login, push or pull'}"
    if address:
        yield f"Logged in: {engine.shipping.who() or 'nobody'}"


def _size(folder: Path) -> int:
    """Count the bytes that a directory's files take."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
