"""The driver that only looks: which steps would be CACHED, and why the others not, without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockersim.engine.contexts import Contexts
from dockersim.engine.execute import FindImage
from dockersim.engine.network import Network
from dockersim.engine.store import Store
from dockersim.solver import (
    CommitImage,
    DigestInputs,
    Execute,
    Inputs,
    LookUpCache,
    Outcome,
    Request,
    ResolveImage,
    StepResult,
)

if TYPE_CHECKING:
    from dockersim.engine.remotecache import RemoteCaches


class PredictDriver:
    """Answers from what is there. It writes nothing: no file, no row, no stat index."""

    def __init__(
        self,
        store: Store,
        contexts: Contexts,
        identity: str,
        find_image: FindImage,
        network: Network,
        *,
        caches: RemoteCaches | None = None,
    ) -> None:
        self._store = store
        self._contexts = contexts
        self._identity = identity
        self._find_image = find_image
        self._network = network
        self._caches = caches

    def answer(self, request: Request) -> Outcome:
        """Look, and say what was seen; what would have to be done is answered with "not done"."""
        match request:
            case ResolveImage():
                return self._find_image(request)
            case DigestInputs(op, layers):
                if not all(map(self._store.layers.has, layers)):
                    return Inputs(None)  # layers of an imported cache, which a build would fetch
                return self._network.read_inputs(op, self._contexts.origin(op.source, layers))
            case LookUpCache(key, step):
                answer = self._store.records.look_up(key, step, self._identity)
                elsewhere = self._caches.look_up(key) if self._caches and answer.found is None else None
                return elsewhere or answer
            case Execute() | CommitImage():
                return StepResult(None, done=False)

    def close(self) -> None:
        """Let go of imported caches and of what was fetched."""
        self._network.close()
        if self._caches is not None:
            self._caches.close()
