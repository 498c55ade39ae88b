"""The driver that only looks: which steps would be CACHED, and why the others not, without running anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dockersim.digest import DiffID
from dockersim.engine.context import Context
from dockersim.engine.downloads import Downloads, read_inputs
from dockersim.engine.execute import FindImage
from dockersim.engine.sources import ContextOrigin, LayersOrigin, Origin
from dockersim.engine.store import Store
from dockersim.solver import (
    CommitImage,
    ContextSource,
    DigestInputs,
    Execute,
    LookUpCache,
    Outcome,
    Request,
    ResolveImage,
    Source,
    StepResult,
)

if TYPE_CHECKING:
    from dockersim.engine.repositories import Repositories


class PredictDriver:
    """Answers from what is there. It writes nothing: no file, no row, no stat index."""

    def __init__(
        self,
        store: Store,
        context: Context,
        identity: str,
        find_image: FindImage,
        repositories: Callable[[], Repositories],
    ) -> None:
        self._store = store
        self._context = context
        self._identity = identity
        self._find_image = find_image
        self._downloads = Downloads(store.content, store.root / "downloads", online=False)
        self._repositories = repositories

    def answer(self, request: Request) -> Outcome:
        """Look, and say what was seen; what would have to be done is answered with "not done"."""
        match request:
            case ResolveImage():
                return self._find_image(request)
            case DigestInputs(op, layers):
                return read_inputs(op, self._origin(op.source, layers), self._downloads, self._repositories)
            case LookUpCache(key, step):
                return self._store.records.look_up(key, step, self._identity)
            case Execute() | CommitImage():
                return StepResult(None, done=False)

    def _origin(self, source: Source | None, layers: tuple[DiffID, ...]) -> Origin:
        if isinstance(source, ContextSource):
            return ContextOrigin(self._context)
        return LayersOrigin(self._store.layers, layers)
