"""Asking a running practice registry what a delete or a garbage collection frees, and having it collect.

None of this is of the distribution-spec, which knows DELETE and leaves the garbage to each registry. So the command
line asks the registry's page, as a browser does; whoever can read the registry's folder holds the key to it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from dockersim.errors import RegistryError
from dockersim.registry.client.refusals import NotInRegistry
from dockersim.registry.plans import Collection, Removal
from dockersim.registry.server.service import Address

if TYPE_CHECKING:
    import httpx

    from dockersim.registry.page.visitors import Visitors

Plan = TypeVar("Plan", bound=Struct)


class Collected(Struct, frozen=True):
    """What was freed, digest to bytes, and the bytes of all blobs before and after."""

    freed: Mapping[str, int]
    before: int
    after: int


def page_key(root: Path) -> str:
    """Give the key that lets a browser in which calls this machine by another name. Repeatable."""
    return _visitors(root).key


def plan_removal(address: Address, repository: str, name: str) -> Removal:
    """Ask what follows if a tag, or the manifest with a digest, is removed. Raises NotInRegistry, RegistryError."""
    with _client(address) as http:
        answer = http.get("/delete", params={"repository": repository, "name": name})
    if answer.status_code == 404:
        joint = "@" if ":" in name else ":"
        raise NotInRegistry(f"{repository}{joint}{name} is not in the practice registry")
    return _read(answer, Removal)


def plan_collection(address: Address, *, spare_young: bool = True) -> Collection:
    """Ask what garbage collection frees; ``spare_young`` leaves what may belong to a push under way."""
    with _client(address) as http:
        return _read(http.get("/garbage", params={"young": "no" if spare_young else "yes"}), Collection)


def collect(address: Address, root: Path, plan: Collection, *, spare_young: bool = True) -> Collected:
    """Have the registry of the folder ``root`` free what was planned. Raises RegistryError if that has changed."""
    visitors = _visitors(root)
    session = visitors.new_session()
    form = {"young": "no" if spare_young else "yes", "seal": visitors.seal(session, plan.fingerprint)}
    with _client(address) as http:
        answer = http.post("/garbage", data=form, headers={"Cookie": visitors.cookie(session)})
    if answer.status_code == 409:
        raise RegistryError("something was pushed or deleted since the plan was made", hint="look at the new plan")
    return _read(answer, Collected)


def _visitors(root: Path) -> Visitors:
    from dockersim.registry.page.visitors import Visitors
    from dockersim.registry.server.access import Access, load_secret
    from dockersim.registry.server.users import Users

    return Visitors(Access(Users(root / "htpasswd"), load_secret(root / "secret"), time.time))


def _client(address: Address) -> httpx.Client:
    import httpx

    # The proxy is for the world outside.
    return httpx.Client(base_url=address.url, headers={"Accept": "application/json"}, timeout=60, trust_env=False)


def _read(answer: httpx.Response, kind: type[Plan]) -> Plan:
    if answer.status_code != 200:
        raise RegistryError(f"the practice registry answers {answer.status_code} to {answer.url.path}")
    return msgspec.json.decode(answer.content, type=kind)
