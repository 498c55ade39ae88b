"""The workflow "Content Management": deleting."""

from __future__ import annotations

from tests.registry.conformance import blobs, manifests
from tests.registry.conformance.exchange import Repository, must
from tests.registry.conformance.released.ground import TAG, Ground


def manage(ground: Ground) -> None:
    """Push an image, then delete its tag, its manifest and its blob."""
    at, (config, manifest), tags = ground.repository, ground.images[3], list[str]()
    setup = ground.below("Content Management", "Setup")
    setup("Populate registry with test config blob", blobs.post_put, at, *config)
    setup("Populate registry with test layer", blobs.post_put, at, *ground.layer)
    setup("Populate registry with test tag", manifests.put, at, TAG, *manifest)
    title = "Check how many tags there are before anything gets deleted"
    setup(title, lambda: tags.extend(ground.tags()))
    check = ground.below("Content Management", "Manifest delete")
    title = "DELETE request to manifest tag should return 202, unless tag deletion is disallowed (400/405)"
    check(title, _delete_tag, at)
    title = "DELETE request to manifest (digest) should yield 202 response unless already deleted"
    check(title, manifests.delete, at, manifest.digest)
    title = "GET request to deleted manifest URL should yield 404 response, unless delete is disallowed"
    check(title, manifests.get_missing, at, manifest.digest)
    check("GET request to tags list should reflect manifest deletion", _one_tag_less, ground, tags)
    check = ground.below("Content Management", "Blob delete")
    check("DELETE request to blob URL should yield 202 response", blobs.delete, at, config.digest)
    check("GET request to deleted blob URL should yield 404 response", blobs.get_missing, at, config.digest)


def _delete_tag(at: Repository) -> None:
    answer = at.send("DELETE", f"manifests/{TAG}", 202, 400, 405)
    refused = answer.json()["errors"][0]["code"] if answer.status_code == 400 else "UNSUPPORTED"
    must(refused == "UNSUPPORTED", f"deleting a tag is answered by 400 {refused}")


def _one_tag_less(ground: Ground, before: list[str]) -> None:
    must(len(ground.tags()) == len(before) - 1, f"of {before}, {ground.tags()} are left")
