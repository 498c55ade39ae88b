"""What a transfer came to: each fate once, with its bytes, and nothing of a stranger's text as markup."""

from __future__ import annotations

import pytest

from dockersim.digest import DiffID, Digest
from dockersim.registry import (
    ConfigSent,
    LayerExists,
    LayerMounted,
    LayerPulled,
    LayerPushed,
    ManifestFetched,
    ManifestPut,
    PullEvent,
    PushEvent,
    WireEvent,
)
from dockersim.views.requests import Requests, tally_of, wire_table

ONE, TWO = DiffID("sha256:" + "1" * 64), DiffID("sha256:" + "2" * 64)
BLOB = Digest("sha256:" + "b" * 64)

PUSH: list[PushEvent] = [
    LayerExists(ONE, BLOB, 28_000_000),
    LayerExists(TWO, BLOB, 1_000_000),
    LayerMounted(ONE, BLOB, 2_000_000, "library/ubuntu"),
    LayerPushed(TWO, BLOB, 3_000),
    ConfigSent(BLOB, 700, False),
    ManifestPut("v1", BLOB, 500),
]
PULL: list[PullEvent] = [
    ManifestFetched("alice/app:v1", BLOB, 500, "x"),
    LayerExists(ONE, BLOB, 28_000_000),
    LayerPulled(TWO, BLOB, 3_000),
]


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        (PUSH, [
            "sent 3kB: 1 layer",
            "not sent 2MB: 1 layer that the registry took over from library/ubuntu (mount answered 201)",
            "not sent 29MB: 2 layers that were there already (HEAD answered 200)",
            "sent 700B: the config",
            "sent 500B: the manifest, under the name v1",
        ]),
        (PULL, [
            "fetched 3kB: 1 layer",
            "not fetched 28MB: 1 layer that was here already",
            "fetched 500B: what alice/app:v1 stands for",
        ]),
        ([ConfigSent(BLOB, 700, True)], ["not sent 700B: the config, which was there already (HEAD answered 200)"]),
        ([], []),
    ],
    ids=["push", "pull", "config", "nothing"],
)  # fmt: skip
def test_every_fate_is_added_up(events: list[PushEvent | PullEvent], lines: list[str]) -> None:
    assert [f"{part.verb} {part}" for part in tally_of((), events).parts] == lines


def test_the_bytes_are_those_of_the_requests() -> None:
    requests = [WireEvent.of("PUT", "/v2/a/b/manifests/v1", status=201, bytes_out=500, at=2.0),
                WireEvent.of("GET", "/token", status=200, bytes_in=250, at=1.0)]  # fmt: skip
    assert tally_of(requests, []).head == "2 requests, 500B sent and 250B received in their bodies."
    assert [line.split()[0] for line in wire_table(requests).splitlines()[1::2]] == ["GET", "PUT"]


def test_each_request_says_which_layer_it_is_about() -> None:
    head = WireEvent.of("HEAD", f"/v2/a/b/blobs/{BLOB}", status=200)
    for events, about in (
        (PUSH[:1], "layer 111111111111: ask whether"),
        ([ConfigSent(BLOB, 700, True)], "config: ask whether"),
        (PULL[2:], "layer bbbbbbbbbbbb: ask whether"),
        ([], "ask whether"),
    ):
        shown = Requests("title", (head,), tuple(events))
        assert str(shown).splitlines()[2].startswith(f"  {about}")
        assert f">{about}" in shown._repr_html_()


def test_a_path_is_text_in_a_notebook_too() -> None:
    evil = WireEvent.of("GET", "/v2/<script>alert(1)</script>/manifests/x", status=404)
    html = Requests("<b>title</b>", (evil,))._repr_html_()
    assert "<script>" not in html and "<b>" not in html and "&lt;script&gt;" in html
