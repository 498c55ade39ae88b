"""The options that ``build``, ``plan`` and ``step`` share: how steps are run and found in the cache, and what is lent.

Each comes under the name that ``Engine.build`` and ``Engine.plan`` have for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from dockersim.errors import ContextError

Command = TypeVar("Command", bound=Callable[..., Any])


def named(words: Iterable[str]) -> dict[str, str]:
    """Read --build-context: ``NAME=VALUE``. Raises ContextError."""
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ContextError(f"invalid context value: {word}, expected key=value")
        given[name] = value
    return given


_OPTIONS = (
    click.option("--add-host", "add_hosts", multiple=True, metavar="HOST:IP",
                 help='Add a custom host-to-IP mapping for RUN (an IP, or "host-gateway")'),
    click.option("--network", default="default", metavar="default|none|host",
                 help="Set the networking mode for the RUN instructions during build"),
    click.option("--no-cache-filter", "no_cache_filter", multiple=True, metavar="STAGE[,STAGE]",
                 help="Do not cache the specified stages"),
    click.option("--build-context", "build_contexts", multiple=True, metavar="NAME=VALUE",
                 callback=lambda context, option, words: named(words),
                 help="Additional build contexts: a directory, an address, docker-image://NAME, oci-layout://PATH:TAG"),
    click.option("--cache-from", "cache_from", multiple=True, metavar="NAME|type=local,src=DIR",
                 help="External cache sources"),
)  # fmt: skip


ssh = click.option("--ssh", "agents", multiple=True, metavar="default|ID[=SOCKET]",
                   help="Lend an ssh agent to RUN --mount=type=ssh, and to what is fetched of Git")  # fmt: skip
"""Which ssh agents there are."""

_secret = click.option("--secret", "secrets", multiple=True, metavar="id=ID[,src=FILE|,env=NAME]",
                       help="Lend a secret to RUN --mount=type=secret")  # fmt: skip


def lending(command: Command) -> Command:
    """Add the options of what a build lends to its commands."""
    return _secret(ssh(command))


def asking(command: Command) -> Command:
    """Add the shared options of how steps are run and found."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
