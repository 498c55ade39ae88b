"""``RUN --mount`` resolved: variables expanded, targets made absolute, sources found.

BuildKit: ``dispatchRunMounts``, ``dispatchSecret`` and ``dispatchSSH`` in frontend/dockerfile/dockerfile2llb.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from msgspec.structs import replace

from dockersim.dockerfile import Mount, MountFlag, MountType, Run, Sharing
from dockersim.errors import DockerfileError
from dockersim.solver.plan import ContextSource, RunMount, Source

SourceFinder = Callable[[str, Mount], Source | None]
"""Finds what ``from=`` of a mount names; None is scratch, an empty tree."""


def run_mounts(run: Run, expand: Callable[[str], str], directory: str, find: SourceFinder) -> tuple[RunMount, ...]:
    """Resolve the mounts of a RUN, in the order in which they are mounted: what is below another one comes later.

    ``directory`` is the WORKDIR, from which relative targets count. Raises DockerfileError in BuildKit's words.
    """
    resolved = [_resolved(flag, expand, directory or "/", find) for flag in run.mounts]
    agents = [one for one in resolved if one.mount.type is MountType.SSH]
    named = [_named_agent(one, agents.index(one)) if one in agents else one for one in resolved]
    return tuple(sorted(named, key=lambda one: one.mount.target))


def _resolved(flag: MountFlag, expand: Callable[[str], str], directory: str, find: SourceFinder) -> RunMount:
    mount = flag.resolve(expand)
    match mount.type:
        case MountType.SECRET:
            return RunMount(_secret(mount, directory))
        case MountType.SSH:
            return RunMount(replace(mount, id=mount.id or mount.source))
        case MountType.TMPFS:
            return RunMount(replace(mount, source="", target=_target(mount, directory)))
        case MountType.CACHE:
            name = mount.id or posixpath.normpath(mount.target)
            mount = replace(mount, id=name, sharing=mount.sharing or Sharing.SHARED)
            source = find(mount.from_, mount) if mount.from_ else None
        case MountType.BIND:
            source = find(mount.from_, mount) if mount.from_ else ContextSource()
    below = posixpath.normpath(posixpath.join("/", mount.source)).lstrip("/")
    return RunMount(replace(mount, source=below, target=_target(mount, directory)), source)


def _target(mount: Mount, directory: str) -> str:
    target = _absolute(mount.target, directory)
    if target == "/" or not mount.target:
        raise DockerfileError(f'invalid mount target "{target if mount.target else "/"}"', hint="give it a target=")
    return target


def _absolute(path: str, directory: str) -> str:
    return "/" + posixpath.normpath(posixpath.join("/", directory, path)).lstrip("/")


def _secret(mount: Mount, directory: str) -> Mount:
    """Give a secret its id and its place; with ``env=`` it has a place only if one is given."""
    name = mount.source or mount.id or posixpath.basename(mount.target)
    target = mount.target
    if not target and mount.env is None:
        target = f"/run/secrets/{posixpath.basename(name)}"
    return replace(mount, id=name, source="", target=_absolute(target, directory) if target else "")


def _named_agent(one: RunMount, number: int) -> RunMount:
    target = one.mount.target or f"/run/buildkit/ssh_agent.{number}"
    return replace(one, mount=replace(one.mount, source="", target=target))
