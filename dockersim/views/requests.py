"""The requests of a push or pull as a lesson: what each was for, what it came to, and why the protocol is so.

>>> from dockersim.registry.events import LayerExists, LayerPushed
>>> tally = tally_of((), [LayerPushed("sha256:a", "sha256:b", 4_000), LayerExists("sha256:c", "sha256:d", 28_000_000)])
>>> print("\\n".join(tally.lines()))
0 requests.
  sent       4kB: 1 layer
  not sent   28MB: 1 layer that was there already (HEAD answered 200)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import Final

from msgspec import Struct

from dockersim.digest import short
from dockersim.registry.events import (
    ConfigSent,
    LayerExists,
    LayerMounted,
    LayerPulled,
    LayerPushed,
    ManifestFetched,
    ManifestPut,
    PullEvent,
    PushEvent,
)
from dockersim.registry.purpose import consequence, reason
from dockersim.registry.wire import WireEvent, explain, short_path
from dockersim.views.tables import table
from dockersim.views.units import human_size

WIDTH: Final = 100
"""Columns of prose in a terminal."""

HEADER: Final = ("METHOD", "STATUS", "SENT", "RECEIVED", "PATH")


class Part(Struct, frozen=True):
    """Blobs with one fate: ``verb`` says which ("sent", "not sent", ...), ``words`` what they are and why."""

    verb: str
    size: int
    words: str

    def __str__(self) -> str:
        return f"{human_size(self.size)}: {self.words}"


class Tally(Struct, frozen=True):
    """What a transfer came to. Bytes are those of bodies, as they went over the wire."""

    requests: int
    bytes_out: int
    bytes_in: int
    parts: tuple[Part, ...]

    @property
    def head(self) -> str:
        """The first line."""
        if not self.bytes_out and not self.bytes_in:
            return f"{_count(self.requests, 'request')}."
        wire = f"{human_size(self.bytes_out)} sent and {human_size(self.bytes_in)} received in their bodies"
        return f"{_count(self.requests, 'request')}, {wire}."

    def lines(self) -> Iterator[str]:
        """Write the tally as lines."""
        yield self.head
        yield from (f"  {part.verb:<10} {part}" for part in self.parts)


def tally_of(requests: Sequence[WireEvent], events: Iterable[PushEvent | PullEvent]) -> Tally:
    """Add up what a transfer sent, and what it did not have to send."""
    return Tally(
        requests=len(requests),
        bytes_out=sum(event.bytes_out for event in requests),
        bytes_in=sum(event.bytes_in for event in requests),
        parts=tuple(_parts(events)),
    )


def blob_names(events: Iterable[PushEvent | PullEvent]) -> dict[str, str]:
    """Tell by digest what each blob is, a layer by the id that its line of the transfer begins with."""
    named: dict[str, str] = {}
    for event in events:
        match event:
            case LayerExists() | LayerMounted() | LayerPushed():
                named[event.digest] = f"layer {short(event.diff_id)}"
            case LayerPulled():
                named[event.digest] = f"layer {short(event.digest)}"
            case ConfigSent():
                named[event.digest] = "config"
            case _:
                pass
    return named


def wire_table(requests: Iterable[WireEvent], named: Mapping[str, str] | None = None) -> str:
    """Lay out the requests of a transfer: what was asked, what was answered, and below it what it was for.

    ``named`` tells by digest what a blob is.
    """
    events = in_order(requests)
    rows = [
        (event.method, str(event.status or "-"), human_size(event.bytes_out), human_size(event.bytes_in),
         short_path(event))
        for event in events
    ]  # fmt: skip
    header, *lines = table(HEADER, rows).split("\n")
    meanings = (f"  {_about(event, named or {})}{explain(event)}" for event in events)
    return "\n".join([header, *(line for pair in zip(lines, meanings, strict=True) for line in pair)])


class Requests(Struct, frozen=True):
    """The requests of one transfer, and what became of each layer; a notebook shows a table, ``print`` text."""

    title: str
    requests: tuple[WireEvent, ...]
    events: tuple[PushEvent | PullEvent, ...] = ()

    def lines(self) -> Iterator[str]:
        """Write the table, then what it came to, then why the protocol has such requests."""
        yield from wire_table(self.requests, blob_names(self.events)).split("\n")
        yield ""
        yield from tally_of(self.requests, self.events).lines()
        yield ""
        for kind, why in reasons(self.requests):
            yield f"Why {kind}?"
            yield from wrap(why, WIDTH, initial_indent="  ", subsequent_indent="  ")

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Lay it out in the notebook's own style; nothing is told by colour."""
        tally = tally_of(self.requests, self.events)
        names = ("#", *(name.capitalize() for name in HEADER), "What for")
        head = "".join(f'<th scope="col" style="text-align:left">{name}</th>' for name in names)
        named = blob_names(self.events)
        rows = "".join(_row(number, event, named) for number, event in enumerate(in_order(self.requests), 1))
        parts = "".join(f"<li><strong>{part.verb}</strong> {escape(str(part))}</li>" for part in tally.parts)
        whys = "".join(f"<dt>Why {escape(kind)}?</dt><dd>{escape(why)}</dd>" for kind, why in reasons(self.requests))
        return (
            f'<table><caption style="text-align:left">{escape(self.title)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
            f"<p>{escape(tally.head)}</p><ul>{parts}</ul>"
            f"<details><summary>Why these requests?</summary><dl>{whys}</dl></details>"
        )


def reasons(requests: Iterable[WireEvent]) -> Iterator[tuple[str, str]]:
    """Give each kind of request that was made, in the order it was first made, and why there is such a kind."""
    seen = set()
    for event in in_order(requests):
        if event.purpose in seen or not reason(event.purpose):
            continue
        seen.add(event.purpose)
        yield f"{event.method}, to {str(event.purpose).partition(';')[0]}", reason(event.purpose)


def in_order(requests: Iterable[WireEvent]) -> list[WireEvent]:
    """Sort requests by when they were made: a log notes a request when its answer has come."""
    return sorted(requests, key=lambda event: event.at)


# ---------------------------------------------------------------- pieces


_THERE: Final = "there already (HEAD answered 200)"
_HERE: Final = "here already"


def _parts(events: Iterable[PushEvent | PullEvent]) -> Iterator[Part]:
    """Sort what happened by its fate; layers of one fate are one part."""
    happened = list(events)
    pulled = any(isinstance(event, ManifestFetched) for event in happened)
    for verb, kind, more in (
        ("fetched" if pulled else "sent", LayerPulled if pulled else LayerPushed, ""),
        ("not sent", LayerMounted, ""),
        ("not fetched" if pulled else "not sent", LayerExists, _HERE if pulled else _THERE),
    ):
        found = [event for event in happened if isinstance(event, kind)]
        sources = sorted({event.source for event in found if isinstance(event, LayerMounted)})
        if sources:
            more = f" that the registry took over from {', '.join(sources)} (mount answered 201)"
        elif more:
            more = f" that {'was' if len(found) == 1 else 'were'} {more}"
        if found:
            yield Part(verb, sum(event.size for event in found), f"{_count(len(found), 'layer')}{more}")
    for event in happened:
        match event:
            case ConfigSent(_, size, existed):
                yield (
                    Part("not sent", size, f"the config, which was {_THERE}")
                    if existed
                    else Part("sent", size, "the config")
                )
            case ManifestPut(tag, _, size):
                yield Part("sent", size, f"the manifest, under the name {tag}")
            case ManifestFetched(name, _, size):
                yield Part("fetched", size, f"what {name} stands for")
            case _:
                pass


def _about(event: WireEvent, named: Mapping[str, str]) -> str:
    return f"{named[event.digest]}: " if event.digest in named else ""


def _row(number: int, event: WireEvent, named: Mapping[str, str]) -> str:
    asked, came = f"{_about(event, named)}{event.purpose}", consequence(event.purpose, event.status)
    purpose = f"{escape(asked)}: <strong>{escape(came)}</strong>"
    cells = (
        str(number), f"<code>{escape(event.method)}</code>", str(event.status or "no answer"),
        human_size(event.bytes_out), human_size(event.bytes_in), f"<code>{escape(short_path(event))}</code>", purpose,
    )  # fmt: skip
    return "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
