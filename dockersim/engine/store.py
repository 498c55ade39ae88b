"""All that one root on disk holds, opened lazily: a cached build touches only what it needs."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dockersim.content import ContentStore, Database, LayerStore
from dockersim.digest import DiffID
from dockersim.engine.files import Files
from dockersim.engine.records import StepRecords
from dockersim.engine.sources import open_in_layer
from dockersim.errors import StoreError
from dockersim.images import ImageStore

if TYPE_CHECKING:
    from dockersim.sandbox import Sandbox
    from dockersim.snapshots.contract import Snapshotter


class Store:
    """The parts of one root. ``sandbox_name`` chooses a rung; None takes the best that works."""

    def __init__(self, root: Path, sandbox_name: str | None = None) -> None:
        self.root = root
        self._sandbox_name = sandbox_name

    @cached_property
    def content(self) -> ContentStore:
        """Blobs; the root is their OCI image layout."""
        return ContentStore(self.root)

    @cached_property
    def database(self) -> Database:
        """Names, cache entries, containers."""
        return Database(self.root / "dockersim.db")

    @cached_property
    def layers(self) -> LayerStore:
        """Layers and their indexes."""
        return LayerStore(self.content)

    @cached_property
    def images(self) -> ImageStore:
        """Images by name."""
        return ImageStore(self.layers, self.database)

    @cached_property
    def records(self) -> StepRecords:
        """The build cache."""
        return StepRecords(self.database, self.layers.has)

    @cached_property
    def sandbox(self) -> Sandbox:
        """The rung on which commands are run."""
        from dockersim.sandbox import choose  # only a step that runs needs one

        return choose(self._sandbox_name, self.root / "sandbox")

    @cached_property
    def snapshots(self) -> Snapshotter:
        """Root file systems for commands: overlays where the rung can mount them."""
        from dockersim.snapshots import CopySnapshotter, OverlaySnapshotter

        if self.sandbox.rung.overlay:
            return OverlaySnapshotter(self.root / "snapshots" / "overlay", self.layers)
        return CopySnapshotter(self.root / "snapshots" / "copy", self.layers)

    def files(self, layers: tuple[str, ...]) -> Files:
        """Give the file system that ``layers`` make, lowest first, to look into."""
        tree = self.layers.tree([DiffID(layer) for layer in layers])
        return Files(tree, lambda node: open_in_layer(self.layers, node))


def default_root(environment: Mapping[str, str]) -> Path:
    """Find the root that commands share: DOCKERSIM_HOME, else the user's data directory."""
    if given := environment.get("DOCKERSIM_HOME"):
        return Path(os.path.expanduser(given))  # which, unlike pathlib's, lets a ~ of nobody be
    from platformdirs import user_data_dir

    return Path(user_data_dir("dockersim", appauthor=False))


def check_root(root: Path) -> None:
    """Raise StoreError if nothing can be kept in ``root``, or it cannot be made. Writes nothing."""
    why = _fault_of(root.absolute())
    if why:
        raise StoreError(f"cannot keep anything in {root}: {why}", hint="set DOCKERSIM_HOME to a directory of your own")


def _fault_of(root: Path) -> str:
    """Say what is wrong with the root, or with the directory that it would be made in."""
    for place in (root, *root.parents):
        try:
            is_directory = stat.S_ISDIR(place.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            if place.is_symlink():
                return f"{place} is a link that leads nowhere"
            continue
        except OSError as error:
            return error.strerror or str(error)
        if not is_directory:
            return f"{place} is not a directory"
        if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            return f"you may not write to {place}"
        return ""
    return ""


def machine_platform() -> str:
    """Give this machine's platform as images call it: ``linux/amd64``."""
    names = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "armv7l": "arm/v7"}
    machine = (
        os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "amd64")
    ).lower()
    return f"linux/{names.get(machine, machine)}"
