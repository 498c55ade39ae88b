"""Making room in the practice registry: what a delete or a garbage collection frees, and the collecting.

None of this is of the distribution-spec, which knows DELETE and leaves the garbage to each registry. All works on the
registry's folder, beside the process that serves it or without one.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from dockersim.registry.client.refusals import NotInRegistry
from dockersim.registry.plans import LATER, Collection, Removal

if TYPE_CHECKING:
    from dockersim.registry.server.inventory import Inventory


class Collected(Struct, frozen=True):
    """The bytes that were freed, and those of all blobs before and after."""

    freed: int
    before: int
    after: int


def page_key(root: Path) -> str:
    """Give the key that lets a browser in which calls this machine by another name. Repeatable."""
    from dockersim.registry.page.visitors import Visitors
    from dockersim.registry.server.access import Access, load_secret
    from dockersim.registry.server.users import Users

    return Visitors(Access(Users(root / "htpasswd"), load_secret(root / "secret"), time.time)).key


def plan_removal(root: Path, repository: str, name: str) -> Removal:
    """Say what follows if a tag, or the manifest with a digest, is removed. Raises NotInRegistry."""
    from dockersim.registry.problems import Problem

    try:
        return _inventory(root).plan_removal(repository, name)
    except Problem as problem:
        raise _absent(repository, name) from problem


def remove(root: Path, repository: str, name: str) -> None:
    """Remove a tag, or the manifest with a digest, whoever it belongs to: who can write to the folder may do so."""
    from dockersim.content.disk import told_plainly
    from dockersim.registry.problems import Problem
    from dockersim.registry.server.repositories import RegistryStore

    store = RegistryStore(root)
    try:
        with told_plainly("remove an image from", root):
            (store.remove_manifest if ":" in name else store.remove_tag)(repository, name)
    except Problem as problem:
        raise _absent(repository, name) from problem


def plan_collection(root: Path, *, spare_young: bool = True) -> Collection:
    """Say what garbage collection frees; ``spare_young`` leaves what may belong to a push under way."""
    return _inventory(root).plan_collection(time.time(), spare_young=spare_young)


def collect(root: Path, *, spare_young: bool = True) -> Collected:
    """Free what can be freed now; it may be more or less than was planned, if somebody pushed meanwhile."""
    from dockersim.content.disk import told_plainly
    from dockersim.registry.server.repositories import RegistryStore

    store = RegistryStore(root)
    with told_plainly("collect garbage in", root):
        before = store.blobs.bytes()
        freed = store.collect(time.time() - (LATER if spare_young else 0))
        return Collected(sum(freed.values()), before, store.blobs.bytes())


def _absent(repository: str, name: str) -> NotInRegistry:
    joint = "@" if ":" in name else ":"
    return NotInRegistry(f"{repository}{joint}{name} is not in the practice registry")


def _inventory(root: Path) -> Inventory:
    from dockersim.registry.server.inventory import Inventory
    from dockersim.registry.server.repositories import RegistryStore

    return Inventory.read(RegistryStore(root))
