"""The registry's page in a real browser: live, by keyboard, in a narrow window, and with text that means harm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from shop import BASE, PYTHON, Shop, layer, sha

from dockersim.registry import Address, FileLog

Open = Callable[..., Any]


@pytest.fixture
def shop(http: httpx.Client) -> Shop:
    return Shop(http)


@pytest.fixture
def open_page(browser: Any, server: Address) -> Iterator[Open]:
    """Open a page; anything the browser complains about, or asks another address for, fails the test."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1180, "height": 800})
    context.set_default_timeout(20_000)

    def open_address(path: str = "/", **size: int) -> Any:
        page = context.new_page()
        if size:
            page.set_viewport_size(size)
        page.on("console", lambda one: None if "a status of 401" in one.text else complaints.append(one.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda one: None if one.url.startswith(server.url) else complaints.append(one.url))
        page.goto(server.url + path)
        return page

    yield open_address
    context.close()
    assert complaints == []


def rows(page: Any) -> list[str]:
    return [" ".join(text.split()) for text in page.locator("#log-rows tr").all_inner_texts()]


def reach(page: Any, name: str) -> None:
    """Go to a link or button by Tab alone."""
    page.evaluate("document.activeElement?.blur()")
    for _ in range(80):
        page.keyboard.press("Tab")
        here = page.evaluate("document.activeElement.innerText ?? ''")
        if " ".join(here.split()).startswith(name):
            ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert ring != "none", f"{name} has the focus and does not show it"
            return
    raise AssertionError(f"{name} is not reached by Tab")


def follow(page: Any, name: str) -> None:
    """Reach a link or button, and press Enter."""
    reach(page, name)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_a_push_arrives_live_and_the_list_follows_it(open_page: Open, shop: Shop) -> None:
    page = open_page()
    page.get_by_text("Nothing has been pushed yet").wait_for()
    shop.image("alice/app", "v1", BASE)
    page.locator("#log-rows tr", has_text="PUT /v2/alice/app/manifests/v1").wait_for()
    shown = rows(page)
    assert sum("HEAD /v2/alice/app/blobs/sha256:" in one for one in shown) == 2
    assert "Put the manifest under its name; last, when all that it lists is there: stored" in shown[-1]
    page.get_by_role("link", name="v1", exact=True).wait_for()
    page.locator("#log-status", has_text="the latest: PUT /v2/alice/app/manifests/v1: 201").wait_for()
    shop.image("alice/app", "v1", BASE)
    page.locator("#log-rows tr", has_text="Saves 40kB").wait_for()


def test_while_a_class_pushes_the_list_is_asked_for_now_and_then(open_page: Open, shop: Shop, root: Path) -> None:
    page = open_page()
    until, pushes = time.monotonic() + 20, 0
    while not page.get_by_role("link", name="v0", exact=True).count():
        shop.image("alice/app", f"v{pushes}", BASE)  # there is never a pause to wait for
        pushes += 1
        assert time.monotonic() < until
    asked = [event for event in FileLog(root / "wire.jsonl").events() if event.path == "/repositories"]
    assert len(asked) <= 2 < pushes


def test_the_log_pauses_and_goes_on_without_a_gap(open_page: Open, shop: Shop) -> None:
    page = open_page()
    reach(page, "Pause")
    page.keyboard.press("Enter")
    assert page.locator("#log-pause").get_attribute("aria-pressed") == "true"
    for tag in ("one", "two"):
        shop.http.head(f"/v2/alice/app/manifests/{tag}")
    page.locator("#log-status", has_text="Paused. 2 requests are waiting.").wait_for()
    assert rows(page) == []
    page.keyboard.press("Space")
    page.locator("#log-rows tr", has_text="manifests/two").wait_for()
    assert [one.split()[2] for one in rows(page)] == ["/v2/alice/app/manifests/one", "/v2/alice/app/manifests/two"]


def test_many_pages_are_told_and_the_next_one_takes_over(open_page: Open, shop: Shop) -> None:
    """More pages than a browser opens connections to one server."""
    pages = [open_page() for _ in range(9)]
    shop.http.head("/v2/alice/app/manifests/first")
    for page in pages:
        page.locator("#log-rows tr", has_text="manifests/first").wait_for()
    for page in pages[:4]:
        page.close()
    shop.http.head("/v2/alice/app/manifests/second")
    for page in pages[4:]:
        page.locator("#log-rows tr", has_text="manifests/second").wait_for()
        assert len(rows(page)) == 2


def test_layers_and_who_shares_them_are_read_by_keyboard(open_page: Open, shop: Shop) -> None:
    shop.fill()
    page = open_page()
    follow(page, "v1")
    page.wait_for_url("**/image?**")
    assert page.locator("h1").inner_text() == "alice/app:v1"
    table = page.get_by_role("table", name="Layers, the lowest first")
    first = table.locator("tbody tr").first
    assert [cell.strip() for cell in first.locator("td").all_inner_texts()] == [
        "1", "RUN step 1", "40kB", "application/vnd.oci.image.layer.v1.tar+gzip", sha(BASE)[7:19],
        "alice/app:v2, bob/tool:latest: saves 80kB",
    ]  # fmt: skip
    reach(page, "The config, field by field")
    page.keyboard.press("Enter")
    page.get_by_role("row", name='"architecture": "amd64", the processor it was built for').wait_for()
    follow(page, "bob/tool:latest")
    page.wait_for_url("**/image?repository=bob**")


def test_an_image_is_deleted_and_its_blobs_are_freed_by_keyboard(open_page: Open, shop: Shop, root: Path) -> None:
    shop.fill()
    own = root / "blobs/sha256" / sha(layer("app 1", 3_000))[7:]
    before = sum(one.stat().st_size for one in (root / "blobs").rglob("*") if one.is_file())
    page = open_page("/image?repository=alice/app&name=v1")
    follow(page, "Delete the manifest with all its tags")
    page.wait_for_url("**/delete?**")
    freed = page.get_by_role("table", name="Blobs that no manifest will name")
    assert "layer\t3.02kB" in freed.inner_text()
    kept = page.get_by_role("table", name="Blobs that stay, as others name them")
    assert "alice/app:v2; bob/tool:latest" in kept.inner_text()
    follow(page, "Delete this manifest")
    page.get_by_text("wait for garbage collection").wait_for()
    assert own.exists()
    follow(page, "Go on to garbage collection")
    follow(page, "Nobody is pushing now")
    page.wait_for_url("**/garbage?young=yes")
    follow(page, "Free ")
    page.locator("h1", has_text="Garbage collected").wait_for()
    after = sum(one.stat().st_size for one in (root / "blobs").rglob("*") if one.is_file())
    assert not own.exists() and before - after > own_size()
    assert f"Freed\n{(before - after) / 1000:.3g}kB" in page.locator("main").inner_text()
    follow(page, "Go to the repositories")
    page.get_by_role("link", name="v2", exact=True).wait_for()
    assert page.get_by_role("link", name="v1", exact=True).count() == 0


def own_size() -> int:
    return len(layer("app 1", 3_000))


def test_a_users_image_asks_for_the_password(open_page: Open, shop: Shop) -> None:
    shop.image("alice/app", "v1", BASE)
    shop.http.get("/token", auth=("alice", "secret"))
    page = open_page("/delete?repository=alice/app&name=v1")
    assert page.get_by_label("User").input_value() == "alice"
    page.get_by_label("Password").fill("guess")
    page.keyboard.press("Enter")
    page.get_by_text("The name or the password is wrong.").wait_for()
    page.get_by_label("Password").fill("secret")
    page.keyboard.press("Enter")
    page.get_by_text("The tag is gone").wait_for()


@pytest.mark.parametrize(
    "path", ["/", "/image?repository=eve/evil&name=latest", "/image?repository=eve/evil&name=index"]
)
def test_no_script_in_a_label_or_a_name_runs(open_page: Open, shop: Shop, path: str) -> None:
    shop.harm()
    page = open_page(path)
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    shop.http.get("/v2/<script>document.title='harmed'</script>/manifests/x")
    if path == "/":
        page.locator("#log-rows tr", has_text="<script>document.title").wait_for()
    assert "harmed" not in page.title() and page.locator("main script, main img").count() == 0


@pytest.mark.parametrize("width", [320, 590])
def test_a_narrow_window_or_large_letters_hide_nothing_beside_it(open_page: Open, shop: Shop, width: int) -> None:
    """590 is a window of 1180 at 200 %; what is wide scrolls by itself, and takes the focus for it."""
    shop.fill()
    for path in ("/", "/image?repository=alice/app&name=v1", "/image?repository=carol/many&name=latest",
                 "/delete?repository=alice/app&name=v1", "/garbage?young=yes"):  # fmt: skip
        page = open_page(path, width=width, height=740)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        boxes = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth)"
        assert page.evaluate(f"{boxes}.every(one => one.tabIndex === 0 && one.ariaLabel)")
        page.close()


def test_headings_landmarks_and_names_are_there(open_page: Open, shop: Shop) -> None:
    shop.fill()
    for path in ("/", "/image?repository=alice/app&name=v1", "/garbage"):
        page = open_page(path)
        levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map(one => Number(one.tagName[1]))")
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert page.get_by_role("main").count() == page.get_by_role("navigation").count() == 1
        unnamed = "all => all.filter(one => !(one.innerText || one.ariaLabel || one.labels?.length)).length"
        assert page.eval_on_selector_all("a, button, summary, input:not([type=hidden])", unnamed) == 0
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
        page.close()


def test_without_a_script_the_page_still_tells_all(browser: Any, server: Address, shop: Shop) -> None:
    shop.image("alice/app", "v1", BASE, PYTHON)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.url)
    assert "PUT /v2/alice/app/manifests/v1" in page.content() and "Reload the page" in page.content()
    assert page.locator("#log-pause").is_hidden()
    context.close()
