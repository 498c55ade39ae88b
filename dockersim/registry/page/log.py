"""The log of requests: as rows of a page, and as messages to pages that are open."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

from dockersim.registry.page.feed import Feed, Numbered
from dockersim.registry.page.layout import paragraph, section
from dockersim.registry.page.markup import Markup, element, join
from dockersim.registry.purpose import Purpose, consequence, reason
from dockersim.registry.wire import WireEvent, short_path
from dockersim.sizes import human_size

SHOWN = 100
"""Rows of the log in a page; the script drops older ones as new ones come."""

HEADER = ("Time", "Request", "Answer", "In", "Out", "What it was for, and what the answer means")


def cells(one: Numbered) -> tuple[str, ...]:
    """Write a request as the words of a row."""
    event = one.event
    saves = f" Saves {human_size(one.saved)}." if one.saved else ""
    means = f"{event.purpose[:1].upper()}{event.purpose[1:]}: {consequence(event.purpose, event.status)}.{saves}"
    at = time.strftime("%H:%M:%S", time.localtime(event.at))
    answer = str(event.status or "none")
    request = f"{event.method} {short_path(event)}"
    return at, request, answer, human_size(event.bytes_in), human_size(event.bytes_out), means


def messages(run: str, requests: Iterable[Numbered]) -> list[dict[str, object]]:
    """Write requests for the script; ``changes`` says that the list of repositories is another one now."""
    return [{"run": run, "number": one.number, "cells": cells(one), "changes": _changes(one.event)} for one in requests]


def stream_text(run: str, requests: Iterable[Numbered]) -> str:
    """Write requests as server-sent events (HTML standard, "Server-sent events"); none is a comment."""
    texts = [
        f"id: {run}-{message['number']}\ndata: {json.dumps(message, separators=(',', ':'))}\n\n"
        for message in messages(run, requests)
    ]
    return "".join(texts) or ": still here\n\n"


def log_section(feed: Feed) -> Markup:
    """Write the log as far as it has come; the script goes on with it."""
    latest = feed.after(0)[-SHOWN:]
    number = str(latest[-1].number if latest else 0)
    head = element("tr", join(*(element("th", name, scope="col") for name in HEADER)))
    body = element("tbody", join(*map(_row, latest)), id="log-rows", data_run=feed.run, data_number=number)
    caption = element("caption", "Requests, the latest at the end", class_="unseen")
    table = element("table", caption, element("thead", head), body, role="table")
    pause = element("button", "Pause", type="button", id="log-pause", aria_pressed="false", hidden=True)
    status = element("p", "Reload the page to see what has come since.", id="log-status", role="status")
    return section(
        "Requests",
        paragraph("Every request of a push, a pull or any other client appears here as it is answered, with what it "
                  "was for. Try ", element("code", "docker push"), " twice, and see what the second one saves."),
        element("div", pause, status, class_="bar"),
        element("div", table, class_="scroll log", id="log", role="region", aria_label="Log of requests",
                tabindex="0"),
        _reasons(),
        id_="requests",
    )  # fmt: skip


def _row(one: Numbered) -> Markup:
    # The roles are said, as where it is narrow the style sheet makes a list of the table. The script does the same.
    words = join(*(element("td", cell, role="cell") for cell in cells(one)))
    return element("tr", words, role="row")


def _reasons() -> Markup:
    pairs = (element("div", element("dt", f"To {purpose}"), element("dd", why))
             for purpose in Purpose if (why := reason(purpose)))  # fmt: skip
    summary = element("summary", "Why does the protocol have these requests?")
    return element("details", summary, element("dl", join(*pairs)))


def _changes(event: WireEvent) -> bool:
    return event.status < 300 and event.purpose in (Purpose.PUT_MANIFEST, Purpose.DELETE_MANIFEST)
