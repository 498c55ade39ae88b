"""Where layers were pushed to and pulled from, so that a push can ask a registry to mount instead of sending.

Docker keeps the same (moby, distribution/metadata/v2_metadata_service.go). It is a memory and no promise: a registry
that has the layer there no more says so, and then the layer is sent.

>>> import tempfile
>>> known = Whereabouts(Path(tempfile.mkdtemp()) / "whereabouts.json")
>>> known.note("docker.io", "library/ubuntu", ["sha256:a"])
>>> known.elsewhere("docker.io", "alice/app"), known.elsewhere("docker.io", "library/ubuntu")
({'sha256:a': 'library/ubuntu'}, {})
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from dockersim.content.disk import write_whole
from dockersim.errors import StoreError

MOST_LAYERS: Final = 5000
"""Layers that are kept in mind for each registry; the oldest are forgotten."""


class Whereabouts:
    """The memory, in the file ``path``. Of two processes that note at once one may be forgotten: that costs a push."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def elsewhere(self, registry: str, repository: str) -> Mapping[str, str]:
        """Give for each diff id another repository of the registry that had it."""
        known = self._read().get(registry, {})
        return {diff_id: place for diff_id, place in known.items() if place != repository}

    def note(self, registry: str, repository: str, diff_ids: Iterable[str]) -> None:
        """Remember that a repository has these layers. May be repeated; a full disk costs the memory only."""
        everything = self._read()
        newest = dict.fromkeys(diff_ids, repository)
        known = newest | {one: place for one, place in everything.get(registry, {}).items() if one not in newest}
        everything[registry] = dict(islice(known.items(), MOST_LAYERS))
        try:
            write_whole(self.path, json.dumps(everything).encode())
        except StoreError:
            return

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            document = json.loads(self.path.read_bytes())
        except (OSError, ValueError):
            return {}
        whole = document if isinstance(document, dict) else {}
        return {registry: known for registry, known in whole.items() if isinstance(known, dict)}
