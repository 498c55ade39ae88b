"""The requests of the spec one by one, as raw HTTP: what the recorded suites ask for, and what attackers would."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from dockersim.oci import media_types
from dockersim.registry import Address, FileLog
from dockersim.registry.server.manifests import DEEPEST_MANIFEST
from dockersim.registry.server.repositories import RegistryStore

BLOB = bytes(range(256)) * 8
CONFIG = b"{}"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
REPOSITORY = "test/app"


def sha(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def start(http: httpx.Client) -> str:
    answer = http.post(f"/v2/{REPOSITORY}/blobs/uploads/")
    assert answer.status_code == 202
    return answer.headers["location"]


def close(http: httpx.Client, location: str, digest: str, data: bytes = b"") -> httpx.Response:
    return http.put(location, params={"digest": digest}, content=data)


def upload(http: httpx.Client, data: bytes) -> str:
    assert close(http, start(http), sha(data), data).status_code == 201
    return sha(data)


def code(answer: httpx.Response) -> str:
    return answer.json()["errors"][0]["code"]


def manifest(**more: Any) -> bytes:
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha(CONFIG), "size": len(CONFIG)}
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [], **more}).encode()


def put(http: httpx.Client, name: str, data: bytes, media_type: str = MANIFEST_TYPE) -> httpx.Response:
    url = f"/v2/{REPOSITORY}/manifests/{name}"
    return http.put(url, content=data, headers={"Content-Type": media_type})


# Forms of upload


def post_only(http: httpx.Client, digest: str) -> httpx.Response:
    return http.post(f"/v2/{REPOSITORY}/blobs/uploads/", params={"digest": digest}, content=BLOB)


def post_put(http: httpx.Client, digest: str) -> httpx.Response:
    return close(http, start(http), digest, BLOB)


def chunked(http: httpx.Client, digest: str) -> httpx.Response:
    location = start(http)
    for first in range(0, len(BLOB), 500):
        piece = BLOB[first : first + 500]
        headers = {"Content-Range": f"{first}-{first + len(piece) - 1}"}
        answer = http.patch(location, content=piece, headers=headers)
        assert (answer.status_code, answer.headers["range"]) == (202, f"0-{first + len(piece) - 1}")
        location = answer.headers["location"]
    return close(http, location, digest)


def chunked_last_in_put(http: httpx.Client, digest: str) -> httpx.Response:
    location = start(http)
    http.patch(location, content=BLOB[:1000], headers={"Content-Range": "0-999"})
    headers = {"Content-Range": f"1000-{len(BLOB) - 1}"}
    return http.put(location, params={"digest": digest}, content=BLOB[1000:], headers=headers)


def streamed(http: httpx.Client, digest: str) -> httpx.Response:
    location = start(http)
    answer = http.patch(location, content=iter([BLOB[:7], BLOB[7:]]))
    return close(http, answer.headers["location"], digest)


FORMS = [post_only, post_put, chunked, chunked_last_in_put, streamed]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_upload(http: httpx.Client, form: Any, algorithm: str) -> None:
    digest = sha(BLOB, algorithm)
    answer = form(http, digest)
    assert (answer.status_code, answer.headers["docker-content-digest"]) == (201, digest)
    got = http.get(answer.headers["location"])
    assert (got.content, got.headers["docker-content-digest"]) == (BLOB, digest)
    head = http.head(answer.headers["location"])
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(BLOB)), b"")


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_digest_stores_nothing(http: httpx.Client, root: Path, form: Any) -> None:
    answer = form(http, sha(b"something else"))
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")
    assert http.head(f"/v2/{REPOSITORY}/blobs/{sha(b'something else')}").status_code == 404
    assert [path for path in root.rglob("*") if path.is_file() and "_uploads" in str(path)] == []
    assert not list((root / "blobs").rglob("*/*"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "digest", ["sha256:bad", "sha256:", "md5:" + "a" * 32, "sha256:" + "A" * 64, "sha256:../../../x"]
)
def test_a_malformed_digest_is_digest_invalid(http: httpx.Client, form: Any, digest: str) -> None:
    answer = form(http, digest)
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")


def test_a_chunk_out_of_order_is_refused_and_the_session_goes_on(http: httpx.Client) -> None:
    location = start(http)
    http.patch(location, content=BLOB[:100], headers={"Content-Range": "0-99"})
    for wrong in ("0-99", "200-299", "101-100", "x"):
        assert http.patch(location, content=BLOB[200:300], headers={"Content-Range": wrong}).status_code == 416
    status = http.get(location)
    assert (status.status_code, status.headers["range"]) == (204, "0-99")
    assert close(http, location, sha(BLOB), BLOB[100:]).status_code == 201


@pytest.mark.parametrize("tenth", range(1, 10))
def test_an_upload_cut_off_goes_on_where_it_stopped(http: httpx.Client, server: Address, tenth: int) -> None:
    location, cut = start(http), len(BLOB) * tenth // 10
    with socket.create_connection((server.host, server.port)) as raw:
        head = f"PATCH {location} HTTP/1.1\r\nHost: {server.registry}\r\nContent-Length: {len(BLOB)}\r\n\r\n"
        raw.sendall(head.encode() + BLOB[:cut])
    # What the server had not read when the connection broke is lost: only its own word counts. And what is still on
    # its way may come between two requests: then the answer is 416, and one asks again.
    status = 416
    while status == 416:
        kept = int(http.get(location).headers["range"].removeprefix("0-"))
        kept = kept + 1 if kept else 0
        assert kept <= cut
        headers = {"Content-Range": f"{kept}-{len(BLOB) - 1}"}
        status = http.patch(location, content=BLOB[kept:], headers=headers).status_code
    assert status == 202
    assert close(http, location, sha(BLOB)).status_code == 201


def test_of_an_upload_cut_off_what_was_read_is_kept(http: httpx.Client, server: Address, root: Path) -> None:
    location = start(http)
    with socket.create_connection((server.host, server.port)) as raw:
        head = f"PATCH {location} HTTP/1.1\r\nHost: {server.registry}\r\nContent-Length: 9000000\r\n\r\n"
        raw.sendall(head.encode() + bytes(3_000_000))
        (file,) = root.glob("repositories/test/app/_uploads/*")
        while file.stat().st_size < 2_000_000:
            time.sleep(0.01)
    assert int(http.get(location).headers["range"].removeprefix("0-")) >= 2_000_000 - 1


def test_a_session_can_be_given_up(http: httpx.Client) -> None:
    location = start(http)
    assert http.delete(location).status_code == 204
    for answer in (http.get(location), http.patch(location, content=b"x"), close(http, location, sha(b""))):
        assert (answer.status_code, code(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_session_belongs_to_its_repository(http: httpx.Client) -> None:
    location = start(http).replace(REPOSITORY, "test/other")
    assert http.patch(location, content=b"x").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=100-199", 206, slice(100, 200)),
        ("bytes=2000-", 206, slice(2000, None)),
        ("bytes=2000-5000", 206, slice(2000, None)),
        ("bytes=-10", 206, slice(-10, None)),
        ("bytes=-5000", 206, slice(None)),
        ("bytes=500-0", 416, None),
        ("bytes=5000-10000", 416, None),
        ("bytes=2048-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=0-1,5-6", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
    ],
)
def test_range(http: httpx.Client, asked: str, status: int, part: slice | None) -> None:
    url = f"/v2/{REPOSITORY}/blobs/{upload(http, BLOB)}"
    answer = http.get(url, headers={"Range": asked})
    assert answer.status_code == status
    if part is None:
        assert answer.headers["content-range"] == "bytes */2048"
        return
    assert answer.content == BLOB[part]
    if status == 206:
        first = part.indices(2048)[0]
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/2048"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "asked,status",
    [('"{}"', 304), ('W/"{}"', 304), ('"sha256:other", "{}"', 304), ("*", 304), ("{}", 304), ('"other"', 200)],
)
def test_what_the_client_has_is_not_sent_again(http: httpx.Client, method: str, asked: str, status: int) -> None:
    digest = upload(http, BLOB)
    upload(http, CONFIG)
    put(http, "v1", manifest())
    for path, named in ((f"blobs/{digest}", digest), ("manifests/v1", sha(manifest()))):
        url = f"/v2/{REPOSITORY}/{path}"
        answer = http.request(method, url, headers={"If-None-Match": asked.format(named)})
        assert (answer.status_code, answer.headers["etag"]) == (status, f'"{named}"')
        assert answer.headers["docker-content-digest"] == named
        assert bool(answer.content) == (method == "GET" and status == 200)


def test_a_part_of_something_else_is_not_sent(http: httpx.Client) -> None:
    digest = upload(http, BLOB)
    for said, status in ((f'"{digest}"', 206), ('"other"', 200), ("Sat, 28 Nov 2026 03:34:22 GMT", 200)):
        headers = {"Range": "bytes=1-2", "If-Range": said}
        assert http.get(f"/v2/{REPOSITORY}/blobs/{digest}", headers=headers).status_code == status


def test_an_empty_blob(http: httpx.Client) -> None:
    assert http.get(f"/v2/{REPOSITORY}/blobs/{upload(http, b'')}").content == b""


def test_mount_from_where_it_is_and_from_where_it_is_not(http: httpx.Client) -> None:
    digest = upload(http, BLOB)
    url = "/v2/test/other/blobs/uploads/"
    assert http.get(f"/v2/test/other/blobs/{digest}").status_code == 404
    assert http.post(url, params={"mount": digest, "from": "test/nowhere"}).status_code == 202
    assert http.post(url, params={"mount": digest, "from": REPOSITORY}).status_code == 201
    assert http.get(f"/v2/test/other/blobs/{digest}").content == BLOB


def test_mount_from_anywhere_but_not_what_was_deleted_everywhere(http: httpx.Client) -> None:
    digest = upload(http, BLOB)
    url = "/v2/test/other/blobs/uploads/"
    assert http.post(url, params={"mount": digest}).status_code == 201
    for repository in ("test/other", REPOSITORY):
        assert http.delete(f"/v2/{repository}/blobs/{digest}").status_code == 202
    assert http.post(url, params={"mount": digest}).status_code == 202
    assert http.get(f"/v2/test/other/blobs/{digest}").status_code == 404


# Manifests


def test_manifest_by_tag_and_digest_with_its_own_bytes(http: httpx.Client) -> None:
    upload(http, CONFIG)
    data = manifest(annotations={"newField": "x"}, unknown=[1, {"a": None}])
    answer = put(http, "v1", data)
    assert (answer.status_code, answer.headers["docker-content-digest"]) == (201, sha(data))
    for name in ("v1", sha(data)):
        for method in ("GET", "HEAD"):
            got = http.request(method, f"/v2/{REPOSITORY}/manifests/{name}")
            assert (got.status_code, got.headers["content-type"]) == (200, MANIFEST_TYPE)
            assert (got.headers["content-length"], got.headers["docker-content-digest"]) == (str(len(data)), sha(data))
    assert http.get(f"/v2/{REPOSITORY}/manifests/v1").content == data


def test_manifest_by_sha512(http: httpx.Client) -> None:
    upload(http, CONFIG)
    digest = sha(manifest(), "sha512")
    assert put(http, digest, manifest()).headers["docker-content-digest"] == digest
    assert http.get(f"/v2/{REPOSITORY}/manifests/{digest}").content == manifest()


def test_tags_beside_a_digest(http: httpx.Client) -> None:
    upload(http, CONFIG)
    digest = sha(manifest(), "sha512")
    answer = put(http, f"{digest}?tag=1&tag=1.2&tag=latest", manifest())
    assert (answer.status_code, answer.headers["oci-tag"]) == (201, "1, 1.2, latest")
    assert http.get(f"/v2/{REPOSITORY}/tags/list").json()["tags"] == ["1", "1.2", "latest"]
    assert http.head(f"/v2/{REPOSITORY}/manifests/1.2").headers["docker-content-digest"] == digest
    assert code(put(http, f"{digest}?tag=..%2Fx", manifest())) == "MANIFEST_INVALID"


def test_media_types_of_docker(http: httpx.Client) -> None:
    upload(http, CONFIG)
    elsewhere = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": sha(b"x"),
        "size": 1,
    }
    image = manifest(mediaType=media_types.DOCKER_MANIFEST, layers=[elsewhere])
    assert put(http, "v1", image, f"{media_types.DOCKER_MANIFEST}; charset=utf-8").status_code == 201
    entry = {"mediaType": media_types.DOCKER_MANIFEST, "digest": sha(image), "size": len(image)}
    index = {"schemaVersion": 2, "mediaType": media_types.DOCKER_INDEX, "manifests": [entry]}
    assert put(http, "all", json.dumps(index).encode(), media_types.DOCKER_INDEX).status_code == 201
    for tag, media_type in (("v1", media_types.DOCKER_MANIFEST), ("all", media_types.DOCKER_INDEX)):
        assert http.get(f"/v2/{REPOSITORY}/manifests/{tag}").headers["content-type"] == media_type
    signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    assert code(put(http, "v0", b'{"schemaVersion": 1}', signed)) == "MANIFEST_INVALID"


def unnamed(data: bytes) -> bytes:
    """A manifest that does not say itself what it is; an index has no config and no layers."""
    left_out = {"mediaType", *(("config", "layers") if b"manifests" in data else ())}
    return json.dumps({name: value for name, value in json.loads(data).items() if name not in left_out}).encode()


DEEP = b'{"a":' * 100_000


def nested(levels: int) -> bytes:
    """A manifest of so many objects and lists in each other."""
    value: list[object] = []
    for _ in range(levels - 2):
        value = [value]
    return manifest(more=value)


BAD_MANIFESTS = {
    "not JSON": (b"{", MANIFEST_TYPE, "MANIFEST_INVALID"),
    "deep JSON": (DEEP, MANIFEST_TYPE, "MANIFEST_INVALID"),
    "rather deep JSON": (nested(DEEPEST_MANIFEST + 1), MANIFEST_TYPE, "MANIFEST_INVALID"),
    "a list": (b"[]", MANIFEST_TYPE, "MANIFEST_INVALID"),
    "not UTF-8": (b"\xff\xfe{}", MANIFEST_TYPE, "MANIFEST_INVALID"),
    "UTF-16": (manifest().decode().encode("utf-16"), MANIFEST_TYPE, "MANIFEST_INVALID"),
    "a byte order mark": (b"\xef\xbb\xbf" + manifest(), MANIFEST_TYPE, "MANIFEST_INVALID"),
    "layers twice": (manifest()[:-1] + b', "layers": []}', MANIFEST_TYPE, "MANIFEST_INVALID"),
    "layers to Go only": (manifest(Layers=[{"digest": sha(b"no")}]), MANIFEST_TYPE, "MANIFEST_INVALID"),
    "layers to Go only, by a long s": (
        manifest().replace(b'"layers"', '"layer\u017f"'.encode()),
        MANIFEST_TYPE,
        "MANIFEST_INVALID",
    ),
    "a digest to Go only": (
        manifest(layers=[{"digest": sha(CONFIG), "Digest": sha(b"no")}]),
        MANIFEST_TYPE,
        "MANIFEST_INVALID",
    ),
    "schema 1": (b'{"schemaVersion": 1}', MANIFEST_TYPE, "MANIFEST_INVALID"),
    "another media type": (manifest(), INDEX_TYPE, "MANIFEST_INVALID"),
    "no manifest's media type": (manifest(), "text/html", "MANIFEST_INVALID"),
    "image and index at once": (manifest(manifests=[]), MANIFEST_TYPE, "MANIFEST_INVALID"),
    "an image called an index": (unnamed(manifest()), INDEX_TYPE, "MANIFEST_INVALID"),
    "an index called an image": (unnamed(manifest(manifests=[])), MANIFEST_TYPE, "MANIFEST_INVALID"),
    "a media type that is no text": (manifest(mediaType=[MANIFEST_TYPE]), "", "MANIFEST_INVALID"),
    "an artifact type that is no text": (manifest(artifactType=1), MANIFEST_TYPE, "MANIFEST_INVALID"),
    "annotations that are no texts": (manifest(annotations={"a": [1]}), MANIFEST_TYPE, "MANIFEST_INVALID"),
    "not a number": (manifest(size=float("nan")), MANIFEST_TYPE, "MANIFEST_INVALID"),
    "layers is no list": (manifest(layers={"a": 1}), MANIFEST_TYPE, "MANIFEST_INVALID"),
    "layer without a digest": (manifest(layers=[{}]), MANIFEST_TYPE, "MANIFEST_INVALID"),
    "layer with a path for a digest": (manifest(layers=[{"digest": "sha256:../x"}]), MANIFEST_TYPE, "DIGEST_INVALID"),
    "layer that was never sent": (manifest(layers=[{"digest": sha(b"no")}]), MANIFEST_TYPE, "MANIFEST_BLOB_UNKNOWN"),
    "larger than 4 MiB": (manifest(annotations={"a": "x" * (4 << 20)}), MANIFEST_TYPE, "MANIFEST_INVALID"),
}


@pytest.mark.parametrize("why", BAD_MANIFESTS)
def test_a_bad_manifest_is_refused(http: httpx.Client, why: str) -> None:
    upload(http, CONFIG)
    data, media_type, expected = BAD_MANIFESTS[why]
    answer = put(http, "v1", data, media_type)
    assert (answer.is_client_error, code(answer)) == (True, expected)
    assert http.get(f"/v2/{REPOSITORY}/manifests/v1").status_code == 404


def test_annotations_may_be_called_what_they_like(http: httpx.Client) -> None:
    upload(http, CONFIG)
    assert put(http, "v1", manifest(annotations={"Size": "1", "size": "2", "Layers": "3"})).status_code == 201


def test_a_manifest_as_deep_as_may_be_is_accepted(http: httpx.Client) -> None:
    upload(http, CONFIG)
    assert put(http, "v1", nested(DEEPEST_MANIFEST)).status_code == 201


def test_a_manifest_of_almost_4_mib_is_accepted(http: httpx.Client) -> None:
    upload(http, CONFIG)
    assert put(http, "v1", manifest(annotations={str(at): "x" * 10_000 for at in range(390)})).status_code == 201


def test_a_manifest_under_the_wrong_digest_is_refused(http: httpx.Client) -> None:
    upload(http, CONFIG)
    for name in (sha(b"other"), "sha256:baddigeststring"):
        answer = put(http, name, manifest())
        assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")


def test_a_foreign_layer_need_not_be_there(http: httpx.Client) -> None:
    upload(http, CONFIG)
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha(b"far away"), "size": 8}
    assert put(http, "v1", manifest(layers=[{**layer, "urls": ["https://example.com/x"]}])).status_code == 201


def test_index_needs_its_manifests(http: httpx.Client) -> None:
    upload(http, CONFIG)
    entry = {"mediaType": MANIFEST_TYPE, "digest": sha(manifest()), "size": len(manifest())}
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]}).encode()
    assert code(put(http, "all", index, INDEX_TYPE)) == "MANIFEST_BLOB_UNKNOWN"
    put(http, sha(manifest()), manifest())
    assert put(http, "all", index, INDEX_TYPE).status_code == 201
    empty = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}).encode()
    assert put(http, "none", empty, INDEX_TYPE).status_code == 201


def test_an_index_may_list_blobs_as_the_cache_of_buildkit_does(http: httpx.Client, root: Path) -> None:
    """BuildKit, cache/remotecache/export.go, without ``image-manifest=true``: layers and a config of its own."""
    listed = [
        {"mediaType": media_types.LAYER_GZIP, "digest": sha(BLOB), "size": len(BLOB)},
        {"mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": sha(CONFIG), "size": len(CONFIG)},
    ]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": listed}).encode()
    upload(http, BLOB)
    assert code(put(http, "cache", index, INDEX_TYPE)) == "MANIFEST_BLOB_UNKNOWN"
    upload(http, CONFIG)
    assert put(http, "cache", index, INDEX_TYPE).status_code == 201
    assert RegistryStore(root).collect(time.time() + 1) == {}
    assert http.get(f"/v2/{REPOSITORY}/blobs/{sha(BLOB)}").content == BLOB
    page = http.get("/image", params={"repository": REPOSITORY, "name": "cache"}).text
    assert (page.count("(a blob)"), "(not here)" in page) == (2, False)


def test_deleting_a_tag_keeps_the_manifest_and_deleting_that_takes_its_tags(http: httpx.Client) -> None:
    upload(http, CONFIG)
    for tag in ("a", "b", "c"):
        put(http, tag, manifest())
    assert http.delete(f"/v2/{REPOSITORY}/manifests/a").status_code == 202
    assert http.delete(f"/v2/{REPOSITORY}/manifests/a").status_code == 404
    assert http.get(f"/v2/{REPOSITORY}/manifests/{sha(manifest())}").status_code == 200
    assert http.get(f"/v2/{REPOSITORY}/tags/list").json()["tags"] == ["b", "c"]
    assert http.delete(f"/v2/{REPOSITORY}/manifests/{sha(manifest())}").status_code == 202
    assert http.get(f"/v2/{REPOSITORY}/tags/list").json()["tags"] == []
    assert http.get("/v2/_catalog").json()["repositories"] == []


def test_referrers_come_and_go(http: httpx.Client) -> None:
    upload(http, CONFIG)
    subject = sha(b"not there yet")
    url = f"/v2/{REPOSITORY}/referrers/{subject}"
    assert http.get(url).json() == {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}
    reference = {"mediaType": MANIFEST_TYPE, "digest": subject, "size": 13}
    data = manifest(subject=reference, artifactType="application/x", annotations={"a": "b"})
    assert put(http, sha(data), data).headers["oci-subject"] == subject
    (found,) = http.get(url).json()["manifests"]
    assert (found["digest"], found["artifactType"], found["annotations"]) == (sha(data), "application/x", {"a": "b"})
    assert http.get(url, params={"artifactType": "other"}).json()["manifests"] == []
    http.delete(f"/v2/{REPOSITORY}/manifests/{sha(data)}")
    assert http.get(url).json()["manifests"] == []


def refer(http: httpx.Client, subject: str, **more: Any) -> str:
    """Push a manifest with a subject that need not be there."""
    data = manifest(subject={"mediaType": MANIFEST_TYPE, "digest": subject, "size": 13}, **more)
    assert put(http, sha(data), data).headers["oci-subject"] == subject
    return sha(data)


def pages(http: httpx.Client, url: str, entries: str) -> list[list[Any]]:
    """Follow the Links of a listing."""
    found = []
    while url:
        answer = http.get(url)
        found.append(answer.json()[entries])
        url = answer.links.get("next", {}).get("url", "")
    return found


def test_pages_of_referrers_join_to_the_whole_and_keep_the_filter(http: httpx.Client) -> None:
    upload(http, CONFIG)
    kinds = ["application/x", "application/y", "application/x", "application/x"]
    pushed = {refer(http, sha(b"subject"), artifactType=kind, annotations={"n": str(at)}): kind
              for at, kind in enumerate(kinds)}  # fmt: skip
    url = f"/v2/{REPOSITORY}/referrers/{sha(b'subject')}"
    assert [[one["digest"] for one in page] for page in pages(http, f"{url}?n=3", "manifests")] == [
        sorted(pushed)[:3], sorted(pushed)[3:]
    ]  # fmt: skip
    filtered = pages(http, f"{url}?n=2&artifactType=application/x", "manifests")
    wanted = sorted(digest for digest, kind in pushed.items() if kind == "application/x")
    assert [[one["digest"] for one in page] for page in filtered] == [wanted[:2], wanted[2:]]
    assert http.get(f"{url}?n=0").json()["manifests"] == []


def test_a_list_of_referrers_is_never_larger_than_a_manifest(http: httpx.Client) -> None:
    upload(http, CONFIG)
    pushed = [refer(http, sha(b"subject"), annotations={"a": letter * 2_500_000}) for letter in "abc"]
    listed = pages(http, f"/v2/{REPOSITORY}/referrers/{sha(b'subject')}", "manifests")
    assert [[one["digest"] for one in page] for page in listed] == [[digest] for digest in sorted(pushed)]


def test_half_a_surrogate_pair_in_an_annotation_breaks_no_list(http: httpx.Client) -> None:
    upload(http, CONFIG)
    refer(http, sha(b"subject"), annotations={"a": "\ud800"})
    (found,) = http.get(f"/v2/{REPOSITORY}/referrers/{sha(b'subject')}").json()["manifests"]
    assert found["annotations"] == {"a": "\ud800"}


def test_a_client_without_the_referrers_api_can_keep_its_own_list(http: httpx.Client) -> None:
    """The referrers tag schema of the spec: an index under a tag that is made of the subject's digest."""
    upload(http, CONFIG)
    digest = refer(http, sha(b"subject"))
    (found,) = http.get(f"/v2/{REPOSITORY}/referrers/{sha(b'subject')}").json()["manifests"]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [found]}).encode()
    tag = sha(b"subject").replace(":", "-")
    assert put(http, tag, index, INDEX_TYPE).status_code == 201
    assert http.get(f"/v2/{REPOSITORY}/manifests/{tag}").json()["manifests"][0]["digest"] == digest


def test_layers_that_are_elsewhere_are_warned_of(http: httpx.Client) -> None:
    upload(http, CONFIG)
    layer = {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar", "digest": sha(b"x"), "size": 1}
    warning = put(http, "v1", manifest(layers=[layer])).headers["warning"]
    assert warning.startswith('299 - "non-distributable layers are deprecated') and warning.endswith('"')
    assert "warning" not in put(http, "v2", manifest()).headers


# Listings


def test_pages_of_tags_join_to_the_whole(http: httpx.Client) -> None:
    upload(http, CONFIG)
    tags = sorted(f"v{number}" for number in range(7))
    for tag in tags:
        put(http, tag, manifest())
    assert pages(http, f"/v2/{REPOSITORY}/tags/list?n=3", "tags") == [tags[:3], tags[3:6], tags[6:]]
    assert pages(http, f"/v2/{REPOSITORY}/tags/list?n=7", "tags") == [tags]
    assert http.get(f"/v2/{REPOSITORY}/tags/list?n=0").json()["tags"] == []
    assert http.get(f"/v2/{REPOSITORY}/tags/list?last=v4").json()["tags"] == ["v5", "v6"]
    assert http.get(f"/v2/{REPOSITORY}/tags/list?n=many").status_code == 400
    assert code(http.get("/v2/test/nowhere/tags/list")) == "NAME_UNKNOWN"
    assert "link" not in http.get(f"/v2/{REPOSITORY}/tags/list?n=0").headers


def test_pages_of_repositories_join_to_the_whole(http: httpx.Client) -> None:
    names = [f"test/{letter}" for letter in "abcde"]
    for name in names:
        http.post(f"/v2/{name}/blobs/uploads/", params={"digest": sha(CONFIG)}, content=CONFIG)
        http.put(f"/v2/{name}/manifests/v1", content=manifest(), headers={"Content-Type": MANIFEST_TYPE})
    assert pages(http, "/v2/_catalog?n=2", "repositories") == [names[:2], names[2:4], names[4:]]
    assert http.get("/v2/_catalog?last=test/c").json()["repositories"] == names[3:]


# What attackers would ask


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "%2e%2e/%2e%2e/etc",
        "a/../../b",
        "A",
        "_uploads",
        "a/_blobs",
        "a//b",
        "a/.b",
        "-a",
        "a" * 256,
        "a%00",
        "a%0ab",
    ],
)
def test_a_hostile_repository_name_is_name_invalid(http: httpx.Client, root: Path, name: str) -> None:
    answer = http.send(_raw(http, "POST", f"/v2/{name}/blobs/uploads/"))
    assert (answer.status_code, code(answer)) in ((400, "NAME_INVALID"), (404, "NAME_UNKNOWN"))
    assert not (root / "repositories").exists()


@pytest.mark.parametrize("tag", [".hidden", "..", "%2e%2e%2f%2e%2e%2fx", "a" * 129, "a%00", "-x", "%C3%A4"])
def test_a_hostile_tag_stores_nothing(http: httpx.Client, root: Path, tag: str) -> None:
    upload(http, CONFIG)
    before = sorted(path for path in root.rglob("*") if path.name != "wire.jsonl")
    request = _raw(http, "PUT", f"/v2/{REPOSITORY}/manifests/{tag}", manifest(), {"Content-Type": MANIFEST_TYPE})
    assert http.send(request).status_code in (400, 404)
    assert sorted(path for path in root.rglob("*") if path.name != "wire.jsonl") == before


@pytest.mark.parametrize("session", ["..", "%2e%2e", "%2e%2e%2f_tags%2fv1", "x", "0" * 32])
def test_a_hostile_session_is_unknown(http: httpx.Client, session: str) -> None:
    request = _raw(http, "PATCH", f"/v2/{REPOSITORY}/blobs/uploads/{session}", b"x")
    assert http.send(request).status_code in (400, 404)


def _raw(http: httpx.Client, method: str, path: str, data: bytes = b"", headers: dict[str, str] | None = None) -> Any:
    request = http.build_request(method, "/", content=data, headers=headers)
    request.url = request.url.copy_with(raw_path=path.encode())
    return request


@pytest.mark.parametrize("origin", ["https://evil.example", "http://[", "null"])
def test_a_page_of_another_site_cannot_write(http: httpx.Client, origin: str) -> None:
    answer = http.post(f"/v2/{REPOSITORY}/blobs/uploads/", headers={"Origin": origin})
    assert (answer.status_code, code(answer)) == (403, "DENIED")


def test_a_strangers_domain_that_points_here_is_turned_away(http: httpx.Client) -> None:
    answer = http.get("/v2/_catalog", headers={"Host": "evil.example"})
    assert (answer.status_code, code(answer)) == (403, "DENIED")


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer x",
        "Bearer x.y",
        "Bearer .",
        "Bearer " + "é",
        "Basic !!!",
        "Basic é",
        "Basic",
        "Digest x",
        "Bearer e30.AAAA",
    ],
)
def test_forged_credentials_are_401(http: httpx.Client, authorization: str) -> None:
    answer = http.get("/v2/", headers={"Authorization": authorization.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="http://127.0.0.1:')


@pytest.mark.parametrize("name", ["..", "Alice", "a/b", "a:b", "library", "x" * 65, "", "a\nb"])
def test_a_name_that_cannot_be_a_user_is_not_registered(http: httpx.Client, root: Path, name: str) -> None:
    assert http.get("/token", auth=(name, "secret")).status_code == 401 or ":" in name
    assert name not in (root / "htpasswd").read_text().splitlines() if (root / "htpasswd").exists() else True


def test_passwords_and_keys_are_for_their_owner_only(http: httpx.Client, root: Path) -> None:
    assert http.get("/token", auth=("alice", "secret")).json()["registered"] is True
    for name in ("htpasswd", "secret"):
        assert oct(os.stat(root / name).st_mode & 0o777) == "0o600"
    assert (root / "htpasswd").read_text().startswith("alice:$scrypt$14$8$1$")
    assert "secret" not in (root / "htpasswd").read_text()


def test_the_wire_log_says_what_was_asked(http: httpx.Client, root: Path) -> None:
    digest = upload(http, BLOB)
    http.get(f"/v2/{REPOSITORY}/blobs/{digest}")
    started, closed, fetched = FileLog(root / "wire.jsonl").events()
    assert (started.method, started.status) == ("POST", 202)
    assert (closed.method, closed.status, closed.bytes_in, closed.digest) == ("PUT", 201, len(BLOB), digest)
    assert (fetched.method, fetched.bytes_out) == ("GET", len(BLOB))
