"""Containers: a process that outlives the command that started it, with files, a network and a log of its own.

An image does not run; a container does. It is a *record* (which image, which command, which ports), a place for what
it changes on top of the image's layers, and, while it runs, a process and the *shim* that stays with it:

    options, creating   what `docker run` is asked, and what comes of it with the image's ENTRYPOINT, CMD, ENV, USER
    record, store, life what is known of a container, and how anybody can tell whether it still lives
    rootfs              its root file system
    shim, spawn         the process that stays with it, and how a command starts that and hears from it
    ports, forward      published ports
    log                 what it wrote
    console, entering   the learner's terminal; further processes in it (`docker exec`)
    containers          all of it: create, start, logs, stop, rm

The real things: moby's daemon for the life cycle, containerd-shim for the shim, docker-proxy for the ports. The law of
the package: a container is what its folder and its lock say, not what anybody remembers; a kill -9 of any of the
processes, or of all, leaves containers that are found ended, and nothing that runs without being watched.

>>> from dockersim.containers import Options, Publish
>>> Publish.parse("8080:5000").host_port
8080
>>> Options("my-flask-app", publish=(Publish.parse("8080:5000"),), remove=True).network
'bridge'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dockersim.containers.console import Console
    from dockersim.containers.containers import Containers
    from dockersim.containers.entering import ExecOptions
    from dockersim.containers.log import LogLine
    from dockersim.containers.options import Network, Options
    from dockersim.containers.ports import Publish
    from dockersim.containers.record import Container, Record, State
    from dockersim.containers.spawn import CommandFailed, StartFailed
    from dockersim.containers.store import NoSuchContainer

__all__ = [
    "CommandFailed",
    "Console",
    "Container",
    "Containers",
    "ExecOptions",
    "LogLine",
    "Network",
    "NoSuchContainer",
    "Options",
    "Publish",
    "Record",
    "StartFailed",
    "State",
]

_HOMES = {
    "CommandFailed": "spawn",
    "Console": "console",
    "Container": "record",
    "Containers": "containers",
    "ExecOptions": "entering",
    "LogLine": "log",
    "Network": "options",
    "NoSuchContainer": "store",
    "Options": "options",
    "Publish": "ports",
    "Record": "record",
    "StartFailed": "spawn",
    "State": "record",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the shim is in this package, and needs few of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
