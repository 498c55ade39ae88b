"""What the workflows have in common: two repositories, an image for each, and where the results are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import httpx

from tests.registry.conformance import manifests
from tests.registry.conformance.data import AMD64, DataSet, Descriptor
from tests.registry.conformance.exchange import Repository, digest_of
from tests.registry.conformance.walk import Results, judge

NO_TAG = ".INVALID_MANIFEST_NAME"
NOWHERE = digest_of(b"hello world")
"""The digest of a blob that is never pushed."""

TAG, TAGS = "tagtest0", ["test0", "test1", "test2", "test3"]


class Content(NamedTuple):
    """Bytes and their digest."""

    digest: str
    data: bytes


class Image(NamedTuple):
    """An image of its own for each workflow; all have the same layer."""

    config: Content
    manifest: Content


class Ground:
    """Five images and a layer, to be pushed to ``repository``; ``other`` is for mounting."""

    def __init__(self, http: httpx.Client) -> None:
        self.repository, self.other = Repository(http, "conformance/first"), Repository(http, "conformance/second")
        self.results: Results = {}
        self.of = DataSet("released")
        layer, self._diff_id = self.of.layer()
        self.layer = self.content(layer)
        self.images = [self._image(f"workflow {number}", layer) for number in range(5)]

    def _image(self, author: str, layer: Descriptor) -> Image:
        config = self.of.config([self._diff_id], {**AMD64, "author": author})
        return Image(self.content(config), self.content(self.of.image_of(config, [layer])))

    def content(self, descriptor: Descriptor) -> Content:
        """Find what a descriptor describes."""
        digest = descriptor["digest"]
        return Content(digest, (self.of.blobs | self.of.manifests)[digest])

    def below(self, workflow: str, context: str) -> Callable[..., None]:
        """Give what tries the checks of one context: each by its title, its rule, and what the rule is about."""

        def check(title: str, rule: Callable[..., object], *arguments: object, **more: object) -> None:
            name = f"dist-v1.1.1/{workflow}/{context}/{title}"
            name = f"{name}#2" if name in self.results else name
            self.results[name] = judge(workflow, rule, *arguments, **more)

        return check

    def tag(self, manifest: Content) -> None:
        """Push a manifest under four tags."""
        for tag in TAGS:
            manifests.put(self.repository, tag, *manifest)

    def delete(self, *digests: str) -> None:
        """Delete manifests."""
        for digest in digests:
            manifests.delete(self.repository, digest)

    def tags(self, **query: str) -> list[str]:
        """List tags; a repository that is not there has none."""
        answer = self.repository.send("GET", "tags/list", 200, 404, **query)
        return list(answer.json()["tags"] or []) if answer.status_code == 200 else []
