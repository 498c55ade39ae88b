"""The rules about what a registry lists: that it is one, tags, referrers."""

from __future__ import annotations

import re
from typing import Any

import httpx

from dockersim.oci import media_types
from tests.registry.conformance.data import DataSet, Descriptor
from tests.registry.conformance.exchange import Repository, Unsupported, has_header, must


def ping(repository: Repository) -> None:
    """``/v2/`` answers; where it asks who we are, a token for nobody in particular must do."""
    answer = repository.send("GET", "/v2/", 200, 401)
    if answer.status_code == 401:
        asked = dict(re.findall(r'(\w+)="([^"]*)"', answer.headers.get("www-authenticate", "")))
        must("realm" in asked, "a 401 that does not say where to log in")
        # The suite, when it has no user, sends credentials that are empty.
        nobody = httpx.BasicAuth("", "")
        token = repository.http.get(asked["realm"], params={"service": asked.get("service", "")}, auth=nobody)
        must(token.status_code == 200, f"the token server answers {token.status_code}")
        repository.send("GET", "/v2/", 200, headers={"Authorization": f"Bearer {token.json()['token']}"})


def tags_of_nothing(repository: Repository) -> None:
    """A repository that is not there has no tags, or is not found."""
    answer = repository.send("GET", "tags/list", 200, 404)
    must(answer.status_code == 404 or not answer.json()["tags"], "a repository that is not there has tags")


def tags(repository: Repository, of: DataSet) -> None:
    """Every tag that was pushed is listed; after ``last`` come those that follow it."""
    listed = _tags(repository)
    must(set(of.tags) <= set(listed), f"{sorted(set(of.tags) - set(listed))} were pushed and are not listed")
    half = len(listed) // 2
    if half:
        after = _tags(repository, last=sorted(listed)[half - 1])
        must(sorted(after) == sorted(listed)[half:], f"after {sorted(listed)[half - 1]!r} come {after}")


def _tags(repository: Repository, **query: str) -> list[str]:
    answer = repository.send("GET", "tags/list", 200, 404, **query)
    return list(answer.json()["tags"] or []) if answer.status_code == 200 else []


def no_referrers(repository: Repository, digest: str) -> None:
    """What nothing refers to has an empty list of referrers, and never a 404."""
    must(index_of(repository, digest).json()["manifests"] == [], "something refers to what nothing refers to")


def referrers(repository: Repository, of: DataSet) -> None:
    """Every referrer is listed with its type and annotations; a filter that is applied leaves only that type."""
    lacks_filter = False
    for subject, expected in of.referrers.items():
        must_list(index_of(repository, subject), expected)
        for kind in {one.get("artifactType", "") for one in expected}:
            answer = index_of(repository, subject, artifactType=kind)
            must_list(answer, [one for one in expected if one.get("artifactType", "") == kind])
            if "artifactType" not in re.split(r", *", answer.headers.get("oci-filters-applied", "")):
                lacks_filter = True
                continue
            others = [one for one in answer.json()["manifests"] if one.get("artifactType", "") != kind]
            must(not others, f"artifactType={kind} also lists {others}")
    if lacks_filter:
        raise Unsupported("referrers are not filtered by artifactType")


def index_of(repository: Repository, subject: str, **query: str) -> httpx.Response:
    """Ask for the referrers of a digest: whatever there are, the answer is an index."""
    answer = repository.send("GET", f"referrers/{subject}", 200, **query)
    has_header(answer, "Content-Type", media_types.INDEX)
    index = answer.json()
    kind = (index.get("schemaVersion"), index.get("mediaType"))
    must(kind == (2, media_types.INDEX), f"the list of referrers is no index: {kind}")
    return answer


def must_list(answer: httpx.Response, expected: list[Descriptor]) -> None:
    """Check that referrers are listed with all that is told of them."""
    listed: list[dict[str, Any]] = answer.json()["manifests"]
    for one in expected:
        must(any(_is_as(found, one) for found in listed), f"{one['digest']} is not listed as it should be: {listed}")


def _is_as(found: dict[str, Any], expected: Descriptor) -> bool:
    same = all(found.get(name) == value for name, value in expected.items() if name != "annotations")
    return same and expected["annotations"].items() <= (found.get("annotations") or {}).items()
