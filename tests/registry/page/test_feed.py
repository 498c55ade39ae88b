"""Telling pages what happens: none is forgotten, none can hold the others up, and nothing piles up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from dockersim.registry import Address, MemoryLog, WireEvent, ensure_running, stop
from dockersim.registry.page.feed import KEPT, MOST_FOLLOWERS, Feed
from dockersim.registry.server.service import make_app

Result = TypeVar("Result")


def event(path: str = "/v2/") -> WireEvent:
    return WireEvent.of("GET", path, status=200)


def run_apart(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in a thread of its own: in this one Playwright may have a loop running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def test_the_history_is_bounded_and_numbered_without_gaps() -> None:
    feed = Feed(MemoryLog())
    for _ in range(KEPT + 10):
        feed.record(event())
    assert [one.number for one in feed.after(0)] == list(range(11, KEPT + 11))
    assert [one.number for one in feed.after(KEPT + 8)] == [KEPT + 9, KEPT + 10]


def test_what_pages_ask_is_logged_but_not_told() -> None:
    log = MemoryLog()
    feed = Feed(log)
    feed.record(event("/events"))
    assert feed.after(0) == [] and len(log.events) == 1


def test_everyone_who_follows_is_told_each_request_once() -> None:
    async def run() -> list[list[int]]:
        feed = Feed(MemoryLog())

        async def follow() -> list[int]:
            seen: list[int] = []
            async for news in feed.follow(0):
                seen += [one.number for one in news]
                if len(seen) == 30:
                    return seen
            raise AssertionError("the feed ended")

        pages = [asyncio.create_task(follow()) for _ in range(10)]
        for _ in range(30):
            await asyncio.to_thread(feed.record, event())
        return await asyncio.wait_for(asyncio.gather(*pages), 20)

    assert run_apart(run()) == [list(range(1, 31))] * 10


def test_one_page_too_many_is_told_to_come_later_and_sends_nobody_away(
    http: httpx.Client, server: Address, switched: tuple[Any, Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dockersim.registry.page.feed.MOST_FOLLOWERS", 1)
    with httpx.stream("GET", f"{server.url}/events", trust_env=False, timeout=20) as events:
        lines = events.iter_lines()
        assert next(lines) == "retry: 1000"
        while not next(lines):
            pass  # to the first word of the feed: now it follows
        with http.stream("GET", "/events") as refused:
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
        switched[0].current.feed.record(event("/v2/news"))
        assert any("/v2/news" in line for line in lines)


def test_too_many_are_sent_away_at_once_and_all_end_when_the_server_stops() -> None:
    async def run() -> tuple[int, int]:
        feed = Feed(MemoryLog())

        async def follow() -> None:
            async for _ in feed.follow(0):
                pass

        pages = [asyncio.create_task(follow()) for _ in range(MOST_FOLLOWERS + 5)]
        ended, _ = await asyncio.wait(pages, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        while len(ended := {one for one in pages if one.done()}) < 5:
            await asyncio.sleep(0)
        first = len(ended)
        feed.close()
        await asyncio.wait_for(asyncio.gather(*pages), 20)
        return first, sum(one.done() for one in pages)

    assert run_apart(run()) == (5, MOST_FOLLOWERS + 5)


def unread(server: Address) -> socket.socket:
    """Open the stream of events and read no more than its first line."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect((server.host, server.port))
    made.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert made.recv(20).startswith(b"HTTP/1.1 200")
    return made


def test_pages_that_stop_reading_hold_nobody_up(server: Address, switched: tuple[Any, Address]) -> None:
    pages = [unread(server) for _ in range(5)]
    feed = switched[0].current.feed
    try:
        for _ in range(6):
            # Together far more than the buffers of a connection hold, and nobody reads them.
            for _ in range(KEPT):
                feed.record(event("/v2/" + "x" * 4000))
            assert httpx.get(f"{server.url}/page.css", trust_env=False, timeout=20).status_code == 200
    finally:
        for one in pages:
            one.close()


def test_a_registry_that_is_stopped_lets_its_pages_go_in_order(root: Path) -> None:
    """A stream that is cut off instead would end in an error here."""
    address = ensure_running(root)
    with httpx.stream("GET", f"{address.url}/events", trust_env=False, timeout=20) as events:
        lines = events.iter_lines()
        assert next(lines) == "retry: 1000"
        assert stop(root)
        for _ in lines:
            pass  # to the end of the stream


def test_a_log_that_cannot_be_written_costs_no_page_its_news(tmp_path: Path) -> None:
    app = make_app(tmp_path / "registry")  # the folder is not there, so its log cannot be written
    app.feed.record(event())
    assert [one.number for one in app.feed.after(0)] == [1]


@pytest.mark.parametrize("place", ["-1", "x", "9" * 30, "", "1e3"])
def test_a_place_that_is_none_is_the_beginning(http: httpx.Client, place: str) -> None:
    run = http.get("/requests").json()["run"]
    http.get("/v2/")
    told = http.get("/requests", params={"run": run, "after": place}).json()
    assert [one["number"] for one in told["requests"]] == [1]
