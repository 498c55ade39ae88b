"""What the official suites found at three registries; read from beside the project, never copied into it."""

from __future__ import annotations

import json
from typing import Any

from tests.recorded import FOLDER

Case = dict[str, Any]

DEBIAN = "docker-registry 2.8.2"
DISABLED = "the recorded run had this check turned off: 1.1 does not know the request, the unreleased spec does"
EXPLAINED = {
    f"dist-head/{algorithm} blobs/post cancel/blob-post-cancel": DISABLED for algorithm in ("sha256", "sha512")
}
"""Why our checks may find something else at docker-registry than the official ones, by check."""


def read(file: str) -> dict[str, Any]:
    """Read a recorded suite; an empty one where the folder is not there."""
    path = FOLDER / file
    if not path.exists():
        return {"meta": {"bodies": {}, "rules": {}, "data_sets": ""}, "cases": []}
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def cases() -> list[Case]:
    """List the cases of both suites."""
    return [*read("distribution-v1.1.1.json")["cases"], *read("distribution-next.json")["cases"]]
