"""What the store tells about one image."""

from __future__ import annotations

import re

from msgspec import Struct

from dockersim.digest import ChainID, Digest, chain_id, short
from dockersim.oci import Descriptor, ImageConfig, Manifest, Reference


class Image(Struct, frozen=True):
    """One image as it stands in the store.

    ``id`` is the digest of the config; ``descriptor`` names the manifest. ``names`` are its tags and ``digests`` the
    ``name@sha256:...`` by which registries know it. ``layer_sizes`` are bytes, lowest layer first, as docker counts.
    ``tagged_at`` is when a name was last given to it (RFC 3339), "" for never.
    """

    id: Digest
    descriptor: Descriptor
    manifest: Manifest
    config: ImageConfig
    names: tuple[Reference, ...] = ()
    digests: tuple[Reference, ...] = ()
    layer_sizes: tuple[int, ...] = ()
    tagged_at: str = ""

    @property
    def size(self) -> int:
        """All bytes of all files of all layers, as ``docker images`` shows it."""
        return sum(self.layer_sizes)

    @property
    def created(self) -> str:
        """When it was built (RFC 3339); "" if the config does not say."""
        return self.config.created

    @property
    def dangling(self) -> bool:
        """Whether no tag leads to it any more; a name by digest may, as in docker."""
        return not self.names

    @property
    def short_id(self) -> str:
        """The twelve digits that docker shows."""
        return short(self.id)

    @property
    def chain(self) -> ChainID:
        """The chain id of all its layers."""
        return chain_id(self.config.diff_ids)


def moment(text: str) -> float:
    """Return an RFC 3339 time in seconds since 1970, to compare by; a time that is not known was before all others."""
    from datetime import datetime  # most builds find their image unchanged

    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()
    except ValueError:
        return float("-inf")
