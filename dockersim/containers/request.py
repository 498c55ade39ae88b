"""What a shim is asked to do, as a file: a shim starts fast because it reads this and no database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins

from dockersim.containers.life import Folder
from dockersim.containers.ports import Publish
from dockersim.containers.record import published
from dockersim.sandbox.contract import DirectoryRoot, OverlayRoot, ProcessSpec, RootFilesystem, Rung

_FILE = "request.json"


class Request(Struct, frozen=True):
    """One start of a container.

    ``scratch`` is the sandbox's. ``attached``: somebody takes the output now. ``keep_stdin``: nobody feeds it, but it
    is not to see an end. ``size`` are rows and columns of its terminal. ``process`` has no mounts.
    """

    rung: Rung
    scratch: Path
    root: RootFilesystem
    process: ProcessSpec
    publish: tuple[Publish, ...] = ()
    attached: bool = False
    keep_stdin: bool = False
    remove: bool = False
    size: tuple[int, int] | None = None

    def save(self, folder: Folder) -> None:
        """Write it for the shim."""
        folder.write(_FILE, json.dumps(to_builtins(self, enc_hook=str)))

    @classmethod
    def load(cls, folder: Folder) -> Request:
        """Read what ``save`` wrote."""
        fields: dict[str, Any] = json.loads(folder.read(_FILE))
        fields["rung"] = Rung(**_tuples(fields["rung"]))
        fields["process"] = ProcessSpec(**_tuples(fields["process"]))
        fields["scratch"] = Path(fields["scratch"])
        fields["root"] = _root(fields["root"])
        fields["publish"] = published(fields["publish"])
        fields["size"] = tuple(fields["size"]) if fields["size"] else None
        return cls(**fields)


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _root(fields: dict[str, Any]) -> RootFilesystem:
    if "path" in fields:
        return DirectoryRoot(Path(fields["path"]))
    return OverlayRoot(tuple(map(Path, fields["lower"])), Path(fields["upper"]), Path(fields["work"]))
