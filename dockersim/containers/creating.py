"""From an image and the learner's options to the record of a container."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from dockersim.containers.life import now
from dockersim.containers.naming import new_id, valid_name
from dockersim.containers.options import DEFAULT_PATH, Options, command_line, environment
from dockersim.containers.ports import HOST_IP, Publish, expand_exposed
from dockersim.containers.record import Record
from dockersim.containers.signals import signal_number
from dockersim.errors import ContainerError
from dockersim.images import Image

_NETWORK: Final = "172.17.{}.{}/16"
"""docker's own bridge has 172.17.0.0/16, with itself at .0.1; the first container is .0.2."""


def describe(image: Image, options: Options, name: str, taken: Iterable[str]) -> Record:
    """Make the record of a new container. ``taken`` are the addresses of the others. Raises ContainerError."""
    config = image.config.config
    container_id = new_id()
    hostname = options.hostname or (os.uname().nodename if options.network == "host" else container_id[:12])
    publish = options.publish
    if options.publish_all:
        publish += tuple(Publish(HOST_IP, 0, port) for port in expand_exposed(config.exposed_ports))
    own = [DEFAULT_PATH, f"HOSTNAME={hostname}", *(["TERM=xterm"] if options.terminal else [])]
    stop_signal = options.stop_signal or config.stop_signal or "SIGTERM"
    signal_number(stop_signal)
    return Record(
        id=container_id,
        name=_checked_name(name),
        created=now(),
        image=options.image,
        image_id=image.id,
        layers=tuple(image.config.diff_ids),
        argv=command_line(config, options.entrypoint, options.args),
        env=environment([*own, *config.env, *options.env]),
        directory=_directory(config.working_dir, options.directory),
        user=config.user if options.user is None else options.user,
        hostname=hostname,
        network=options.network,
        address=free_address(taken) if options.network == "bridge" else "",
        publish=publish if options.network == "bridge" else (),
        exposed=tuple(sorted({*config.exposed_ports, *(one.private for one in publish)})),
        entrypoint=config.entrypoint if options.entrypoint is None else tuple(filter(None, [options.entrypoint])),
        cmd=options.args or (config.cmd if options.entrypoint is None else ()),
        labels={**config.labels, **options.labels},
        stop_signal=stop_signal,
        interactive=options.interactive,
        terminal=options.terminal,
        remove=options.remove,
    )


def free_address(taken: Iterable[str]) -> str:
    """Choose an address that no container has.

    >>> free_address(["172.17.0.2/16"])
    '172.17.0.3/16'
    """
    used = set(taken)
    addresses = (_NETWORK.format(high, low) for high in range(256) for low in range(0 if high else 2, 256))
    return next((address for address in addresses if address not in used), _NETWORK.format(255, 254))


def _directory(of_image: str, asked: str | None) -> str:
    if asked is not None and not asked.startswith("/"):
        message = f"the working directory '{asked}' is invalid, it needs to be an absolute path"
        raise ContainerError(message)
    return asked or of_image or "/"


def _checked_name(name: str) -> str:
    if not valid_name(name):
        raise ContainerError(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return name
