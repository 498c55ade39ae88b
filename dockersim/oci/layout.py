"""The marker file of an OCI image layout (image-spec, image-layout.md).

>>> check_layout(LAYOUT_JSON)
"""

from __future__ import annotations

from typing import Final

from dockersim.errors import ContentError
from dockersim.oci.gojson import Document, Fields

LAYOUT_FILE: Final = "oci-layout"
LAYOUT_JSON: Final = b'{"imageLayoutVersion":"1.0.0"}'
"""The only version there is."""


def check_layout(document: Document) -> None:
    """Check the content of an ``oci-layout`` file; raise ContentError for an unknown version."""
    version = Fields.of(document, LAYOUT_FILE).text("imageLayoutVersion", required=True)
    if version != "1.0.0":
        raise ContentError(f"{LAYOUT_FILE}.imageLayoutVersion is {version[:20]!r}; only 1.0.0 is known")
