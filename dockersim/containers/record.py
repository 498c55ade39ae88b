"""What is known of a container: the record, which never changes, and the state, which does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field, to_builtins
from msgspec.structs import replace

from dockersim.containers.ports import Publish

Status = Literal["created", "running", "exited"]


class Record(Struct, frozen=True):
    """What a container was created as.

    ``image`` is the name it was asked for by, ``image_id`` what that meant then; ``layers`` are diff ids, lowest
    first. ``argv``, ``env`` and the rest are what came of the image's config and the learner's options. ``created``
    is RFC 3339.
    """

    id: str
    name: str
    created: str
    image: str
    image_id: str
    layers: tuple[str, ...]
    argv: tuple[str, ...]
    env: Mapping[str, str]
    directory: str
    user: str
    hostname: str
    network: str
    address: str
    publish: tuple[Publish, ...] = ()
    exposed: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    interactive: bool = False
    terminal: bool = False
    remove: bool = False

    def to_json(self) -> str:
        """Write it as one line of JSON."""
        return json.dumps(to_builtins(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read what ``to_json`` wrote."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()
        }
        return cls(**fields | {"publish": published(fields["publish"])})


class State(Struct, frozen=True):
    """How it is with a container now.

    ``pid`` is the host's number of its first process, ``shim`` of its shim, ``runner`` of the sandbox's process that
    tidies up after it; all 0 if it does not run. The ``_started`` beside a pid tell it from a later process of the same
    number. Times are RFC 3339 or "". ``ports`` are those it was started with.
    """

    status: Status = "created"
    exit_code: int = 0
    pid: int = 0
    pid_started: int = 0
    runner: int = 0
    runner_started: int = 0
    shim: int = 0
    shim_started: int = 0
    started: str = ""
    finished: str = ""
    error: str = ""
    ports: tuple[Publish, ...] = ()

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self.status == "running"

    def ended(self, exit_code: int, moment: str) -> State:
        """Give the state after its end."""
        return replace(self, status="exited", exit_code=exit_code, finished=moment, pid=0, runner=0, shim=0)

    def to_json(self) -> str:
        """Write it as one line of JSON."""
        return json.dumps(to_builtins(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> State:
        """Read what ``to_json`` wrote."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**fields | {"ports": published(fields["ports"])})


class Container(Struct, frozen=True):
    """A container as ``list`` and ``get`` show it."""

    record: Record
    state: State

    @property
    def id(self) -> str:
        """The 64 hexadecimal digits."""
        return self.record.id

    @property
    def short_id(self) -> str:
        """The twelve digits that docker shows."""
        return self.record.id[:12]

    @property
    def name(self) -> str:
        """Its name, without docker's slash."""
        return self.record.name

    @property
    def image(self) -> str:
        """The image's name as it was asked for."""
        return self.record.image

    @property
    def image_id(self) -> str:
        """The image's id."""
        return self.record.image_id

    @property
    def command(self) -> str:
        """Its command line, as ``docker ps --no-trunc`` shows it."""
        return " ".join(self.record.argv)

    @property
    def ports(self) -> tuple[Publish, ...]:
        """The ports that lead to it now; none when it does not run."""
        return self.state.ports if self.state.running else ()

    @property
    def exposed(self) -> tuple[str, ...]:
        """What EXPOSE says and nothing publishes: documented, not reachable (``5000/tcp``)."""
        return tuple(port for port in self.record.exposed if port not in {one.private for one in self.record.publish})


def published(rows: Any) -> tuple[Publish, ...]:
    """Read published ports from JSON."""
    return tuple(Publish(**row) for row in rows)
