"""Push and pull as docker's lines: ``5f70bf18a086: Layer already exists``.

The words are docker's (moby distribution/push_v2.go, pull_v2.go). A push shows a layer by its diff id, a pull by the
digest of the blob, as there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from dockersim.digest import short
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
from dockersim.registry.wire import WireEvent, explain
from dockersim.views.tables import table
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
        case Progress(diff_id, _, done, total):
            return Status(short(diff_id), f"Pushing  {_count(done, total)}", counting=True)
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
            tag = name.rpartition("@")[2] if "@" in name else name.rpartition(":")[2]
            return Status("", f"{tag}: Pulling from {repository}")
        case LayerPreparing(_, digest):
            return Status(short(digest), "Pulling fs layer")
        case Progress(_, digest, done, total):
            return Status(short(digest), f"Downloading  {_count(done, total)}", counting=True)
        case LayerExists(_, digest):
            return Status(short(digest), "Already exists")
        case LayerPulled(_, digest):
            return Status(short(digest), "Pull complete")


def wire_table(requests: Iterable[WireEvent]) -> str:
    """Lay out the requests of a transfer: what was asked, what was answered, and below it what it was for."""
    events = sorted(requests, key=lambda event: event.at)  # a log notes a request when its answer has come
    rows = [
        (event.method, str(event.status or "-"), human_size(event.bytes_out), human_size(event.bytes_in),
         _short_path(event))
        for event in events
    ]  # fmt: skip
    header, *lines = table(("METHOD", "STATUS", "SENT", "RECEIVED", "PATH"), rows).split("\n")
    meanings = (f"  {explain(event)}" for event in events)
    return "\n".join([header, *(line for pair in zip(lines, meanings, strict=True) for line in pair)])


_SESSION: Final = re.compile(r"(?<=/uploads/)([0-9a-zA-Z-]{8})[0-9a-zA-Z-]+")


def _short_path(event: WireEvent) -> str:
    """Cut digests and upload sessions to the length at which people can still tell them apart."""
    # ns= repeats on every request which registry is meant (containerd's way of asking a mirror).
    path = re.sub(r"[?&]ns=[^&]*", "", event.path.replace("%3A", ":").replace("%2C", ","))
    path = _SESSION.sub(r"\1…", path)
    return path.replace(event.digest, f"{event.digest[:19]}…") if event.digest else path


def _count(done: int, total: int) -> str:
    return f"{human_size(done)}/{human_size(total)}"
