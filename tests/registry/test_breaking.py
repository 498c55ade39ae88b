"""Lines that are cut, registries that are out of breath, limits: what is asked again, and what is told at once."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image import Store
from stranger import Stranger, cut_line, stranger

from dockersim.digest import sha256
from dockersim.errors import RegistryError
from dockersim.oci import Descriptor
from dockersim.registry import (
    Address,
    Credentials,
    Interrupted,
    MemoryLog,
    RegistryClient,
    Settings,
    TooManyRequests,
    Unreachable,
    endpoint_of,
)
from dockersim.registry.client import uploads
from dockersim.registry.client.answer import Answer
from dockersim.registry.client.ratelimit import Limit, length, read_limit

NOISE = random.Random(7).randbytes(40_000_000)
BLOB = Descriptor("application/octet-stream", sha256(NOISE), len(NOISE))
SMALL = b"a small blob"


def client_of(address: str, waited: list[float]) -> RegistryClient:
    return RegistryClient(endpoint_of(address, Settings()), None, MemoryLog(), pause=waited.append)


def fetched(client: RegistryClient, blob: Descriptor, folder: Path) -> bytes:
    store = Store(folder)
    with store.content.writer() as into:
        for _ in client.fetch_blob("test/app", blob, into):
            pass
    return store.content.read(blob.digest, limit=blob.size)


@pytest.fixture(params=["ours", pytest.param("debian", marks=pytest.mark.peer)])
def registry(request: pytest.FixtureRequest) -> str:
    """A registry's address."""
    if request.param == "debian":
        return str(request.getfixturevalue("debian_registry")).removeprefix("http://")
    server: Address = request.getfixturevalue("server")
    return server.registry


def test_a_push_and_a_pull_whose_line_is_cut_go_on(registry: str, tmp_path: Path) -> None:
    store, waited = Store(tmp_path / "made"), list[float]()
    store.content.put(NOISE)
    with cut_line(registry, 20_000_000) as line, client_of(line, waited) as client:
        with store.content.open(BLOB.digest) as source:
            sizes = list(client.upload_blob("test/app", BLOB, source))
        assert sizes[-1] == BLOB.size and waited == [0.5]
        assert fetched(client, BLOB, tmp_path / "there") == NOISE


def test_a_session_that_is_lost_after_all_is_opened_anew(server: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    sending, real, patches = 20_000_000, RegistryClient.request, list[str]()

    def request(self: RegistryClient, method: str, url: str, *rest: Any, **more: Any) -> Answer:
        patches.extend([method] if method == "PATCH" else [])
        if method == "PATCH" and len(patches) == 1:
            raise Interrupted("the line was cut", server.registry)
        lost = method == "PATCH" and len(patches) == 2
        return real(self, method, f"/v2/test/app/blobs/uploads/{'0' * 32}" if lost else url, *rest, **more)

    monkeypatch.setattr(RegistryClient, "request", request)
    blob = Descriptor("application/octet-stream", sha256(NOISE[:sending]), sending)
    with client_of(server.registry, []) as client:
        sizes = list(client.upload_blob("test/app", blob, io.BytesIO(NOISE[:sending])))
    assert sizes[-1] == sending and len(patches) == 3


@pytest.mark.parametrize("after", [0, 100, 1000], ids=["before the first byte", "in the head", "in a later request"])
def test_small_requests_are_made_again(registry: str, after: int) -> None:
    waited: list[float] = []
    with cut_line(registry, after) as line, client_of(line, waited) as client:
        for number in range(8):
            data = f"{SMALL!r} {number}".encode()
            blob = Descriptor("application/octet-stream", sha256(data), len(data))
            list(client.upload_blob("test/app", blob, io.BytesIO(data)))
            assert client.has_blob("test/app", blob.digest)
    assert waited == [0.5]


def _passing(answers: list[Callable[[Stranger], None]]) -> Callable[[Stranger], None]:
    left = list(answers)

    def script(ask: Stranger) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(ask)

    return script


FOUND = {"Docker_Content_Digest": BLOB.digest}


@pytest.mark.parametrize("status", [408, 502, 503, 504])
def test_a_registry_out_of_breath_is_asked_again_later_and_later(status: int) -> None:
    waited: list[float] = []
    script = _passing([*[lambda ask: ask.say(status)] * 3, lambda ask: ask.say(200, **FOUND)])
    with stranger(script) as (address, _), client_of(address, waited) as client:
        assert client.resolve("test/app", "latest") == BLOB.digest
    assert waited == [0.5, 1.0, 2.0]


def test_a_registry_that_stays_out_of_breath_is_given_up() -> None:
    waited: list[float] = []
    with stranger(lambda ask: ask.say(503)) as (address, seen), client_of(address, waited) as client:
        with pytest.raises(Interrupted, match=r"is out of breath \(503\): no reason given"):
            client.resolve("test/app", "latest")
        assert len(seen) == 4


@pytest.mark.parametrize("status", [400, 403, 404, 500, 501])
def test_a_no_is_not_asked_again(status: int) -> None:
    waited: list[float] = []
    with stranger(lambda ask: ask.say(status)) as (address, seen), client_of(address, waited) as client:
        with pytest.raises(RegistryError):
            client.resolve("test/app", "latest")
        assert (len(seen), waited) == (1, [])


def test_nobody_there_is_told_at_once() -> None:
    waited: list[float] = []
    with client_of("127.0.0.1:9", waited) as client, pytest.raises(Unreachable, match="connection refused"):
        client.resolve("test/app", "latest")
    assert not waited


def test_a_short_limit_is_waited_for_and_a_long_one_is_told() -> None:
    waited: list[float] = []
    script = _passing([lambda ask: ask.say(429, Retry_After="3"), lambda ask: ask.say(200, **FOUND)])
    with stranger(script) as (address, _), client_of(address, waited) as client:
        assert client.resolve("test/app", "latest") == BLOB.digest
    assert waited == [3]
    hub = {"ratelimit_limit": "100;w=21600", "ratelimit_remaining": "0;w=21600", "Retry_After": "5400"}
    with (
        stranger(lambda ask: ask.say(429, **hub)) as (address, seen),
        client_of(address, waited) as client,
        pytest.raises(TooManyRequests) as caught,
    ):
        client.resolve("test/app", "latest")
    assert (len(seen), waited, caught.value.retry_after) == (1, [3], 5400)
    said = f"{address} has had too many requests from here: 100 pulls within 6 hours are allowed"
    when = r"; try again in 2 hours, at \d\d:\d\d; a login raises the limit"
    assert re.fullmatch(re.escape(said) + when, str(caught.value))


@pytest.mark.parametrize(
    "headers,limit",
    [
        ({}, Limit()),
        ({"retry-after": "30"}, Limit(wait=30)),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, Limit(wait=30)),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:10 GMT"}, Limit()),
        ({"retry-after": "soon"}, Limit()),
        ({"retry-after": "-5"}, Limit()),
        ({"retry-after": "9" * 400}, Limit()),
        ({"x-ratelimit-reset": "1700000060"}, Limit(wait=60)),
        ({"ratelimit-reset": "60", "ratelimit-limit": "200;w=3600"}, Limit(200, 3600, 60)),
        ({"ratelimit-limit": "many"}, Limit()),
    ],
)
def test_limits_are_read(headers: dict[str, str], limit: Limit) -> None:
    assert read_limit(headers, now=1_700_000_000) == limit


def test_a_date_that_cannot_be_is_no_date() -> None:
    assert read_limit({"retry-after": "Mon, 01 Jan 2024 00:00:00 +99999999999999999"}, 0).wait == 0


def test_without_a_time_the_window_says_how_long_at_most() -> None:
    assert Limit(100, 21600).when(0) == "try again later, in 6 hours at most"
    assert length(200_000) == "3 days"


def test_a_server_without_ranges_begins_again_and_the_blob_is_still_right(tmp_path: Path) -> None:
    data = NOISE[:300_000]
    blob = Descriptor("application/octet-stream", sha256(data), len(data))
    script = _passing([lambda ask: ask.say(200, data[:100_001], Content_Length=str(len(data))),
                       lambda ask: ask.say(200, data)])  # fmt: skip
    waited: list[float] = []
    with stranger(script) as (address, seen), client_of(address, waited) as client:
        assert fetched(client, blob, tmp_path) == data
    assert [ask.get("range") for ask in seen] == [None, "bytes=100001-"]


def test_a_session_that_the_registry_has_lost_is_opened_anew(tmp_path: Path) -> None:
    def lost(ask: Stranger) -> None:
        match ask.command, ask.path:
            case "POST", _:
                ask.say(202, Location=f"/v2/test/app/blobs/uploads/{len(seen)}")
            case "PUT", path if "/1?" in path:
                ask.say(503)
            case "PUT", _:
                ask.say(201)
            case _:
                ask.say(404)

    store, waited = Store(tmp_path), list[float]()
    digest = store.content.put(SMALL)
    with stranger(lost) as (address, seen), client_of(address, waited) as client, store.content.open(digest) as source:
        list(client.upload_blob("test/app", Descriptor("x/y", digest, len(SMALL)), source))
    assert [ask["method"] for ask in seen] == ["POST", "PUT", "GET", "HEAD", "POST", "PUT"]
    assert seen[-1]["body"] == SMALL.decode()


@pytest.mark.parametrize("said", ["0-²", "0-" + "9" * 5000, "-", "x"], ids=ascii)
def test_a_registry_that_counts_in_no_numbers_is_sent_all_again(said: str, tmp_path: Path) -> None:
    def odd(ask: Stranger) -> None:
        match ask.command:
            case "POST":
                ask.say(202, Location="/v2/test/app/blobs/uploads/1")
            case "GET":
                ask.say(204, Range=said)
            case _:
                ask.say(503 if [one["method"] for one in seen].count("PUT") == 1 else 201)

    store = Store(tmp_path)
    digest = store.content.put(SMALL)
    with stranger(odd) as (address, seen), client_of(address, []) as client, store.content.open(digest) as source:
        list(client.upload_blob("test/app", Descriptor("x/y", digest, len(SMALL)), source))
    assert [ask["method"] for ask in seen] == ["POST", "PUT", "GET", "PUT"]
    assert seen[-1]["body"] == SMALL.decode()


def test_a_push_that_loses_its_session_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losing(ask: Stranger) -> None:
        if len(seen) > 100:
            ask.say(403)  # so that the test ends
        elif ask.command == "POST" or ask.headers.get("Content-Range", "").startswith("0-"):
            ask.say(202, Location="/v2/test/app/blobs/uploads/1")
        else:
            ask.say(503 if ask.command == "PATCH" else 404)

    monkeypatch.setattr(uploads, "CHUNK", 4)
    store = Store(tmp_path)
    digest = store.content.put(SMALL)
    with stranger(losing) as (address, seen), client_of(address, []) as client, store.content.open(digest) as source:
        with pytest.raises(Interrupted, match="out of breath"):
            list(client.upload_blob("test/app", Descriptor("x/y", digest, len(SMALL)), source))
        assert [ask["method"] for ask in seen].count("POST") == 4


def test_a_short_limit_in_the_middle_of_an_upload_is_waited_for(tmp_path: Path) -> None:
    def limiting(ask: Stranger) -> None:
        match ask.command:
            case "POST":
                ask.say(202, Location="/v2/test/app/blobs/uploads/1")
            case "GET":
                ask.say(204, Range="0-0")
            case _ if waited:
                ask.say(201)
            case _:
                ask.say(429, Retry_After="2")

    store, waited = Store(tmp_path), list[float]()
    digest = store.content.put(SMALL)
    with stranger(limiting) as (address, _), client_of(address, waited) as client, store.content.open(digest) as source:
        list(client.upload_blob("test/app", Descriptor("x/y", digest, len(SMALL)), source))
    assert waited == [2]


@pytest.mark.parametrize("scheme", ["http:", ""], ids=["absolute", "relative"])
def test_an_upload_at_another_place_is_sent_no_credentials(scheme: str, tmp_path: Path) -> None:
    def registry(ask: Stranger) -> None:
        if ask.headers["Authorization"] is None:
            ask.say(401, WWW_Authenticate='Basic realm="x"')
        else:
            ask.say(202, Location=f"{scheme}//{elsewhere}/up?_state=abc")

    store = Store(tmp_path)
    digest = store.content.put(SMALL)
    alice = Credentials("alice", "wonderland")
    with (
        stranger(lambda ask: ask.say(201)) as (elsewhere, seen),
        stranger(registry) as (address, seen_here),
        RegistryClient(endpoint_of(address, Settings()), alice, MemoryLog()) as client,
        store.content.open(digest) as source,
    ):
        list(client.upload_blob("test/app", Descriptor("x/y", digest, len(SMALL)), source))
    assert seen_here[-1]["authorization"] == alice.basic()
    assert [ask["path"] for ask in seen] == [f"/up?_state=abc&digest={digest.replace(':', '%3A')}"]
    assert "authorization" not in seen[0]


@pytest.mark.parametrize("status", [307, 308])
def test_an_upload_is_followed_to_another_place(status: int, tmp_path: Path) -> None:
    def registry(ask: Stranger) -> None:
        if ask.path.startswith("/v2/"):
            ask.say(status, Location=f"/moved{ask.path}")
        else:
            ask.say(202 if ask.command == "POST" else 201, Location="/v2/up")

    store = Store(tmp_path)
    digest = store.content.put(SMALL)
    with stranger(registry) as (address, seen), client_of(address, []) as client, store.content.open(digest) as source:
        list(client.upload_blob("test/app", Descriptor("x/y", digest, len(SMALL)), source))
    assert [ask["method"] for ask in seen] == ["POST", "POST", "PUT", "PUT"] and seen[-1]["body"] == SMALL.decode()


def test_who_sends_the_same_part_again_and_again_is_given_up(tmp_path: Path) -> None:
    blob, waited = Descriptor("x/y", BLOB.digest, 1000), list[float]()
    with stranger(lambda ask: ask.say(200, NOISE[:100])) as (address, seen), client_of(address, waited) as client:
        with pytest.raises(Interrupted, match="stopped in the middle"):
            fetched(client, blob, tmp_path)
        assert len(seen) == 4
