"""One request on its way through the registry: what the handlers share."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from dockersim.oci import DOCKER_HUB
from dockersim.registry.server.access import Access, Caller
from dockersim.registry.server.guard import is_local
from dockersim.registry.server.repositories import RegistryStore
from dockersim.registry.server.uploading import Sessions


class Registry(Protocol):
    """What the handlers need of the application."""

    store: RegistryStore
    access: Access
    sessions: Sessions
    manifests: asyncio.Semaphore
    logins: asyncio.Semaphore


LARGEST_PAGE: Final = 1000
"""Entries of a listing in one answer, if the client does not ask for fewer."""


class Call(Struct, frozen=True):
    """A request with its route resolved: ``repository`` is checked, ``item`` (tag, digest, session) is not yet."""

    registry: Registry
    request: Request
    repository: str
    item: str

    @property
    def store(self) -> RegistryStore:
        """The registry's store."""
        return self.registry.store

    def query(self, name: str) -> str:
        """Return a query parameter, "" if it is not there."""
        return self.request.query_params.get(name, "")

    def header(self, name: str) -> str:
        """Return a header, "" if it is not there."""
        return str(self.request.headers.get(name, ""))

    async def caller(self) -> Caller:
        """Find out who asks; raise UNAUTHORIZED."""
        authorization, local = self.header("authorization"), is_local(self.request)
        if authorization[:6].lower() != "basic ":
            return self.registry.access.identify(authorization, local=local)
        async with self.registry.logins:  # hashing a password takes a while and 16 MiB
            return await run_in_threadpool(self.registry.access.identify, authorization, local=local)

    async def check_push(self) -> None:
        """Raise UNAUTHORIZED or DENIED unless the caller may change the repository."""
        caller = await self.caller()
        as_hub = self.query("ns") == DOCKER_HUB
        # An upload is given up by whoever may push; everything else that is deleted is there to stay.
        uploads = f"/v2/{self.repository}/blobs/uploads/"  # a repository may be called alice/uploads/app
        deletes = self.request.method == "DELETE" and not self.request.scope["path"].startswith(uploads)
        action = "delete" if deletes and not caller.holds("push", self.repository) else "push"
        self.registry.access.check_push(caller, self.repository, as_hub=as_hub, action=action)
