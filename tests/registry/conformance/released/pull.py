"""The workflow "Pull"."""

from __future__ import annotations

from dockersim.registry.problems import Code
from tests.registry.conformance import blobs, manifests
from tests.registry.conformance.exchange import Repository, must
from tests.registry.conformance.released.ground import NO_TAG, NOWHERE, TAG, Ground, Image


def pull(ground: Ground) -> None:
    """Push two images, and pull them and what is not there."""
    first, second, at = ground.images[0], ground.images[1], ground.repository
    setup = ground.below("Pull", "Setup")
    setup("Populate registry with test blob", blobs.post_put, at, *first.config)
    setup("Populate registry with test blob", blobs.post_put, at, *second.config)
    setup("Populate registry with test layer", blobs.post_put, at, *ground.layer)
    setup("Populate registry with test manifest", manifests.put, at, TAG, *first.manifest)
    setup("Populate registry with test manifest", manifests.put, at, second.manifest.digest, *second.manifest)
    _pull_blobs(ground, first)
    _pull_manifests(ground, first, second)
    ground.below("Pull", "Error codes")("400 response body should contain OCI-conforming JSON message", _error, at)
    teardown = ground.below("Pull", "Teardown")
    for number, image in enumerate((first, second)):
        teardown(f"Delete manifest[{number}] created in setup", manifests.delete, at, image.manifest.digest)
    for number, image in enumerate((first, second)):
        teardown(f"Delete config[{number}] blob created in setup", blobs.delete, at, image.config.digest)
    teardown("Delete layer blob created in setup", blobs.delete, at, ground.layer.digest)


def _pull_blobs(ground: Ground, image: Image) -> None:
    at, check = ground.repository, ground.below("Pull", "Pull blobs")
    check("HEAD request to nonexistent blob should result in 404 response", at.send, "HEAD", f"blobs/{NOWHERE}", 404)
    check("HEAD request to existing blob should yield 200", blobs.head, at, *image.config)
    check("GET nonexistent blob should result in 404 response", blobs.get_missing, at, NOWHERE)
    check("GET request to existing blob URL should yield 200", blobs.get, at, *image.config)


def _pull_manifests(ground: Ground, *images: Image) -> None:
    at, check = ground.repository, ground.below("Pull", "Pull manifests")
    for asked, missing, rule in (("HEAD request to", "HEAD request to", manifests.head),
                                 ("GET request to", "GET", manifests.get)):  # fmt: skip
        check(
            f"{missing} nonexistent manifest should return 404", at.send, asked.split()[0], f"manifests/{NO_TAG}", 404
        )
        for number, (_, manifest) in enumerate(images):
            title = f"{asked} manifest[{number}] path (digest) should yield 200 response"
            check(title, rule, at, manifest.digest, *manifest)
        check(f"{asked} manifest path (tag) should yield 200 response", rule, at, TAG, *images[0].manifest)


def _error(at: Repository) -> None:
    answer = at.send("GET", "manifests/sha256:totallywrong", 400, 404)
    must(answer.status_code == 404 or answer.json()["errors"][0]["code"] in set(Code), "no error code of the spec")
