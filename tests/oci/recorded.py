"""Read the recorded cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONFORMANCE = Path(__file__).parents[3] / "shared" / "conformance"


def cases(file: str) -> list[dict[str, Any]]:
    """Read the cases of one conformance file; none where the folder is absent."""
    path = CONFORMANCE / file
    return json.loads(path.read_text())["cases"] if path.exists() else []
