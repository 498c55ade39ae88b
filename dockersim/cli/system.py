"""``dockersim system df`` and ``system prune``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Final

import click

from dockersim.cli.builder import shown_name
from dockersim.cli.containers import container_fields
from dockersim.cli.filters import PRUNED, Filters, before, read_filters, unused_since
from dockersim.cli.images import NONE, image_fields
from dockersim.cli.pruning import conditions, delete_containers, delete_images, say_deleted, say_swept
from dockersim.cli.session import Session, pass_session
from dockersim.engine.pruning import prune_cache, sweep
from dockersim.engine.usage import CacheUsage, ContainerUsage, ImageUsage, Usage, measure
from dockersim.errors import DockersimError
from dockersim.printable import printable_json
from dockersim.views.tables import ellipsis, table
from dockersim.views.template import render_rows
from dockersim.views.units import human_size, human_time

_HEADER: Final = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Show detailed information on space usage")
@click.option("--format", "template", help="Format output: table, json, or a Go template")
@pass_session
def df(session: Session, verbose: bool, template: str | None) -> None:
    """Show disk usage: the bytes of the files in images, containers and the build cache.

    A layer that several images have is counted once. 'dockersim info' tells what the blobs take on disk.
    """
    usage = measure(session.engine())
    if verbose and template in ("json", "{{json .}}"):
        click.echo(printable_json(json.dumps(dict(_details(usage, truncate=False)), ensure_ascii=False)))
    elif verbose and template and template != "table":
        raise DockersimError("--verbose takes no template", hint="leave -v out, or use --format json")
    elif verbose:
        click.echo("\n".join(_verbose(usage)))
    elif template and template != "table":
        click.echo(render_rows(template, _summary(usage), _HEADER))
    else:
        click.echo(table(list(_HEADER.values()), ([row[name] for name in _HEADER] for row in _summary(usage))))


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Remove all unused images, not just dangling ones")
@click.option("--volumes", is_flag=True, hidden=True, help="Taken for docker's sake: there are no volumes")
@conditions
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@pass_session
def prune(session: Session, everything: bool, volumes: bool, filters: tuple[str, ...], force: bool) -> None:
    """Remove unused data: stopped containers, dangling images, unused build cache."""
    chosen = read_filters(filters, PRUNED)
    if volumes and "until" in chosen:
        raise DockersimError('The "until" filter is not supported with "--volumes"')
    before(chosen)
    if not force and not session.confirmed("\n".join(_warning(filters, everything=everything))):
        return
    engine = session.engine()
    stopped = delete_containers(engine, chosen)
    say_deleted("Containers", stopped.objects)
    say_deleted("Images", delete_images(engine, chosen, everything=everything))
    size = stopped.size
    if not _has_labels(chosen):  # the cache has none
        stale = unused_since(before(chosen)) if "until" in chosen else None
        cache = prune_cache(engine.store, everything=everything, chosen=stale)
        say_deleted("build cache objects", [shown_name(name) for name in cache.objects])
        size += cache.size
    say_swept(session, size, sweep(engine))


def _warning(filters: tuple[str, ...], *, everything: bool) -> Iterator[str]:
    """Say what will go, in docker's words (cli/command/system/prune.go)."""
    yield "WARNING! This will remove:"
    yield "  - all stopped containers"
    yield f"  - all {'images without at least one container associated to them' if everything else 'dangling images'}"
    yield f"  - {'all' if everything else 'unused'} build cache"
    if filters:
        yield from ("", "  Items to be pruned will be filtered with:", *(f"  - {one}" for one in filters))
    yield ""


def _has_labels(filters: Filters) -> bool:
    return "label" in filters or "label!" in filters


# ---------------------------------------------------------------- rows


def _summary(usage: Usage) -> list[dict[str, str]]:
    used = sum(one.unique for one in usage.images if one.containers)
    stopped = sum(one.size for one in usage.containers if not one.container.state.running)
    cached = sum(one.size for one in usage.cache if not one.cached.shared)
    return [
        _row("Images", len(usage.images), sum(one.containers > 0 for one in usage.images), usage.layers,
             _reclaimable(usage.layers - used, usage.layers)),
        _row("Containers", len(usage.containers), sum(one.container.state.running for one in usage.containers),
             sum(one.size for one in usage.containers),
             _reclaimable(stopped, sum(one.size for one in usage.containers))),
        _row("Local Volumes", 0, 0, 0, _reclaimable(0, 0)),
        _row("Build Cache", len(usage.cache), 0, cached, human_size(cached, 4)),
    ]  # fmt: skip


def _row(kind: str, total: int, active: int, size: int, reclaimable: str) -> dict[str, str]:
    row = (kind, str(total), str(active), human_size(size, 4), reclaimable)
    return dict(zip(_HEADER, row, strict=True))


def _reclaimable(size: int, of: int) -> str:
    return f"{human_size(size, 4)} ({size * 100 // of}%)" if of else human_size(size, 4)


_IMAGES: Final = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
_CONTAINERS: Final = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
_VOLUMES: Final = ("Name", "Links", "Size")
_CACHE: Final = ("ID", "CacheType", "Size", "LastUsedSince", "Shared")
_TITLES: Final = {
    "Repository": "REPOSITORY", "Tag": "TAG", "CreatedSince": "CREATED", "Size": "SIZE", "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE", "Containers": "CONTAINERS", "Image": "IMAGE", "Command": "COMMAND",
    "LocalVolumes": "LOCAL VOLUMES", "RunningFor": "CREATED", "Status": "STATUS", "Names": "NAMES",
    "Name": "VOLUME NAME", "Links": "LINKS", "CacheType": "CACHE TYPE", "LastUsedSince": "LAST USED",
    "Shared": "SHARED",
}  # fmt: skip


def _verbose(usage: Usage) -> Iterator[str]:
    rows = dict(_details(usage, truncate=True))
    cached = human_size(sum(one.size for one in usage.cache if not one.cached.shared), 4)
    for title, key, first, columns in (
        ("Images space usage:", "Images", "IMAGE ID", _IMAGES),
        ("\nContainers space usage:", "Containers", "CONTAINER ID", _CONTAINERS),
        ("\nLocal Volumes space usage:", "Volumes", "", _VOLUMES),
        (f"\nBuild cache usage: {cached}", "BuildCache", "CACHE ID", _CACHE),
    ):
        yield f"{title}\n"
        header = [first if column == "ID" else _TITLES[column] for column in columns]
        yield table(header, [[row[column] for column in columns] for row in rows[key]])


def _details(usage: Usage, *, truncate: bool) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    yield "Images", [row for one in usage.images for row in _image_rows(one, truncate=truncate)]
    yield "Containers", [_container_row(one, truncate=truncate) for one in usage.containers]
    yield "Volumes", []
    yield "BuildCache", [_cache_row(one, truncate=truncate) for one in usage.cache]


def _image_rows(usage: ImageUsage, *, truncate: bool) -> Iterator[dict[str, Any]]:
    for name in usage.image.names or (None,):
        yield {
            **image_fields(usage.image, name, truncate=truncate),
            "SharedSize": human_size(usage.shared, 4),
            "UniqueSize": human_size(usage.unique, 4),
            "Containers": str(usage.containers),
        }


def _container_row(usage: ContainerUsage, *, truncate: bool) -> dict[str, Any]:
    fields = container_fields(usage.container, truncate=truncate)
    words = ellipsis(fields["Command"], 20) if truncate else fields["Command"]
    return {**fields, "Command": f'"{words}"', "LocalVolumes": "0", "Size": human_size(usage.size)}


def _cache_row(usage: CacheUsage, *, truncate: bool) -> dict[str, Any]:
    cached = usage.cached
    return {
        "ID": shown_name(cached.id)[:12] if truncate else cached.id,
        "CacheType": cached.kind,
        "Size": human_size(usage.size),
        "LastUsedSince": human_time(max(0.0, time.time() - cached.used)) if cached.used else NONE,
        "Shared": str(cached.shared).lower(),
    }
