"""``dockersim registry rm`` and ``garbage-collect``: making room in the practice registry.

The second is spelt as distribution's own command (``registry garbage-collect --dry-run``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
from msgspec.structs import replace

from dockersim.cli.session import Session, pass_session
from dockersim.digest import short
from dockersim.engine.shipping import Shipping
from dockersim.errors import AccessDenied, RegistryError
from dockersim.oci import Reference, parse_reference
from dockersim.registry import (
    Endpoint,
    NotInRegistry,
    Removal,
    Unreachable,
    WireEvent,
    collect,
    plan_collection,
    plan_removal,
    remove,
)
from dockersim.registry.client.endpoint import PRACTICE_KEY
from dockersim.registry.server.housekeeping import find_untagged, remove_untagged
from dockersim.views.plans import collected_line, collection_lines, removal_lines
from dockersim.views.requests import Requests


@click.command()
@click.argument("name", metavar="NAME[:TAG|@DIGEST]")
@click.option("--manifest", is_flag=True, help="Remove the manifest that the tag stands for, with all its tags")
@click.option("--as-admin", is_flag=True, help="Remove what belongs to somebody else, from a registry that you run")
@click.option("-f", "--force", is_flag=True, help="Do not ask")
@click.option("--show-http", is_flag=True, help="Show every request that was made, and what it was for")
@pass_session
def rm(session: Session, name: str, manifest: bool, as_admin: bool, force: bool, show_http: bool) -> None:
    """Remove a tag or an image from the practice registry.

    What that frees is told first: a registry keeps each blob once, and others may need it.
    """
    reference, shipping = parse_reference(name), session.engine().shipping
    endpoint = shipping.endpoint(reference.registry)
    # A registry that stands in is another one, and our folder says nothing about what it holds.
    is_ours = endpoint.credential_key == PRACTICE_KEY
    if not endpoint.is_practice or (as_admin and not is_ours):
        raise RegistryError(
            f"{endpoint.address} is not the practice registry", hint="what it frees, and when, only it knows"
        )
    plan = _plan(shipping, reference) if is_ours else None
    if manifest and not reference.digest:
        with shipping.client(reference) as client:
            digest = plan.digest if plan else client.resolve(reference.repository, reference.tag)
        reference = replace(reference, tag="", digest=digest)
        plan = _plan(shipping, reference) if is_ours else None
    told = "\n".join(removal_lines(plan) if plan else _unplanned_lines(endpoint, reference))
    if force:
        click.echo(told)
    elif not session.confirmed(told):
        return
    requests = _removed(shipping, reference, is_ours=is_ours, as_admin=as_admin)
    click.echo(f"Removed: {reference.familiar()}")
    if plan and plan.freed:
        click.echo("The blobs are still on the disk: dockersim registry garbage-collect frees them.")
    if show_http:
        session.show_requests(Requests("The requests of this delete", requests))


@click.command("garbage-collect")
@click.option("-n", "--dry-run", is_flag=True, help="Tell what would be freed, and free nothing")
@click.option("-a", "--all", "everything", is_flag=True, help="Free what came within the last hour, too")
@click.option("-m", "--delete-untagged", is_flag=True, help="Remove the manifests that no tag leads to, first")
@click.option("-f", "--force", is_flag=True, help="Do not ask")
@pass_session
def garbage_collect(session: Session, dry_run: bool, everything: bool, delete_untagged: bool, force: bool) -> None:
    """Free the blobs of the practice registry that no manifest names any more.

    Mark and sweep: all manifests are read, the blobs that they name are marked, the others are removed. An image whose
    tag was given to another is still there, by its digest, unless --delete-untagged is given.
    """
    root = session.engine().shipping.registry_root
    young = not everything
    if delete_untagged and not _untagged_removed(session, root, dry_run=dry_run, force=force, spare_young=young):
        return
    plan = plan_collection(root, spare_young=young)
    told = "\n".join(collection_lines(plan, asked=delete_untagged and not dry_run))
    if dry_run or force or not plan.freed:
        click.echo(told)
    elif not session.confirmed(told):
        return
    if plan.freed and not dry_run:
        click.echo(collected_line(collect(root, spare_young=young)))


def _untagged_removed(session: Session, root: Path, *, dry_run: bool, force: bool, spare_young: bool) -> bool:
    """Remove the manifests without a tag, or tell which they are; say whether to go on."""
    found = find_untagged(root, time.time(), spare_young=spare_young)
    for repository, digest in found:
        click.echo(f"manifest without a tag: {repository}@{digest}")
    if dry_run or not found:
        return True
    if not force and not session.confirmed(f"{len(found)} manifests are removed; they can be pulled no more."):
        return False
    remove_untagged(root, found, time.time(), spare_young=spare_young)
    return True


def _plan(shipping: Shipping, reference: Reference) -> Removal:
    return plan_removal(shipping.registry_root, reference.repository, reference.digest or reference.tag)


def _unplanned_lines(endpoint: Endpoint, reference: Reference) -> Iterator[str]:
    what = f"the manifest {short(reference.digest)} and its tags" if reference.digest else f"the tag {reference.tag}"
    yield f"This removes {what} from {endpoint.address}; what that frees, and when, only that registry knows."


def _removed(shipping: Shipping, reference: Reference, *, is_ours: bool, as_admin: bool) -> tuple[WireEvent, ...]:
    """Remove it, and give the requests that were made for it."""
    if as_admin:
        remove(shipping.registry_root, reference.repository, reference.digest or reference.tag)
        return ()
    try:
        return shipping.remove(reference)
    except AccessDenied as error:
        if not is_ours:
            raise
        raise AccessDenied(error.message, hint=f"{error.hint}; who runs the registry adds --as-admin") from error
    except (NotInRegistry, Unreachable):
        raise
    except RegistryError as error:
        if is_ours or reference.digest:
            raise
        raise RegistryError(error.message, hint="some registries remove no tags; try --manifest") from error
