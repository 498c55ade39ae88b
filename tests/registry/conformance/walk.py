"""The suite itself: which rule is tried with which data, in which order, under which name.

A name is a path, ``index/push/blob-post-put``; a rule that is tried several times under one name counts once, with its
worst outcome. The official suite pushes each blob in the first way that works; this one pushes it in every way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import httpx

from tests.registry.conformance import blobs, listings, manifests
from tests.registry.conformance.data import SETS, DataSet, data_set
from tests.registry.conformance.exchange import Repository, Unsupported, Violated, digest_of

RULES: dict[str, Callable[..., None]] = {
    "ping": listings.ping,
    "tag list (empty)": listings.tags_of_nothing,
    "referrers (empty)": listings.no_referrers,
    "get-missing": blobs.get_missing,
    **blobs.FORMS,
    "blob-mount": blobs.mount,
    "blob-mount-anonymous": blobs.mount,
    "blob-post-cancel": blobs.cancel,
    "blob-head": blobs.head,
    "blob-get": blobs.get,
    "blob-delete": blobs.delete,
    "range": blobs.get_range,
    "manifest-by-digest (push)": manifests.put,
    "manifest-by-tag (push)": manifests.put,
    "tag-list": listings.tags,
    "manifest-head-by-tag": manifests.head,
    "manifest-head-by-digest": manifests.head,
    "manifest-by-tag (pull)": manifests.get,
    "manifest-by-digest (pull)": manifests.get,
    "referrers": listings.referrers,
    "tag-delete": manifests.delete,
    "manifest-delete": manifests.delete,
    "missing-manifest/by-digest": manifests.get_missing,
    "missing-manifest/by-tag": manifests.get_missing,
    "invalid-digest-format/manifest-put": manifests.put_malformed,
    "invalid-digest-format/manifest-get": manifests.get_malformed,
}
"""The functions for the rules, by the rules' names in the recorded suite."""

RANGES = {
    "500-1499": slice(500, 1500), "500-": slice(500, None), "-500": slice(-500, None), "2000-5000": slice(2000, None),
    "500-0": None, "5000-10000": None,
}  # fmt: skip
"""Ranges of a blob of 2048 bytes, and what they are; None is no range at all."""

WRONG = {
    "post only": "blob-post-only", "post+put": "blob-post-put", "chunked": "blob-patch-chunked",
    "chunked and put chunk": "blob-patch-chunked", "stream": "blob-patch-stream",
}  # fmt: skip
"""The ways in which bytes are pushed under the digest of others, and the rules for them."""

THREE_CHUNKS = 3 * blobs.SMALLEST_CHUNK - 5


class Outcome(IntEnum):
    """How a check ended; a greater one is worse. Skipped: the registry lacks what the spec does not demand."""

    PASSED = 0
    SKIPPED = 1
    FAILED = 2


@dataclass(frozen=True)
class Result:
    """The outcome of one check, the rule that it tried, and why it did not pass."""

    outcome: Outcome
    rule: str
    why: str = ""


Results = dict[str, Result]
"""The results by the names of the checks."""


def walk(http: httpx.Client) -> Results:
    """Try everything at one registry."""
    suite = _Suite(Repository(http, "conformance/repo1"), Repository(http, "conformance/repo2"))
    suite.nothing_yet()
    for algorithm in ("sha256", "sha512"):
        suite.blob_requests(algorithm)
    for name in SETS:
        suite.data(data_set(name))
    suite.errors()
    return suite.results


class _Suite:
    def __init__(self, repository: Repository, other: Repository) -> None:
        self.repository, self.other = repository, other
        self.results: Results = {}

    def check(self, name: str, rule: str, *arguments: object, at: Repository | None = None, **more: object) -> bool:
        """Try one rule, in the first repository unless another is given; True if the registry keeps it."""
        result = judge(rule, RULES[rule], at or self.repository, *arguments, **more)
        if name not in self.results or result.outcome > self.results[name].outcome:
            self.results[name] = result
        return result.outcome is Outcome.PASSED

    def below(self, path: str, rule: str, *arguments: object, **more: Any) -> bool:
        """Try one rule under its own name below ``path``."""
        return self.check(f"{path}/{rule.partition(' (')[0]}", rule, *arguments, **more)

    def nothing_yet(self) -> None:
        self.check("ping", "ping")
        self.check("empty/tag list", "tag list (empty)")
        self.check("empty/referrers", "referrers (empty)", digest_of(b"nobody refers to this"))

    # Requests for blobs, each with a blob of its own

    def blob_requests(self, algorithm: str) -> None:
        of = DataSet(f"{algorithm} blobs", algorithm=algorithm)
        self.below(of.name, "get-missing", digest_of(b"never pushed", algorithm))
        self._blob(of, "post only", "blob-post-only")
        self._blob(of, "post+put", "blob-post-put")
        self._blob(of, "chunked single", "blob-patch-chunked")
        self._blob(of, "stream", "blob-patch-stream")
        self._blob(of, "mount", "blob-mount", elsewhere=True, source=self.other.name)
        self._blob(of, "mount anonymous", "blob-mount-anonymous", elsewhere=True)
        self._blob(of, "mount missing", "blob-mount", source=self.other.name, missing=True)
        self._cancel(of)
        for order, out_of_order in (("multi", False), ("out-of-order", True)):
            for ending, put_last in (("", False), (" and put chunk", True)):
                flags = {"put_last": put_last, "out_of_order": out_of_order}
                self._blob(of, f"chunked {order}{ending}", "blob-patch-chunked", size=THREE_CHUNKS, **flags)
        self._ranges(of)
        self._well_known(of, "empty", b"")
        self._well_known(of, "emptyJSON", b"{}")
        self._wrong_digests(of)

    def _blob(
        self, of: DataSet, case: str, rule: str, *, size: int = 512, elsewhere: bool = False, **more: object
    ) -> None:
        where, (digest, data) = f"{of.name}/{case}", _new(of, size)
        if elsewhere:
            self._push_in_every_way(where, digest, data, at=self.other)
        if self.below(where, rule, digest, data, **more):
            self._look_at_blob(where, digest, data)
        for repository in (self.repository, self.other) if elsewhere else (self.repository,):
            self.below(where, "blob-delete", digest, at=repository)

    def _cancel(self, of: DataSet) -> None:
        self.below(f"{of.name}/post cancel", "blob-post-cancel")
        self.below(f"{of.name}/post cancel", "blob-delete", _new(of)[0])

    def _ranges(self, of: DataSet) -> None:
        where, (digest, data) = f"{of.name}/range requests", _new(of, 2048)
        if self._push_in_every_way(where, digest, data):
            for asked, part in RANGES.items():
                self.check(f"{where}/range {asked}", "range", digest, data, asked=asked, part=part)
            self.below(where, "blob-delete", digest)

    def _well_known(self, of: DataSet, case: str, data: bytes) -> None:
        where, digest = f"{of.name}/{case}", of.blob(data)["digest"]
        self._push_in_every_way(where, digest, data)
        self._look_at_blob(where, digest, data)
        self.below(where, "blob-delete", digest)

    def _wrong_digests(self, of: DataSet) -> None:
        for case, rule in WRONG.items():
            digest, data = _new(of, THREE_CHUNKS)
            flags = {"put_last": True} if case.endswith("put chunk") else {}
            self.below(f"{of.name}/bad digest {case}", rule, digest, data + b"oh no", wrong=True, **flags)

    def _push_in_every_way(self, where: str, digest: str, data: bytes, at: Repository | None = None) -> bool:
        worked = [self.below(where, form, digest, data, at=at) for form in blobs.FORMS]
        return any(worked)

    def _look_at_blob(self, where: str, digest: str, data: bytes) -> None:
        self.below(where, "blob-head", digest, data)
        self.below(where, "blob-get", digest, data)

    # The data sets

    def data(self, of: DataSet) -> None:
        tags = self._push(of, f"{of.name}/push")
        self.below(of.name, "tag-list", of)
        self._look(of, f"{of.name}/head", "manifest-head-by-{}", "blob-head")
        self._look(of, f"{of.name}/pull", "manifest-by-{} (pull)", "blob-get")
        if of.referrers:
            self.below(of.name, "referrers", of)
        self._delete(of, f"{of.name}/delete", tags)

    def _push(self, of: DataSet, where: str) -> list[str]:
        """Push it all; the tags that could be pushed."""
        for digest, data in of.blobs.items():
            self._push_in_every_way(where, digest, data)
        for digest, data in of.manifests.items():
            self.below(where, "manifest-by-digest (push)", digest, digest, data, wrong=digest in of.broken)
        put = "manifest-by-tag (push)"
        return [tag for tag, digest in of.tags.items() if self.below(where, put, tag, digest, of.manifests[digest])]

    def _look(self, of: DataSet, where: str, manifest_rule: str, blob_rule: str) -> None:
        for tag, digest in of.tags.items():
            self.below(where, manifest_rule.format("tag"), tag, digest, of.manifests[digest])
        for digest, data in of.manifests.items():
            if digest not in of.broken:
                self.below(where, manifest_rule.format("digest"), digest, digest, data)
        for digest, data in of.blobs.items():
            self.below(where, blob_rule, digest, data)

    def _delete(self, of: DataSet, where: str, tags: list[str]) -> None:
        for tag in tags:
            self.below(where, "tag-delete", tag)
        for digest in reversed(of.manifests):
            self.below(where, "manifest-delete", digest)
        for digest in of.blobs:
            self.below(where, "blob-delete", digest)

    # Asking for what cannot be

    def errors(self) -> None:
        self._same_name("missing-manifest/by-digest", digest_of(b"no such manifest"))
        self._same_name("missing-manifest/by-tag", "missing-tag")
        of = DataSet("invalid-digest-format")
        manifest = of.manifests[of.image(layers=1)["digest"]]
        for digest, data in of.blobs.items():
            self._push_in_every_way(of.name, digest, data)
        self._same_name(f"{of.name}/manifest-put", manifest)
        self._same_name(f"{of.name}/manifest-get")
        self._delete(of, f"{of.name}/delete", [])

    def _same_name(self, name: str, *arguments: object) -> None:
        self.check(name, name, *arguments)


def judge(rule: str, function: Callable[..., object], *arguments: object, **more: object) -> Result:
    """Try what checks a rule; tell how it ended."""
    try:
        function(*arguments, **more)
    except Violated as violated:
        return Result(Outcome.FAILED, rule, str(violated))
    except Unsupported as unsupported:
        return Result(Outcome.SKIPPED, rule, str(unsupported))
    except httpx.TransportError as error:
        return Result(Outcome.FAILED, rule, f"the connection broke: {error!r}")
    return Result(Outcome.PASSED, rule)


def _new(of: DataSet, size: int = 512) -> tuple[str, bytes]:
    """Make up a blob."""
    data = of.octets(size)
    return of.blob(data)["digest"], data


def group_of(name: str) -> str:
    """Say to which part of the suite a check belongs, in the words of the recorded suite."""
    match name.partition("/")[0]:
        case "ping" | "empty":
            return "empty/ping"
        case "sha256 blobs" | "sha512 blobs":
            return "blob APIs"
        case "missing-manifest" | "invalid-digest-format":
            return "errors"
        case data:
            return f"data: {data}"
