"""Push and pull as docker's lines: ``5f70bf18a086: Layer already exists``.

The words are docker's (moby distribution/push_v2.go, pull_v2.go). A push shows a layer by its diff id, a pull by the
digest of the blob, as there.
"""

from __future__ import annotations

from msgspec import Struct

from dockersim.digest import short
from dockersim.oci import parse_reference
from dockersim.registry.events import (
    ConfigSent,
    LayerExists,
    LayerMounted,
    LayerPreparing,
    LayerPulled,
    LayerPushed,
    ManifestFetched,
    ManifestPut,
    Progress,
    PullEvent,
    PushEvent,
)
from dockersim.views.units import human_size


class Status(Struct, frozen=True):
    """How far one thing is: ``key`` names it ("" for a line that stands alone), ``counting`` if it only counts on."""

    key: str
    text: str
    counting: bool = False

    @property
    def line(self) -> str:
        """The whole line."""
        return f"{self.key}: {self.text}" if self.key else self.text


def push_status(event: PushEvent) -> Status | None:
    """Write an event of a push; None for what docker does not show."""
    match event:
        case LayerPreparing(diff_id, digest):
            return None if digest else Status(short(diff_id), "Preparing")
        case Progress(diff_id, digest, done, total):
            doing = "Pushing" if digest else "Compressing"
            return Status(short(diff_id), f"{doing}  {_count(done, total)}", counting=True)
        case LayerExists(diff_id):
            return Status(short(diff_id), "Layer already exists")
        case LayerMounted(diff_id, _, _, source):
            return Status(short(diff_id), f"Mounted from {source.removeprefix('library/')}")
        case LayerPushed(diff_id):
            return Status(short(diff_id), "Pushed")
        case ConfigSent():
            return None
        case ManifestPut(tag, digest, size):
            return Status("", f"{tag}: digest: {digest} size: {size}")


def pull_status(event: PullEvent, repository: str) -> Status | None:
    """Write an event of a pull from ``repository``; None for what docker does not show."""
    match event:
        case ManifestFetched(name):
            shown = parse_reference(name).canonical() if "@" in name else name.rpartition(":")[2]
            return Status("", f"{shown}: Pulling from {repository}")
        case LayerPreparing(_, digest, _, here):
            return None if here else Status(short(digest), "Pulling fs layer")
        case Progress(_, digest, done, total):
            return Status(short(digest), f"Downloading  {_count(done, total)}", counting=True)
        case LayerExists(_, digest):
            return Status(short(digest), "Already exists")
        case LayerPulled(_, digest):
            return Status(short(digest), "Pull complete")


def _count(done: int, total: int) -> str:
    return f"{human_size(done)}/{human_size(total)}"
