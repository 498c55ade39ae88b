"""How requests are refused: status, code and body, as the spec has them; beside it what docker-registry 2.8.2 does.

The codes are the spec's ("Error Codes"). Where docker-registry does something else, the row says what.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import httpx
import pytest

from dockersim.oci import media_types
from dockersim.registry import Address
from dockersim.registry.problems import Code
from tests.registry.conformance.exchange import digest_of

NOTHING = "sha256:" + "0" * 64
CONFIG = b"{}"
MALFORMED = "sha256:baddigeststring"


def manifest(config: str = digest_of(CONFIG), **more: object) -> bytes:
    described = {"mediaType": media_types.CONFIG, "digest": config, "size": len(CONFIG)}
    document = {"schemaVersion": 2, "mediaType": media_types.MANIFEST, "config": described, "layers": [], **more}
    return json.dumps(document).encode()


class Row(NamedTuple):
    """A request to the repository ``a/b``, which holds CONFIG and the tag ``v1``; ``{session}`` is a new upload."""

    method: str
    path: str
    ours: str
    theirs: str = ""
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012  a NamedTuple's default is shared on purpose, and never changed


def put(name: str, body: bytes, ours: str, theirs: str = "", kind: str = media_types.MANIFEST) -> Row:
    return Row("PUT", f"/v2/a/b/manifests/{name}", ours, theirs, body, {"Content-Type": kind})


def patch(content_range: str, ours: str, theirs: str) -> Row:
    return Row("PATCH", "{session}", ours, theirs, b"abc", {"Content-Range": content_range})


NO_JSON = "not JSON"
UNKNOWN_SESSION = "/v2/a/b/blobs/uploads/00000000-0000-0000-0000-000000000000"
ROWS = {
    # what is not there
    "a blob": Row("GET", f"/v2/a/b/blobs/{NOTHING}", "404 BLOB_UNKNOWN"),
    "a blob, in no repository": Row("GET", f"/v2/no/where/blobs/{NOTHING}", "404 BLOB_UNKNOWN"),
    "a blob to delete": Row("DELETE", f"/v2/a/b/blobs/{NOTHING}", "404 BLOB_UNKNOWN"),
    "a tag": Row("GET", "/v2/a/b/manifests/none", "404 MANIFEST_UNKNOWN"),
    "a manifest": Row("GET", f"/v2/a/b/manifests/{NOTHING}", "404 MANIFEST_UNKNOWN"),
    "a tag, in no repository": Row("GET", "/v2/no/where/manifests/v1", "404 MANIFEST_UNKNOWN"),
    "a manifest to delete": Row("DELETE", f"/v2/a/b/manifests/{NOTHING}", "404 MANIFEST_UNKNOWN"),
    "a tag to delete": Row("DELETE", "/v2/a/b/manifests/none", "404 MANIFEST_UNKNOWN", "400 DIGEST_INVALID"),
    "tags of no repository": Row("GET", "/v2/no/where/tags/list", "404 NAME_UNKNOWN"),
    "an upload": Row("GET", UNKNOWN_SESSION, "404 BLOB_UPLOAD_UNKNOWN", "404 BLOB_UPLOAD_INVALID"),
    "an upload to go on with": Row("PATCH", UNKNOWN_SESSION, "404 BLOB_UPLOAD_UNKNOWN", "404 BLOB_UPLOAD_INVALID"),
    # what is no name
    "a repository": Row("GET", "/v2/A/b/tags/list", "400 NAME_INVALID", "404 NAME_UNKNOWN"),
    "a repository to push to": Row("POST", "/v2/A/b/blobs/uploads/", "400 NAME_INVALID", "202"),
    "a repository of 257 letters": Row(
        "GET", f"/v2/a/{'b' * 255}/tags/list", "400 NAME_INVALID", "500 UNKNOWN"
    ),
    "a repository to mount from": Row(
        "POST", f"/v2/a/b/blobs/uploads/?mount={NOTHING}&from=C", "400 NAME_INVALID", "202"
    ),
    # what is no digest, or that of something else
    "a digest of a blob": Row("GET", f"/v2/a/b/blobs/{MALFORMED}", "400 DIGEST_INVALID"),
    "a digest of a blob to delete": Row("DELETE", f"/v2/a/b/blobs/{MALFORMED}", "400 DIGEST_INVALID"),
    "a digest of a manifest": Row("GET", f"/v2/a/b/manifests/{MALFORMED}", "400 DIGEST_INVALID", "500 UNKNOWN"),
    "a digest of a manifest to delete": Row("DELETE", f"/v2/a/b/manifests/{MALFORMED}", "400 DIGEST_INVALID"),
    "a digest of a manifest to push": put(MALFORMED, manifest(), "400 DIGEST_INVALID", "500 UNKNOWN"),
    "the digest of another manifest": put(NOTHING, manifest(), "400 DIGEST_INVALID"),
    "a digest of a subject": Row("GET", f"/v2/a/b/referrers/{MALFORMED}", "400 DIGEST_INVALID", f"404 {NO_JSON}"),
    "a digest to mount": Row(
        "POST", f"/v2/a/b/blobs/uploads/?mount={MALFORMED}&from=c/d", "400 DIGEST_INVALID", "202"
    ),
    "a digest with a POST": Row(
        "POST", f"/v2/a/b/blobs/uploads/?digest={MALFORMED}", "400 DIGEST_INVALID", "202", b"abc"
    ),
    "a digest with a PUT": Row("PUT", f"{{session}}?digest={MALFORMED}", "400 DIGEST_INVALID", body=b"abc"),
    "a digest by md5": Row("PUT", f"{{session}}?digest=md5:{'0' * 32}", "400 DIGEST_INVALID", body=b"abc"),
    "the digest of another blob": Row("PUT", f"{{session}}?digest={NOTHING}", "400 DIGEST_INVALID", body=b"abc"),
    "no digest": Row("PUT", "{session}", "400 DIGEST_INVALID", body=b"abc"),
    # what is no manifest
    "JSON": put("x", b"{", "400 MANIFEST_INVALID"),
    "a manifest's media type": put("x", manifest(), "400 MANIFEST_INVALID", kind="text/html"),
    "a small manifest": put("x", manifest(annotations={"a": "x" * (5 << 20)}), "413 MANIFEST_INVALID",
                            "400 MANIFEST_INVALID"),
    "complete": put("x", manifest(NOTHING), "404 MANIFEST_BLOB_UNKNOWN", "400 MANIFEST_BLOB_UNKNOWN"),
    # what is no chunk
    "a chunk in its place": patch("5-7", "416 BLOB_UPLOAD_INVALID", "202"),
    "a chunk of that length": patch("0-9", "400 SIZE_INVALID", "202"),
    "a range of a chunk": patch("x", "416 BLOB_UPLOAD_INVALID", "202"),
    # what cannot be asked
    "a request for manifests": Row("POST", "/v2/a/b/manifests/v1", "405 UNSUPPORTED", f"405 {NO_JSON}"),
    "a request for tags": Row("DELETE", "/v2/a/b/tags/list", "405 UNSUPPORTED", f"405 {NO_JSON}"),
    "a number of tags": Row("GET", "/v2/a/b/tags/list?n=x", "400 UNSUPPORTED", "200"),
    "a number that can be": Row("GET", "/v2/_catalog?n=-1", "400 UNSUPPORTED", "200"),
    # who may not
    "a token": Row("GET", "/v2/", "401 UNAUTHORIZED", "200", headers={"Authorization": "Bearer x"}),
    "a user who pushes to Docker Hub": Row("POST", "/v2/a/b/blobs/uploads/?ns=docker.io", "401 UNAUTHORIZED", "202"),
    "the user of that name": Row("POST", "/v2/a/b/blobs/uploads/?ns=docker.io", "403 DENIED", "202",
                                 headers={"Authorization": "Basic Ym9iOnNlY3JldA=="}),
    "a page of this site": Row("POST", "/v2/a/b/blobs/uploads/", "403 DENIED", "202",
                               headers={"Origin": "https://evil.example"}),
}  # fmt: skip


def ask(http: httpx.Client, row: Row) -> httpx.Response:
    """Make one request of a registry that holds what a Row takes for granted."""
    headers = {"Content-Type": media_types.MANIFEST}
    session = httpx.URL(http.post("/v2/a/b/blobs/uploads/").headers["location"])
    http.put(session.copy_merge_params({"digest": digest_of(CONFIG)}), content=CONFIG)
    assert http.put("/v2/a/b/manifests/v1", content=manifest(), headers=headers).status_code == 201
    url = httpx.URL(row.path)
    if row.path.startswith("{session}"):
        asked = dict(httpx.URL(row.path.removeprefix("{session}")).params)
        url = httpx.URL(http.post("/v2/a/b/blobs/uploads/").headers["location"]).copy_merge_params(asked)
    return http.request(row.method, url, content=row.body, headers=row.headers)


def said(answer: httpx.Response) -> str:
    """Write down status and code."""
    if answer.is_success:
        return str(answer.status_code)
    is_json = answer.headers["content-type"].startswith("application/json")
    return f"{answer.status_code} {answer.json()['errors'][0]['code'] if is_json else NO_JSON}"


@pytest.mark.parametrize("what", ROWS)
def test_ours_refuses_as_the_spec_says(shared: Address, what: str) -> None:
    with httpx.Client(base_url=shared.url, trust_env=False) as http:
        answer = ask(http, ROWS[what])
    assert said(answer) == ROWS[what].ours
    (error,) = answer.json()["errors"]
    assert set(error) <= {"code", "message", "detail"} and error["message"]
    assert error["code"] in set(Code) - {Code.UNKNOWN}
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)
    assert ("allow" in answer.headers) == (answer.status_code == 405)


@pytest.mark.peer
@pytest.mark.parametrize("what", ROWS)
def test_docker_registry_refuses_as_the_table_says(debian_registry: str, what: str) -> None:
    with httpx.Client(base_url=debian_registry, trust_env=False) as http:
        assert said(ask(http, ROWS[what])) == (ROWS[what].theirs or ROWS[what].ours)


@pytest.mark.parametrize("path", [f"/v2/a/b/blobs/{NOTHING}", "/v2/a/b/manifests/none", f"/v2/a/b/blobs/{MALFORMED}"])
def test_a_refused_head_has_no_body(shared: Address, path: str) -> None:
    answer = httpx.head(shared.url + path, trust_env=False)
    assert (answer.is_client_error, answer.content) == (True, b"")
