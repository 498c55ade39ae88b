"""The plan of a build: every step of every stage, with its words expanded, before anything has run.

BuildKit calls this the LLB graph (frontend/dockerfile/dockerfile2llb). All that can be known from the Dockerfile, the
options and the base images' configs is known here: the image config after each step, the history entries, the names
under which the steps are shown. So a mistake in line 30 stops the build before line 2 has cost a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from dockersim.digest import DiffID
from dockersim.dockerfile import Mount
from dockersim.oci import ImageConfig
from dockersim.source import At

if TYPE_CHECKING:
    from dockersim.dockerfile import GitReference


class VariableUse(Struct, frozen=True):
    """One variable in an instruction: its value there, and which line it came from.

    ``origin`` is "ENV", "ARG", "--build-arg", "base image" or "unset"; ``line`` is None where no line of this file
    set it.
    """

    name: str
    value: str | None
    origin: str
    line: int | None = None


class BuildOptions(Struct, frozen=True):
    """What the caller of a build asks for besides the Dockerfile.

    ``platform``, that of the image, and ``build_platform``, this machine's, are like "linux/amd64". ``no_cache`` runs
    every step, ``no_cache_filter`` those of the stages it names, and what is built on top of them. ``epoch`` is
    SOURCE_DATE_EPOCH in seconds. ``add_hosts`` are (name, address) pairs that a RUN finds in its /etc/hosts.
    ``network`` is that of a RUN which says nothing of its own: "default", "none" or "host". ``contexts`` are those
    that were given names, with their values as they were written. ``every_stage`` plans also what the target does not
    need, as --check does.
    """

    build_args: tuple[tuple[str, str], ...] = ()
    target: str = ""
    platform: str = "linux/amd64"
    no_cache: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    epoch: int | None = None
    add_hosts: tuple[tuple[str, str], ...] = ()
    no_cache_filter: tuple[str, ...] = ()
    network: str = "default"
    contexts: tuple[tuple[str, str], ...] = ()
    build_platform: str = "linux/amd64"
    every_stage: bool = False

    def disabling(self, stage: str) -> str:
        """Give the option that keeps the steps of a stage from coming out of the cache, "" if there is none.

        As in BuildKit (frontend/dockerui, ``IsNoCache``) only names count, not numbers, in whatever case; a name that
        no stage has means nothing, "" beside others the stages without a name, and "" alone all stages.
        """
        if self.no_cache:
            return "--no-cache"
        if self.no_cache_filter == ("",):
            return "--no-cache-filter"
        named = any(name.lower() == stage.lower() for name in self.no_cache_filter)
        return f"--no-cache-filter={stage}" if named else ""


class StageSource(Struct, frozen=True):
    """Files come from an earlier stage."""

    stage: int


class ContextSource(Struct, frozen=True):
    """Files come from the build context."""


class NamedSource(Struct, frozen=True):
    """Files come from a context that the caller has given this name."""

    name: str


class ImageSource(Struct, frozen=True):
    """Files come from an image that no stage is made of; ``layers`` lowest first."""

    reference: str
    layers: tuple[DiffID, ...]


Source: TypeAlias = ContextSource | NamedSource | StageSource | ImageSource


class FromOp(Struct, frozen=True):
    """Begin with the layers of an image (none for scratch) or with what another stage has made."""

    reference: str
    layers: tuple[DiffID, ...] = ()
    stage: int | None = None


class RunMount(Struct, frozen=True):
    """One ``--mount`` of a RUN, with nothing left to find out.

    ``mount.target`` is absolute ("" for a secret that is only a variable), ``mount.source`` is clean and below the
    root of ``source``, whose files are seen or seed a cache. ``source`` is None where the mount begins empty.
    ``mount.id`` names the cache, the secret or the agent.
    """

    mount: Mount
    source: Source | None = None


class RunOp(Struct, frozen=True):
    """Run a command. ``environment`` in order.

    ``script`` is a here-document that is a program of its own, as (path, text). ``proxies`` reach the command, and
    never the cache key.
    ``mounts`` are in the order in which they are mounted. ``hosts`` are lines of /etc/hosts as (name, address).
    ``hostname`` is what the machine is called, "" for the usual name.
    """

    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    user: str
    directory: str
    network: str = "default"
    script: tuple[str, str] | None = None
    proxies: tuple[tuple[str, str], ...] = ()
    mounts: tuple[RunMount, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    hostname: str = ""


class CopyOp(Struct, frozen=True):
    """Copy files: COPY, and ADD with ``unpack``. Sources are patterns below the source's root, without ``/`` first.

    ``destination`` is absolute and ends with ``/`` where the files go below it. ``inline`` are here-documents as
    (name, text). ``urls`` are ADD's remote files, which are unpacked only if ``unpack_urls``; ``repositories`` are its
    Git repositories, with nothing left open in them. A pattern of ``parents`` may have a pivot, ``/./``: only the
    directories behind it are kept.
    """

    source: Source
    patterns: tuple[str, ...]
    destination: str
    inline: tuple[tuple[str, str], ...] = ()
    urls: tuple[str, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    unpack: bool = False
    checksum: str = ""
    add: bool = False
    unpack_urls: bool = False
    repositories: tuple[GitReference, ...] = ()


class WorkdirOp(Struct, frozen=True):
    """Make a directory, and those above it, if they are missing; they belong to ``user``."""

    path: str
    user: str


Op: TypeAlias = FromOp | RunOp | CopyOp | WorkdirOp


class StepPlan(Struct, frozen=True):
    """One instruction of one stage, planned.

    ``number`` counts from 1 over all stages that are built. ``vertex`` is BuildKit's name of the step, None for an
    instruction that only changes the config (``op`` is None then too). ``expanded`` is the instruction with its
    variables replaced. ``created_by`` is the history entry, None where there is none.
    """

    number: int
    stage: int
    keyword: str
    instruction: str
    expanded: str
    at: At
    vertex: str | None
    op: Op | None
    variables: tuple[VariableUse, ...]
    config_before: ImageConfig
    config_after: ImageConfig
    created_by: str | None = None
    empty_layer: bool = True
    trigger: bool = False


class StagePlan(Struct, frozen=True):
    """One stage: ``needed_by`` says in words why it is built, or why it is not."""

    index: int
    name: str
    base: str
    at: At
    built: bool
    because: str
    steps: tuple[StepPlan, ...] = ()


class Plan(Struct, frozen=True):
    """A whole build: all stages in the order of the file; ``target`` is the index of the one that is wanted."""

    file: str
    stages: tuple[StagePlan, ...]
    target: int

    @property
    def steps(self) -> tuple[StepPlan, ...]:
        """Every step that will be taken, in order."""
        return tuple(step for stage in self.stages for step in stage.steps)
