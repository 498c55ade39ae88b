"""What a delete or a garbage collection frees, as lines.

>>> from dockersim.registry.plans import Blob, Holder
>>> own = Blob("sha256:" + "b" * 64, 512, "layer")
>>> shared = Blob("sha256:" + "a" * 64, 28_000_000, "layer", (Holder("bob/app", "sha256:" + "c" * 64, ("v1",)),))
>>> plan = Removal("alice/app", "sha256:" + "d" * 64, tags=("v1",), freed=(own,), kept=(shared,))
>>> print("\\n".join(removal_lines(plan)))
This removes the manifest dddddddddddd and its tags: v1.
Garbage collection can then free 512B:
  layer   512B     bbbbbbbbbbbb
It must keep 28MB:
  layer   28MB     aaaaaaaaaaaa   named by bob/app:v1
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dockersim.digest import short
from dockersim.registry.plans import Blob, Collection, Holder, Removal
from dockersim.registry.upkeep import Collected
from dockersim.views.units import human_size

MOST_HOLDERS = 3
"""So many of those that share a blob are named."""


def removal_lines(plan: Removal) -> Iterator[str]:
    """Say what follows from a delete."""
    if plan.tag:
        others = f" (it has the tag {', '.join(plan.other_tags)} too)" if plan.other_tags else ""
        yield f"This removes the tag {plan.tag}: a name. The manifest {short(plan.digest)} stays{others}."
        yield "Nothing can be freed by it; --manifest removes the manifest itself."
        return
    tags = f" and its tags: {', '.join(plan.tags)}" if plan.tags else ", which has no tag"
    yield f"This removes the manifest {short(plan.digest)}{tags}."
    if plan.freed:
        yield f"Garbage collection can then free {human_size(plan.bytes_freed)}:"
        yield from _blob_lines(plan.freed)
    else:
        yield "Garbage collection can free nothing then: other manifests name all its blobs."
    if plan.kept:
        yield f"It must keep {human_size(sum(blob.size for blob in plan.kept))}:"
        yield from _blob_lines(plan.kept)
    for holders, words in (
        (plan.indexes, "An index lists it, and will miss it"),
        (plan.referrers, "It is the subject of what stays behind"),
        (plan.children, "It is an index; the manifests it lists stay"),
    ):
        if holders:
            yield f"{words}: {_named(holders)}."


def collection_lines(plan: Collection, *, asked: bool = False) -> Iterator[str]:
    """Say what garbage collection would free; ``asked`` that the manifests without a tag were to go before."""
    yield f"{human_size(plan.kept_bytes)} in {plan.kept_blobs} blobs are named by manifests, and stay."
    if plan.freed:
        yield f"{human_size(plan.bytes_freed)} are named by none, and can be freed:"
        yield from _blob_lines(plan.freed)
    if plan.waiting:
        yield f"{human_size(plan.bytes_waiting)} are named by none, but came within the last hour:"
        yield from _blob_lines(plan.waiting)
        yield "A push sends its manifest last, so they may belong to one that is under way. --all frees them too."
    if not plan.freed and not plan.waiting:
        yield "There is no garbage."
    if plan.untagged:
        remedy = "They came within the last hour; --all removes them too" if asked else "--delete-untagged removes them"
        yield f"Manifests that no tag leads to: {len(plan.untagged)}. {remedy}."


def collected_line(collected: Collected) -> str:
    """Say what garbage collection has done."""
    held = f"the disk held {human_size(collected.before, 4)}, and holds {human_size(collected.after, 4)} now"
    return f"Total reclaimed space: {human_size(collected.freed, 4)}; {held}."


def _blob_lines(blobs: Sequence[Blob]) -> Iterator[str]:
    width = max(len(blob.what) for blob in blobs)
    for blob in blobs:
        named = f"   named by {_named(blob.holders)}" if blob.holders else ""
        yield f"  {blob.what:<{width}}   {human_size(blob.size):<8} {short(blob.digest)}{named}"


def _named(holders: tuple[Holder, ...]) -> str:
    more = f" and {len(holders) - MOST_HOLDERS} more" if len(holders) > MOST_HOLDERS else ""
    return "; ".join(map(str, holders[:MOST_HOLDERS])) + more
