"""The registry's pages as requests: what they show, who may change something, and what is never obeyed."""

from __future__ import annotations

import asyncio
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import httpx
import pytest
from shop import BASE, PYTHON, SCRIPT, Shop, layer, sha

from dockersim.oci import media_types
from dockersim.registry import Address, plan_removal
from dockersim.registry.page.home import Listing
from dockersim.registry.server.repositories import RegistryStore
from dockersim.registry.server.service import make_app
from tests.registry.test_repositories import put_image

APP = {"repository": "alice/app", "name": "v1"}


@pytest.fixture
def shop(http: httpx.Client) -> Shop:
    made = Shop(http)
    made.fill()
    return made


def digest_of(http: httpx.Client, repository: str, name: str) -> str:
    return http.head(f"/v2/{repository}/manifests/{name}").headers["docker-content-digest"]


def words(answer: httpx.Response) -> str:
    """The text of a page, as a reader has it."""
    body = re.sub(r"<head>.*?</head>", "", answer.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def form_of(answer: httpx.Response) -> dict[str, str]:
    """The hidden fields of the form in a page."""
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"',
                                                                answer.text)}  # fmt: skip


def disk(root: Path) -> int:
    return sum(path.stat().st_size for path in (root / "blobs").rglob("*") if path.is_file())


# ---------------------------------------------------------------- looking


def test_the_first_page_lists_what_there_is_and_what_sharing_saves(shop: Shop) -> None:
    shown = words(shop.http.get("/"))
    for part in ("alice/app", "bob/tool", "carol/many", "index of 2 manifests", "part of an index", "no tag"):
        assert part in shown
    saved = 2 * len(BASE) + len(PYTHON) + 2
    assert f"Saved by sharing {saved / 1000:.3g}kB" in shown
    assert "Ask whether the blob is already there: it is not, so it must be sent." in shown


def test_an_empty_registry_says_how_to_push(http: httpx.Client) -> None:
    assert "Nothing has been pushed yet" in words(http.get("/"))


def test_the_list_of_repositories_is_written_when_something_has_changed_and_not_before(tmp_path: Path) -> None:
    class Counting(RegistryStore):
        def repositories(self) -> list[str]:
            written.append("")
            return super().repositories()

    written: list[str] = []
    store, listing = Counting(tmp_path), Listing()

    async def looked() -> tuple[str, int]:
        pages = await asyncio.gather(*(listing.write(store, "registry.test") for _ in range(30)))
        assert len(set(pages)) == 1
        return str(pages[0]), len(written)

    async def story() -> None:
        digest = put_image(store, b"layer", tag="v1")
        assert ">v1</a>" in (await looked())[0]
        assert (await looked())[1] == 1
        put_image(store, b"layer", tag="v2")
        shown, count = await looked()
        assert ">v2</a>" in shown and count == 2
        RegistryStore(tmp_path).remove_tag("alice/app", "v2")  # as another process does
        assert ">v2</a>" not in (await looked())[0]
        store.remove_manifest("alice/app", digest)
        shown = (await looked())[0]
        assert ">v1</a>" not in shown and "no tag" in shown
        store.remove_untagged(store.untagged(time.time() + 1), time.time() + 1)
        shown, count = await looked()
        assert "Nothing has been pushed yet" in shown and count == 5

    with ThreadPoolExecutor(1) as pool:  # in this thread Playwright may have a loop that runs
        pool.submit(asyncio.run, story()).result()


def test_a_page_that_is_open_asks_for_the_list_alone(shop: Shop) -> None:
    part = shop.http.get("/repositories")
    assert part.text.startswith('<section id="repositories">') and part.text.endswith("</section>")
    assert part.text in shop.http.get("/").text
    assert part.headers["content-security-policy"].startswith("default-src 'none'")


def test_an_image_shows_its_layers_and_who_shares_them(shop: Shop) -> None:
    shown = words(shop.http.get("/image", params=APP))
    assert "RUN step 1 40kB application/vnd.oci.image.layer.v1.tar+gzip" in shown
    assert "alice/app:v2 , bob/tool:latest : saves 80kB" in shown
    assert "RUN step 3 3.02kB application/vnd.oci.image.layer.v1.tar+gzip" in shown and "only here" in shown
    assert "1 instruction made no layer" in shown and 'CMD ["python", "app.py"]' in shown
    assert "application/vnd.test.sig" in shown
    assert '"schemaVersion": 2, always 2; kept for old readers' in shown
    assert "ENTRYPOINT" not in shown and "CMD: the command, or the arguments of the entrypoint" in shown


@pytest.mark.parametrize("odd", [[], {}, 1])
def test_a_config_of_an_odd_kind_spoils_nobodys_page(shop: Shop, odd: object) -> None:
    config = shop.blob("mallory/app", b"{}", media_types.CONFIG) | {"mediaType": odd}
    document = {"schemaVersion": 2, "mediaType": media_types.MANIFEST, "config": config, "layers": []}
    shop.put("mallory/app", "v1", document)
    for path in ("/", "/image?repository=mallory/app&name=v1", "/delete?repository=mallory/app&name=v1"):
        assert shop.http.get(path).status_code == 200


def test_a_manifest_that_an_older_version_let_in_spoils_nobodys_page(shop: Shop, root: Path) -> None:
    """One almost as deep as Python's stack, or none at all: it is left out."""
    shop.image("mallory/app", "v1")
    for data in (b'{"schemaVersion":2,"more":' + b"[" * 985 + b"]" * 985 + b"}", b"[]"):
        bad = sha(data)
        (root / "blobs" / bad.replace(":", "/")).write_bytes(data)
        link = root / "repositories/mallory/app/_manifests" / bad.replace(":", "/")
        link.write_text(media_types.MANIFEST)
        assert shop.http.get(f"/v2/mallory/app/manifests/{bad}").status_code == 200
    assert shop.http.get("/").status_code == 200 and "mallory/app" in words(shop.http.get("/"))
    assert shop.http.get("/garbage").status_code == 200
    assert plan_removal(root, "alice/app", "v1").tags == ("v1",)


def test_an_index_shows_its_platforms(shop: Shop) -> None:
    shown = words(shop.http.get("/image", params={"repository": "carol/many", "name": "latest"}))
    assert "linux/amd64" in shown and "linux/arm64" in shown


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"repository": "alice/app", "name": "v9"}, 404),
        ({"repository": "nobody/here", "name": "v1"}, 404),
        ({"repository": "../../etc", "name": "v1"}, 400),
        ({"repository": "alice/app", "name": "../../../secret"}, 404),
        ({"repository": "alice/app", "name": "sha256:x"}, 400),
        ({}, 400),
    ],
)
@pytest.mark.parametrize("page", ["/image", "/delete"])
def test_what_is_not_there_is_told_in_a_page(shop: Shop, page: str, query: dict[str, str], status: int) -> None:
    answer = shop.http.get(page, params=query)
    assert answer.status_code == status
    assert "text/html" in answer.headers["content-type"] and "Go to the repositories" in answer.text


def test_every_answer_forbids_what_is_not_ours(shop: Shop) -> None:
    for path in ("/", "/image?repository=alice/app&name=v1", "/garbage", "/page.js", "/page.css", "/requests"):
        headers = shop.http.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_no_address_in_a_page_is_absolute(shop: Shop) -> None:
    """Else the page would be left behind a proxy, which shows it below a prefix."""
    for path in ("/", "/image?repository=alice/app&name=v1", "/delete?repository=alice/app&name=v1", "/garbage"):
        for found in re.findall(r'(?:href|src|action)="([^"]*)"', shop.http.get(path).text):
            assert not re.match(r"/|https?:|//", found), found


def test_text_that_was_pushed_to_do_harm_is_only_text(shop: Shop) -> None:
    shop.harm()
    digest = digest_of(shop.http, "eve/evil", "latest")
    for path in (
        "/",
        "/image?repository=eve/evil&name=latest",
        "/image?repository=eve/evil&name=index",
        f"/delete?repository=eve/evil&name={digest}",
    ):
        answer = shop.http.get(path)
        assert answer.status_code == 200
        assert "<script>" not in answer.text and "<img" not in answer.text, path
        assert not re.search(r'href="\s*javascript:', answer.text)
        assert "\x1b" not in answer.text and "\u202e" not in answer.text
    shown = unescape(shop.http.get("/image?repository=eve/evil&name=latest").text)
    assert shown.count(SCRIPT) >= 3 and shown.count(SCRIPT[:8]) > 10


@pytest.mark.parametrize(
    "config",
    [b"", b"[]", b"null", b"\xff\xfe", b'{"history": 7, "config": []}', b"[" * 900 + b"]" * 900,
     b'{"history": [{"created_by": ["x"], "empty_layer": "?"}, 3, null]}'],
    ids=repr,
)  # fmt: skip
def test_a_config_of_any_shape_is_shown_as_far_as_it_goes(http: httpx.Client, config: bytes) -> None:
    shop = Shop(http)
    described = shop.blob("a/b", config, "application/vnd.oci.image.config.v1+json")
    only = shop.blob("a/b", layer("one", 50), "application/vnd.oci.image.layer.v1.tar+gzip")
    kind = "application/vnd.oci.image.manifest.v1+json"
    shop.put("a/b", "v1", {"schemaVersion": 2, "mediaType": kind, "config": described, "layers": [only]})
    assert http.get("/").status_code == 200
    assert http.get("/image", params={"repository": "a/b", "name": "v1"}).status_code == 200


# ---------------------------------------------------------------- delete and collect


def test_a_tag_is_deleted_after_its_plan_and_frees_nothing(shop: Shop, root: Path) -> None:
    http, before = shop.http, disk(root)
    digest = digest_of(http, "alice/app", "v1")
    plan = http.get("/delete", params=APP)
    assert "A tag is only a name" in words(plan) and "0B" in words(plan)
    assert http.head("/v2/alice/app/manifests/v1").status_code == 200
    done = http.post("/delete", data=form_of(plan))
    assert done.status_code == 200 and "The tag is gone" in words(done)
    assert http.head("/v2/alice/app/manifests/v1").status_code == 404
    assert http.head(f"/v2/alice/app/manifests/{digest}").status_code == 200
    assert disk(root) == before


def test_a_deleted_manifest_is_freed_by_garbage_collection_and_what_is_shared_stays(shop: Shop, root: Path) -> None:
    http = shop.http
    digest = digest_of(http, "alice/app", "v1")
    plan = http.get("/delete", params={"repository": "alice/app", "name": digest})
    own = len(layer("app 1", 3_000))
    shown = words(plan)
    assert f"layer {own / 1000:.3g}kB" in shown and "alice/app:v2 ; bob/tool:latest" in shown
    assert "These have it as their subject" in shown
    assert "wait for garbage collection" in words(http.post("/delete", data=form_of(plan)))
    spared = http.get("/garbage")
    assert "came within the last hour" in words(spared) and "Blobs that are young" in words(spared)
    plan = http.get("/garbage", params={"young": "yes"})
    assert "layer (gzip) 3.02kB" in words(plan)
    before = disk(root)
    done = http.post("/garbage", data=form_of(plan))
    assert done.status_code == 200
    assert before - disk(root) > own
    assert not (root / "blobs/sha256" / sha(layer("app 1", 3_000))[7:]).exists()
    assert http.get("/v2/alice/app/manifests/v2").status_code == 200
    assert http.head(f"/v2/bob/tool/blobs/{sha(BASE)}").status_code == 200
    assert "There is no garbage" in words(http.get("/garbage", params={"young": "yes"}))


def test_from_another_machine_nobody_takes_the_blobs_of_a_push_that_is_under_way(root: Path) -> None:
    app = make_app(root, open_to_network=True)
    waiting = app.store.start_upload("alice/app")
    waiting.append(BASE)
    app.store.finish_upload("alice/app", waiting, sha(BASE))

    async def attack() -> list[int]:
        there = httpx.ASGITransport(app, client=("192.0.2.7", 40000))
        async with httpx.AsyncClient(transport=there, base_url="http://192.0.2.1:5000") as http:
            await http.get("/token", auth=("mallory", "m"))
            plan = await http.get("/garbage", params={"young": "yes"})
            form = form_of(plan) | {"young": "yes", "user": "mallory", "password": "m"}
            return [plan.status_code, (await http.post("/garbage", data=form)).status_code]

    with ThreadPoolExecutor(1) as thread:  # Playwright may have a loop running in this one
        assert thread.submit(asyncio.run, attack()).result() == [403, 403]
    assert app.store.has_blob("alice/app", sha(BASE))


def test_a_manifest_that_lost_its_tag_is_told_beside_the_garbage(http: httpx.Client) -> None:
    shop = Shop(http)
    old = shop.image("alice/app", "latest", BASE, layer("app 1", 3_000))["digest"]
    assert "no tag leads to" not in words(http.get("/garbage"))
    shop.image("alice/app", "latest", BASE, layer("app 2", 3_000))
    plan = http.get("/garbage")
    shown = words(plan)
    assert "There is no garbage" in shown and f"alice/app@{old[7:19]} 4.08kB Delete…" in shown
    follow = re.search(r'href="(delete[^"]+)"', plan.text)
    assert follow is not None
    assert "Tags that go none" in words(http.get(f"/{unescape(follow[1])}"))


def test_a_plan_that_is_old_is_not_carried_out(shop: Shop) -> None:
    http = shop.http
    digest = digest_of(http, "alice/app", "v1")
    form = form_of(http.get("/delete", params={"repository": "alice/app", "name": digest}))
    http.put("/v2/alice/app/manifests/stable", content=http.get("/v2/alice/app/manifests/v1").content,
             headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"}).raise_for_status()  # fmt: skip
    answer = http.post("/delete", data=form)
    assert answer.status_code == 409 and "This is the plan now" in words(answer) and "stable, v1" in words(answer)
    assert http.head("/v2/alice/app/manifests/v1").status_code == 200
    assert http.post("/delete", data=form_of(answer)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "cookies", "changed"),
    [
        ({"Origin": "https://evil.example"}, True, {}),
        ({"Sec-Fetch-Site": "cross-site"}, True, {}),
        ({"Sec-Fetch-Site": "same-site"}, True, {}),
        ({}, False, {}),
        ({}, True, {"seal": ""}),
        ({}, True, {"seal": "0" * 64}),
        ({}, True, {"name": "v2"}),
        ({"Content-Type": "application/json"}, True, {"seal": "é"}),
    ],
    ids=["origin", "cross-site", "same-site", "no session", "no seal", "forged seal", "seal of another plan", "odd"],
)
def test_a_form_that_was_not_sent_from_the_plan_is_not_obeyed(
    shop: Shop, headers: dict[str, str], cookies: bool, changed: dict[str, str]
) -> None:
    http = shop.http
    form = form_of(http.get("/delete", params=APP))
    if not cookies:
        http.cookies.clear()
    answer = http.post("/delete", data=form | changed, headers=headers)
    assert answer.status_code in (400, 403, 409)
    assert [http.head(f"/v2/alice/app/manifests/{tag}").status_code for tag in ("v1", "v2")] == [200, 200]


def test_a_seal_belongs_to_the_session_it_was_given_to(shop: Shop) -> None:
    form = form_of(shop.http.get("/delete", params=APP))
    with httpx.Client(base_url=shop.http.base_url, trust_env=False) as other:
        other.get("/")
        assert other.post("/delete", data=form).status_code == 409


def test_a_users_repository_is_changed_by_that_user_only(shop: Shop) -> None:
    http = shop.http
    for name in ("alice", "bob"):
        assert http.get("/token", auth=(name, f"secret of {name}")).status_code == 200
    plan = http.get("/delete", params=APP)
    assert "belongs to alice" in words(plan)
    form = form_of(plan)
    for login, status in (
        ({}, 403),
        ({"user": "alice", "password": "guess"}, 401),
        ({"user": "bob", "password": "secret of bob"}, 403),
        ({"user": "mistyped", "password": "secret"}, 401),
    ):
        answer = http.post("/delete", data=form | login)
        assert answer.status_code == status and http.head("/v2/alice/app/manifests/v1").status_code == 200
        assert "secret" not in answer.text
    # A name that was mistyped has not become a user.
    assert http.get("/token", auth=("mistyped", "other")).json()["registered"] is True
    assert http.post("/delete", data=form | {"user": "alice", "password": "secret of alice"}).status_code == 200


def test_a_token_that_is_not_for_deletes_deletes_nothing_here_either(shop: Shop) -> None:
    http = shop.http
    form = form_of(http.get("/delete", params=APP))
    for actions, status in (("pull,push", 403), ("pull,push,delete", 200)):
        scope = {"scope": f"repository:alice/app:{actions}"}
        token = http.get("/token", params=scope, auth=("alice", "secret")).json()["token"]
        assert http.post("/delete", data=form, headers={"Authorization": f"Bearer {token}"}).status_code == status


def test_nothing_but_the_plan_is_in_a_form(shop: Shop) -> None:
    answer = shop.http.post("/delete", content=b"name=" + b"x" * 20_000)
    assert answer.status_code == 413
    assert shop.http.post("/delete", content="&".join(f"a{n}=1" for n in range(50)).encode()).status_code == 400
    assert shop.http.post("/image").status_code in (404, 405)


# ---------------------------------------------------------------- by another name, and what is told


def test_a_stranger_domain_is_let_in_with_the_key_only(shop: Shop, root: Path) -> None:
    http = shop.http
    there = {"Host": "hub.example.org"}
    assert http.get("/", headers=there).status_code == 403
    assert http.get("/", params={"key": "0" * 64}, headers=there).status_code == 403
    key = make_app(root).pages.visitors.key
    first = http.get("/", params={"key": key}, headers=there)
    assert first.status_code == 200
    cookie = first.headers["set-cookie"]
    assert "SameSite=Strict" in cookie and "HttpOnly" in cookie and "Path" not in cookie and key not in cookie
    session = {**there, "Cookie": cookie.partition(";")[0]}
    plan = http.get("/delete", params=APP, headers=session)
    assert plan.status_code == 200
    assert http.get("/v2/_catalog", headers=session).status_code == 403
    evil = session | {"Origin": "https://evil.example"}
    assert http.post("/delete", data=form_of(plan), headers=evil).status_code == 403
    honest = session | {"Origin": "https://hub.example.org"}
    assert http.post("/delete", data=form_of(plan), headers=honest).status_code == 200


def test_the_log_is_told_as_json_and_without_the_pages_own_requests(shop: Shop) -> None:
    shop.http.get("/")
    told = shop.http.get("/requests").json()
    numbers = [one["number"] for one in told["requests"]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(one["cells"][1].split()[1].startswith("/v2/") for one in told["requests"])
    later = shop.http.get("/requests", params={"run": told["run"], "after": str(numbers[-2])}).json()
    assert [one["number"] for one in later["requests"]] == numbers[-1:]
    of_another_run = shop.http.get("/requests", params={"run": "x", "after": str(numbers[-2])}).json()
    assert len(of_another_run["requests"]) == len(numbers)


def test_events_come_as_they_happen(shop: Shop, server: Address) -> None:
    last = shop.http.get("/requests").json()
    place = f"{last['run']}-{last['requests'][-1]['number']}"
    with (
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as other,
        other.stream("GET", "/events", headers={"Last-Event-ID": place}) as events,
    ):
        assert events.headers["content-type"].startswith("text/event-stream")
        shop.http.head(f"/v2/alice/app/blobs/{sha(BASE)}")
        line = next(line for line in events.iter_lines() if line.startswith("data: "))
    message = json.loads(line.removeprefix("data: "))
    assert message["number"] == last["requests"][-1]["number"] + 1
    assert message["cells"][1].startswith("HEAD /v2/alice/app/blobs/sha256:")
    assert message["cells"][-1].endswith(f"it is, so it need not be sent. Saves {len(BASE) / 1000:.3g}kB.")
