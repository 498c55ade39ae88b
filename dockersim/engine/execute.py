"""The driver that does what the solver asks: the build."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dockersim.content import Lease, lease
from dockersim.digest import DiffID
from dockersim.engine.contexts import Contexts
from dockersim.engine.lent import Given, Host
from dockersim.engine.network import Network
from dockersim.engine.store import Store
from dockersim.oci import parse_reference
from dockersim.solver import (
    CacheAnswer,
    CommitImage,
    DigestInputs,
    Event,
    Execute,
    ImageCommitted,
    LookUpCache,
    Outcome,
    Request,
    ResolvedImage,
    ResolveImage,
    StepResult,
)

if TYPE_CHECKING:
    from dockersim.engine.performing import Performer
    from dockersim.engine.remotecache import RemoteCaches

_SECOND = 1_000_000_000
_NOTHING_GIVEN = Given()

FindImage = Callable[[ResolveImage], ResolvedImage]


class ExecuteDriver:
    """Answers every request by doing it. ``identity`` names the Dockerfile for comparisons with earlier builds."""

    def __init__(
        self,
        store: Store,
        contexts: Contexts,
        identity: str,
        find_image: FindImage,
        network: Network,
        *,
        host: Callable[[], Host],
        epoch: int | None,
        on_event: Callable[[Event], None] | None,
        given: Given = _NOTHING_GIVEN,
        caches: RemoteCaches | None = None,
    ) -> None:
        self._store = store
        self._contexts = contexts
        self._identity = identity
        self._find_image = find_image
        self._host = host
        self._epoch = epoch
        self._given = given
        self._network = network
        self._caches = caches
        self._on_event = on_event
        self._held = ExitStack()
        self._lease: Lease | None = None

    def answer(self, request: Request) -> Outcome:
        """Do what is asked."""
        match request:
            case ResolveImage():
                found = self._find_image(request)
                self._protect(*found.layers)
                return found
            case DigestInputs(op, layers):
                answer = self._network.read_inputs(op, self._contexts.origin(op.source, layers))
                self._contexts.save()
                return answer
            case LookUpCache():
                return self._look_up(request)
            case Execute():
                return self._execute(request)
            case CommitImage(config, layers, names):
                if not config.created:
                    config = replace(config, created=rfc3339(self._now_ns()))
                image = self._store.images.put(config, layers, [parse_reference(name) for name in names])
                if self._caches is not None:
                    self._caches.export(layers)
                return ImageCommitted(image.id, image.descriptor.digest, image.size)

    def close(self) -> None:
        """Close the connections to imported caches, and let those who prune have what was fetched or protected."""
        self._held.close()
        self._network.close()
        if self._caches is not None:
            self._caches.close()

    def _look_up(self, request: LookUpCache) -> CacheAnswer:
        """Ask the caches; a layer that a sweep was quicker to take than we to protect is lost."""
        answer = self._ask_caches(request)
        layer = answer.found.layer if answer.found is not None else None
        return answer if layer is None or self._protect(layer) else CacheAnswer(None, lost=True)

    def _ask_caches(self, request: LookUpCache) -> CacheAnswer:
        """Ask the cache of this root, then the imported ones; what one of those has is kept here from now on."""
        key, records = request.key, self._store.records
        answer = records.look_up(key, request.step, self._identity)
        if self._caches is None:
            return answer
        if answer.found is None and (elsewhere := self._caches.look_up(key)) is not None:
            answer = elsewhere
            if answer.found is not None:
                records.remember(key, request.step, self._identity, answer.found)
        if answer.found is not None:
            self._caches.note(key, answer.found)
        return answer

    def _protect(self, *layers: DiffID) -> bool:
        """Keep layers from every sweep until the build ends, however long that takes; say whether they are here."""
        if self._lease is None:
            self._lease = self._held.enter_context(lease(self._store.content))
        found = [self._lease.add(layer) for layer in layers]
        return all(found)

    def _execute(self, request: Execute) -> StepResult:
        result = replace(self._performer.perform(request), created=rfc3339(self._now_ns()))
        if result.layer is not None:
            self._protect(result.layer)
        if not result.exit_code:
            self._store.records.remember(request.key, request.step, self._identity, result)
            if self._caches is not None:
                self._caches.note(request.key, result)
        return result

    @cached_property
    def _performer(self) -> Performer:
        from dockersim.engine.performing import Performer  # a cached build performs nothing

        return Performer(
            self._store,
            self._network,
            self._contexts.origin,
            host=self._host(),
            given=self._given,
            epoch=self._epoch,
            now_ns=self._now_ns,
            on_event=self._on_event,
        )

    def _now_ns(self) -> int:
        return self._epoch * _SECOND if self._epoch is not None else time.time_ns()


def rfc3339(nanoseconds: int) -> str:
    """Write a time as configs have it: ``2026-11-23T10:15:00.123456789Z``."""
    seconds, part = divmod(nanoseconds, _SECOND)
    fraction = f".{part:09d}".rstrip("0") if part else ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"
