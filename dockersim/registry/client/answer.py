"""What came back: status, headers, and a body that is either read or still on its way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from msgspec import Struct, field


class Answer(Struct, frozen=True):
    """An answer. ``body`` is what was read; ``pieces`` gives the rest of a blob, as it comes.

    Names of ``headers`` are in lower case. ``url`` is who gave it, after all redirects.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    pieces: Iterator[bytes] = field(default_factory=lambda: iter(()))
    url: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str:
        """Return a header, "" if it is not there."""
        return self.headers.get(name.lower(), "")

    def document(self) -> dict[str, object]:
        """Read the body as a JSON object; {} if it is none."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}
