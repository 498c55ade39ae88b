"""What containers are made of, passed in by the engine: the parts of one root, and who a user is in an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dockersim.content import Database, LayerStore
from dockersim.images import ImageStore
from dockersim.sandbox.contract import Sandbox
from dockersim.snapshots.contract import Snapshotter


class Parts(Protocol):
    """What containers are made of: one root on disk. Sandbox and snapshots are only asked for when something runs."""

    @property
    def root(self) -> Path: ...
    @property
    def database(self) -> Database: ...
    @property
    def layers(self) -> LayerStore: ...
    @property
    def images(self) -> ImageStore: ...
    @property
    def sandbox(self) -> Sandbox: ...
    @property
    def snapshots(self) -> Snapshotter: ...


class Account(Protocol):
    """The numbers behind a user's name, and the home directory."""

    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def groups(self) -> tuple[int, ...]: ...
    @property
    def home(self) -> str: ...


FindAccount = Callable[[tuple[str, ...], str], Account]
"""Finds who a user is in the image of these layers."""
