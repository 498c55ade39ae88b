"""Clients that lie: about lengths, ranges, digests, media types, references; and requests that are made to hurt."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from plain import MANIFEST, Client, Image, sha

from dockersim.registry import Address

INDEX = "application/vnd.oci.image.index.v1+json"
UPLOADS = "/v2/test/app/blobs/uploads/"


def start(http: httpx.Client) -> str:
    return str(http.post(UPLOADS).headers["location"])


def arrived(http: httpx.Client, location: str) -> str:
    return str(http.get(location).headers["range"])


def code(answer: httpx.Response) -> str:
    return str(answer.json()["errors"][0]["code"])


def raw(server: Address, *parts: bytes, close: bool = False) -> bytes:
    """Send bytes as they are, and read until the server closes; ``close`` says first that no more will come."""
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            if close:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError:  # closed already, before all was sent
            return b""


def head(method: str, path: str, *more: str) -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *more)
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def stored(root: Path) -> list[str]:
    return [path.name for path in (root / "blobs").rglob("*/*")]


def leftovers(root: Path) -> list[Path]:
    return [*root.glob("tmp/*"), *root.glob("repositories/*/*/_uploads/*")]


def works(server: Address) -> bool:
    """Tell whether the registry still does what it is for."""
    image = Image.of(b"layer")
    with Client(server.url, "honest/app") as client:
        client.push(image, "v1")
        return client.pull("v1") == image.digest


# Lengths and ranges


def test_less_than_content_length_says_stores_nothing(server: Address, http: httpx.Client, root: Path) -> None:
    path = f"{UPLOADS}?digest={sha(b'half')}"
    assert raw(server, head("POST", path, "Content-Length: 1000"), b"half", close=True) == b""
    assert stored(root) == []
    assert works(server)


@pytest.mark.parametrize("tenth", range(10))
def test_what_is_cut_off_at_any_tenth_is_not_there(server: Address, http: httpx.Client, root: Path, tenth: int) -> None:
    """A blob in one request, and a manifest. (What is cut off of a session is in test_protocol: that is resumed.)"""
    image = Image.of(b"layer" * 40_000)
    with Client(server.url, "test/app") as client:
        for method, path, data, kind in (
            ("POST", f"{UPLOADS}?digest={sha(image.blobs[1])}", image.blobs[1], "application/octet-stream"),
            ("PUT", "/v2/test/app/manifests/v1", image.manifest, MANIFEST),
        ):
            part = data[: len(data) * tenth // 10]
            request = head(method, path, f"Content-Length: {len(data)}", f"Content-Type: {kind}") + part
            assert raw(server, request, close=True) == b""
            until = time.monotonic() + 30
            while leftovers(root):  # the connection is gone before the server has tidied up
                assert time.monotonic() < until
            assert stored(root) == []
        client.push(image, "v1")
        assert client.pull("v1") == image.digest


def test_more_than_content_length_says_is_another_request(server: Address, http: httpx.Client, root: Path) -> None:
    path = f"{UPLOADS}?digest={sha(b'half')}"
    answer = raw(server, head("POST", path, "Content-Length: 4"), b"half and more")
    assert answer.startswith(b"HTTP/1.1 201")
    assert stored(root) == [sha(b"half")[7:]]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize(("sent", "status"), [(b"12345", "0-4"), (b"123456789012", "0-11")])
def test_another_number_of_bytes_than_content_range_says(
    http: httpx.Client, root: Path, method: str, sent: bytes, status: str
) -> None:
    location = start(http)
    digest = sha(sent)
    answer = http.request(
        method, location, params={"digest": digest}, content=iter([sent]), headers={"Content-Range": "0-9"}
    )
    assert (answer.status_code, code(answer)) == (400, "SIZE_INVALID")
    assert stored(root) == [] and arrived(http, location) == status
    assert http.put(location, params={"digest": digest}).status_code == 201, "the session can still be finished"


@pytest.mark.parametrize(
    "said", ["0-99999999999999999", "5-9", "0-0", "9-0", "-5", "bytes 0-9/10", "0-9, 20-29", "०-९"]
)
def test_a_content_range_that_is_not_so(http: httpx.Client, root: Path, said: str) -> None:
    location = start(http)
    answer = http.patch(location, content=b"0123456789", headers={"Content-Range": said.encode()})
    if said == "bytes 0-9/10":  # true, only in the words of HTTP
        assert answer.status_code == 202
    else:
        assert answer.status_code in (400, 416) and arrived(http, location) == "0-0"


CHUNKED = head("PATCH", "LOCATION", "Transfer-Encoding: chunked")
GARBAGE = {
    "no number": b"zz\r\nhello\r\n0\r\n\r\n",
    "a negative number": b"-5\r\nhello\r\n0\r\n\r\n",
    "a number beyond all disks": b"ffffffffffffffffffff\r\nhello",
    "less than it says": b"a\r\nhello\r\n0\r\n\r\n",
    "more than it says": b"2\r\nhello\r\n0\r\n\r\n",
    "no end": b"5\r\nhello\r\n",
    "an extension without end": b"5;" + b"x" * 100_000,
    "a trailer without end": b"5\r\nhello\r\n0\r\n" + b"x: y\r\n" * 50_000,
}


@pytest.mark.parametrize("why", GARBAGE)
def test_chunks_that_are_garbage_are_no_end_of_an_upload(
    server: Address, http: httpx.Client, root: Path, why: str
) -> None:
    location = start(http)
    answer = raw(server, CHUNKED.replace(b"LOCATION", location.encode()), GARBAGE[why], close=True)
    assert b" 202 " not in answer.partition(b"\r\n")[0]
    assert stored(root) == [] and works(server)


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5x"],
        ["Content-Length: -1"],
        ["Transfer-Encoding: gzip"],
        ["X: " + "y" * 1_000_000],
        [f"X{number}: y" for number in range(100_000)],
    ],
    ids=["two lengths", "no number", "negative", "an encoding nobody has", "a giant header", "100,000 headers"],
)
def test_a_head_that_is_no_http_is_turned_away(server: Address, root: Path, lines: list[str]) -> None:
    answer = raw(server, head("POST", UPLOADS, *lines), b"hello", close=True)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
    assert stored(root) == [] and works(server)


def test_two_lengths_do_not_smuggle_a_request(server: Address, root: Path) -> None:
    """RFC 9112, section 6.3: chunked wins, or the request is refused; never may the length count."""
    inner = head("DELETE", "/v2/test/app/manifests/v1")
    outer = head("PATCH", UPLOADS + "0" * 32, f"Content-Length: {len(inner) + 5}", "Transfer-Encoding: chunked")
    answers = raw(server, outer, b"0\r\n\r\n", inner, close=True)
    assert answers.count(b"HTTP/1.1 ") <= 1


# What a manifest says of others


def manifest(http: httpx.Client, name: str, document: dict[str, Any], media_type: str = MANIFEST) -> httpx.Response:
    url = f"/v2/test/app/manifests/{name}"
    return http.put(url, content=json.dumps(document).encode(), headers={"Content-Type": media_type})


def test_an_index_that_holds_itself_cannot_be(http: httpx.Client) -> None:
    """Its digest would have to be in it; what claims so names something that is not there."""
    entry = {"mediaType": INDEX, "digest": sha(b"myself"), "size": 6}
    answer = manifest(http, "v1", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}, INDEX)
    assert code(answer) == "MANIFEST_BLOB_UNKNOWN"


def test_a_manifest_may_not_use_the_blobs_of_another_repository(server: Address, http: httpx.Client) -> None:
    image = Image.of(b"secret of another")
    with Client(server.url, "other/app") as client:
        client.push(image, "v1")
    answer = manifest(http, "v1", json.loads(image.manifest))
    assert code(answer) == "MANIFEST_BLOB_UNKNOWN"


def test_a_manifest_as_a_blob_is_no_manifest(http: httpx.Client, server: Address) -> None:
    image = Image.of(b"layer")
    with Client(server.url, "test/app") as client:
        client.push_blob(image.manifest)
    assert http.get(f"/v2/test/app/manifests/{image.digest}").status_code == 404


@pytest.mark.parametrize(
    "data",
    [
        b'{"schemaVersion": ' + b"2" * 4_000_000 + b"}",
        b'{"schemaVersion": 2, "config": ' + b"[" * 2_000_000,
        b'{"schemaVersion": 2, "a": "' + b"\\u0000" * 600_000 + b'"}',
        b'{"schemaVersion": 2, "layers": [' + b",".join([b"{}"] * 1_000_000) + b"]}",
        b'{"schemaVersion": 2, "mediaType": {}, "layers": []}',
        b'{"schemaVersion": 2e0, "layers": 1e999}',
        b"\x00" * 1_000_000,
    ],
    ids=["a giant number", "deep", "escapes", "a million layers", "odd media type", "infinite layers", "zeros"],
)
def test_json_that_is_made_to_hurt_is_refused(http: httpx.Client, server: Address, data: bytes) -> None:
    answer = http.put("/v2/test/app/manifests/v1", content=data, headers={"Content-Type": MANIFEST})
    assert answer.is_client_error and code(answer) == "MANIFEST_INVALID"
    assert works(server)


def test_a_manifest_without_end_is_cut_off_at_the_limit(server: Address) -> None:
    endless = (b"100000\r\n" + b" " * 0x100000 + b"\r\n" for _ in range(64))
    answer = raw(server, head("PUT", "/v2/test/app/manifests/v1", "Transfer-Encoding: chunked"), *endless)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413")
    assert works(server)


def test_a_size_that_is_not_the_blobs_own_is_the_clients_to_find(server: Address, http: httpx.Client) -> None:
    """As in distribution: the registry goes by digests, and a puller finds that the size is another."""
    image = Image.of(b"layer")
    with Client(server.url, "test/app") as client:
        client.push(image, "v1")
    document = json.loads(image.manifest)
    document["layers"][0]["size"] = 1
    assert manifest(http, "v2", document).status_code == 201


def test_a_flood_of_tags_is_listed_a_page_at_a_time(server: Address, http: httpx.Client, root: Path) -> None:
    image = Image.of(b"layer")
    with Client(server.url, "test/app") as client:
        client.push(image, "v0")
        tags = root / "repositories" / "test" / "app" / "_tags"
        for number in range(1, 2500):
            (tags / f"v{number}").write_text(image.digest)
        url, pages = "/v2/test/app/tags/list?n=1000000", []
        while url:
            answer = http.get(url)
            pages.append(len(answer.json()["tags"]))
            url = answer.links.get("next", {}).get("url", "")
        assert pages == [1000, 1000, 500]
        client.delete(image)
    assert list(tags.iterdir()) == []


# Two at once


def test_two_writers_of_one_tag_leave_one_of_their_images(server: Address) -> None:
    images = [Image.of(b"x" * number, name=str(number)) for number in range(8)]

    def write(image: Image) -> None:
        with Client(server.url, "test/app") as client:
            for _ in range(10):
                client.push(image, "latest")

    threads = [threading.Thread(target=write, args=(image,)) for image in images]
    for thread in threads:
        thread.start()
    with Client(server.url, "test/app") as client:
        while any(thread.is_alive() for thread in threads):
            if found := client.find("latest"):
                assert found in {image.digest for image in images}
                client.pull("latest")
        assert client.pull("latest") in {image.digest for image in images}


def test_a_blob_that_is_deleted_while_it_is_pulled_arrives_whole(server: Address, http: httpx.Client) -> None:
    image = Image.of(b"0123456789" * 2_000_000)
    with Client(server.url, "test/app") as client:
        client.push(image, "v1")
    layer = sha(image.blobs[1])
    with http.stream("GET", f"/v2/test/app/blobs/{layer}") as answer:
        pieces = answer.iter_bytes(65536)
        data = next(pieces)
        assert httpx.delete(f"{server.url}/v2/test/app/blobs/{layer}", trust_env=False).status_code == 202
        assert httpx.head(f"{server.url}/v2/test/app/blobs/{layer}", trust_env=False).status_code == 404
        data += b"".join(pieces)
    assert data == image.blobs[1]


def test_a_blob_that_was_deleted_can_be_pushed_again(server: Address, http: httpx.Client) -> None:
    image = Image.of(b"layer")
    with Client(server.url, "test/app") as client:
        for _ in range(3):
            client.push(image, "v1")
            assert http.delete(f"/v2/test/app/blobs/{sha(b'layer')}").status_code == 202
            client.push(image, "v1")
            assert client.pull("v1") == image.digest


def test_a_tag_that_is_moved_while_its_image_is_deleted_stays(server: Address) -> None:
    """Whichever comes first: the tag is acknowledged for the new image, and the old one's end must not take it."""
    old, new = Image.of(b"old"), Image.of(b"new")
    with Client(server.url, "test/app") as client, Client(server.url, "test/app") as other:
        client.push(new, "v1")
        for _ in range(30):
            client.push(old, "v1")
            thread = threading.Thread(target=other.delete, args=(old,))
            thread.start()
            client.put_manifest(new, "v1")
            thread.join()
            assert client.find("v1") == new.digest
