"""The workflow "Content Discovery": tags and referrers."""

from __future__ import annotations

from dockersim.oci import media_types
from tests.registry.conformance import blobs, listings, manifests
from tests.registry.conformance.data import Descriptor
from tests.registry.conformance.exchange import must
from tests.registry.conformance.released.ground import NOWHERE, TAG, TAGS, Content, Ground

BAGEL, CROISSANT = "application/vnd.example.bagel", "application/vnd.example.croissant"
HALF = len(TAGS) // 2


def discover(ground: Ground) -> None:
    """Push four tags and six referrers, and list them."""
    at, (config, manifest), subject = ground.repository, ground.images[2], ground.images[4].manifest
    early, late, orphan = _references(ground, subject)
    setup = ground.below("Content Discovery", "Setup")
    setup("Populate registry with test blob", blobs.post_put, at, *config)
    setup("Populate registry with test layer", blobs.post_put, at, *ground.layer)
    setup("Populate registry with test tags", ground.tag, manifest)
    setup("References setup", _push_references, ground, early, [*late, orphan])
    tags = ground.below("Content Discovery", "Test content discovery endpoints (listing tags)")
    tags("GET request to list tags should yield 200 response", at.send, "GET", "tags/list", 200)
    tags("GET number of tags should be limitable by `n` query parameter", _some_tags, ground)
    tags("GET start of tag is set by `last` query parameter", _next_tags, ground)
    lists = ground.below("Content Discovery", "Test content discovery endpoints (listing references)")
    lists("GET request to nonexistent blob should result in empty 200 response", listings.no_referrers, at, NOWHERE)
    existing, missing = "GET request to existing blob", "GET request to missing manifest"
    lists(f"{existing} should yield 200", _refer, ground, subject.digest, [*early, *late])
    lists(f"{existing} with filter should yield 200", _refer, ground, subject.digest, early[:2], artifactType=BAGEL)
    lists(f"{missing} should yield 200", _refer, ground, ground.images[3].manifest.digest, [orphan])
    teardown = ground.below("Content Discovery", "Teardown")
    all_of_them = [one.digest for one in (*early, *late, orphan, manifest, subject)]
    teardown("Delete created manifest & associated tags", ground.delete, *all_of_them)
    teardown("Delete config blob created in tests", blobs.delete, at, config.digest)
    teardown("Delete layer blob created in setup", blobs.delete, at, ground.layer.digest)
    teardown("References teardown", ground.delete, *all_of_them)


def _references(ground: Ground, subject: Content) -> tuple[list[Content], list[Content], Content]:
    """Make referrers: some to push before their subject, some after it, and one whose subject is not there."""
    of, made = ground.of, []
    about = {"mediaType": media_types.MANIFEST, "digest": subject.digest, "size": len(subject.data)}
    for kind in (BAGEL, CROISSANT):
        more = {"subject": about, "annotations": {"org.example.test": kind}}
        made.append(of.image_of(of.blob(kind.encode(), kind), [of.blob(b"{}", media_types.EMPTY)], **more))
        made.append(of.artifact(kind, **more))
    index: Descriptor = of.index(made[:2], subject=about, artifactType="application/vnd.example.stand")
    orphan = of.artifact(CROISSANT, subject={**about, "digest": ground.images[3].manifest.digest})
    early, late = ([ground.content(one) for one in some] for some in ([*made[:2], index], made[2:]))
    return early, late, ground.content(orphan)


def _push_references(ground: Ground, early: list[Content], late: list[Content]) -> None:
    at = ground.repository
    for digest, data in ground.of.blobs.items():
        blobs.post_put(at, digest, data)
    for referrer in early:
        manifests.put(at, referrer.digest, *referrer)
    manifests.put(at, TAG, *ground.images[4].manifest)
    for referrer in late:
        manifests.put(at, referrer.digest, *referrer)


def _some_tags(ground: Ground) -> None:
    some = ground.tags(n=str(HALF))
    must(len(some) == HALF, f"n={HALF} gives {some}")


def _next_tags(ground: Ground) -> None:
    first = ground.tags(n=str(HALF))
    must(0 < len(first) <= HALF, f"n={HALF} gives {first}")
    after = ground.tags(n=str(HALF), last=first[-1])
    must(not set(first) & set(after), f"{first} are followed by {after}")


def _refer(ground: Ground, subject: str, expected: list[Content], **query: str) -> None:
    answer = listings.index_of(ground.repository, subject, **query)
    digests = {digest for digest, _ in expected}
    listings.must_list(answer, [one for one in ground.of.referrers[subject] if one["digest"] in digests])
    must(len(answer.json()["manifests"]) == len(expected), f"{len(expected)} referrers are not all that is listed")
