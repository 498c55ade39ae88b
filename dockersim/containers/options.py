"""What `docker run` can be asked for, and what comes of it together with the image's config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct, field

from dockersim.containers.ports import Publish
from dockersim.errors import ContainerError
from dockersim.oci import ContainerConfig

Network = Literal["bridge", "none", "host"]

DEFAULT_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What docker gives to images that set no PATH (moby, ``oci/defaults.go``)."""


class Options(Struct, frozen=True):
    """One `docker run` or `docker create`.

    ``image`` is a name or id. ``args`` follow the image on the command line and stand in for its CMD; ``entrypoint``
    stands in for its ENTRYPOINT (and then its CMD does not count), "" clears it, None leaves it. ``env`` are
    ``NAME=value``, or ``NAME`` alone to unset one of the image's. ``interactive`` keeps stdin open (-i), ``terminal``
    gives it a terminal (-t), ``remove`` deletes the container when it has ended (--rm).
    """

    image: str
    args: tuple[str, ...] = ()
    name: str = ""
    entrypoint: str | None = None
    env: tuple[str, ...] = ()
    user: str | None = None
    directory: str | None = None
    hostname: str = ""
    publish: tuple[Publish, ...] = ()
    publish_all: bool = False
    network: Network = "bridge"
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    interactive: bool = False
    terminal: bool = False
    remove: bool = False


def command_line(image: ContainerConfig, entrypoint: str | None, args: Sequence[str]) -> tuple[str, ...]:
    """Combine ENTRYPOINT and CMD, the image's and the learner's.

    The rule is the Dockerfile reference's, "Understand how CMD and ENTRYPOINT interact" (moby, ``runconfig/merge``).
    Raises ContainerError if there is nothing to run.

    >>> command_line(ContainerConfig(entrypoint=("echo",), cmd=("hello",)), None, ())
    ('echo', 'hello')
    >>> command_line(ContainerConfig(entrypoint=("echo",), cmd=("hello",)), None, ("bye",))
    ('echo', 'bye')
    >>> command_line(ContainerConfig(entrypoint=("echo",), cmd=("hello",)), "ls", ())
    ('ls',)
    """
    if entrypoint is not None:
        words = (*([entrypoint] if entrypoint else []), *args)
    else:
        words = (*image.entrypoint, *(args or image.cmd))
    if not words or not words[0]:
        raise ContainerError("no command specified", hint="give one after the image, or set CMD in the Dockerfile")
    return words


def environment(pairs: Iterable[str]) -> dict[str, str]:
    """Make the environment out of ``NAME=value`` words; later ones win, and ``NAME`` alone unsets.

    >>> environment(["A=1", "B=2", "A=3", "B"])
    {'A': '3'}
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name:
            raise ContainerError(f"invalid environment variable: {pair}", hint="write it as NAME=value")
        if equals:
            found[name] = value
        else:
            found.pop(name, None)
    return found
