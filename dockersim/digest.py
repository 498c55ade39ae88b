"""Digests: the names that content gives itself.

A digest is ``sha256:`` and the hash in hex of some bytes (OCI image-spec, descriptor.md, "Digests"). Whoever has
the digest can check the bytes, so it does not matter where they come from. Three digests matter for layers:

- the *digest* of a blob names the bytes as stored or sent (perhaps compressed);
- the *diff id* of a layer names its uncompressed tar (image-spec, config.md, "Layer DiffID");
- the *chain id* names a stack of layers: the layer and all that is below it (config.md, "Layer ChainID").

>>> short(sha256(b"hello"))
'2cf24dba5fb0'
>>> chain_id([sha256(b"a")]) == sha256(b"a")   # one layer: its chain id is its diff id
True
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NewType

from dockersim.errors import ContentError

Digest = NewType("Digest", str)
DiffID = NewType("DiffID", str)
ChainID = NewType("ChainID", str)

EMPTY_CHAIN = ChainID("")
"""The chain id of no layers at all (FROM scratch); the spec defines none, so we use the empty string."""

_FORM = re.compile(r"sha256:[0-9a-f]{64}\Z")


def sha256(data: bytes) -> Digest:
    """Name ``data`` by its hash."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def parse_digest(text: str) -> Digest:
    """Check that ``text`` is a sha256 digest; raise ContentError if not.

    The check is what keeps a hostile digest such as ``sha256:../../etc/passwd`` from becoming a path.
    """
    if not _FORM.match(text):
        raise ContentError(f"not a sha256 digest: {text[:80]!r}")
    return Digest(text)


def hex_of(digest: str) -> str:
    """Return the 64 hex digits of a digest."""
    return parse_digest(digest)[7:]


def short(digest: str) -> str:
    """Return the twelve hex digits by which docker shows an id."""
    return digest.rpartition(":")[2][:12]


def chain_id(diff_ids: Iterable[str], *, parent: ChainID = EMPTY_CHAIN) -> ChainID:
    """Name the stack of ``diff_ids``, lowest first, on top of ``parent``.

    ``ChainID(L0) = DiffID(L0)``; ``ChainID(L0|...|Ln) = sha256(ChainID(L0|...|Ln-1) + " " + DiffID(Ln))``.
    """
    chain = str(parent)
    for diff_id in diff_ids:
        chain = sha256(f"{chain} {diff_id}".encode()) if chain else diff_id
    return ChainID(chain)
