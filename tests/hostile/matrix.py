"""Every attack through every way in, and what became of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dockersim.snapshots.disk import delete
from tests.hostile import bombs, documents, layers, traces
from tests.hostile.arena import Arena, arena
from tests.hostile.documents import Documents
from tests.hostile.registry import push_raw
from tests.hostile.tars import END
from tests.hostile.ways import DOCUMENT_WAYS, LAYER_WAYS, PACKED_WAYS, Ended, call

Attack = TypeVar("Attack")

WHATEVER = "."
"""What is said does not matter: the practice registry has tests of its own for the words of the protocol."""


@dataclass(frozen=True)
class Tried:
    """One attack through one way in; ``expected`` is what its refusal says, "" if it should do no harm."""

    way: str
    attack: str
    ended: Ended
    expected: str
    touched: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether it was refused, in words."""
        return self.ended.code != 0

    @property
    def wrong(self) -> str:
        """Say what is wrong with how it ended; "" if nothing is."""
        if self.touched:
            return f"touched what is outside: {', '.join(self.touched)}"
        if self.ended.bug:
            return f"a bug: {self.ended.bug}"
        if self.expected != WHATEVER and self.refused != bool(self.expected):
            return f"should have been {'refused' if self.expected else 'taken'}, but: {self.ended.said!r}"
        if self.refused and not re.search(self.expected, self.ended.said):
            return f"said {self.ended.said!r}, not {self.expected!r}"
        if unsafe := obeyed(self.ended.shown + self.ended.said):
            return f"wrote {unsafe!r} to the terminal"
        return ""


def obeyed(text: str) -> str:
    """Find what a terminal would obey."""
    return "".join(sorted({letter for letter in text if not letter.isprintable() and letter not in "\n\t"}))


def everything(folder: Path) -> Iterator[Tried]:
    """Try all attacks of ordinary size."""
    yield from layer_attacks(folder)
    yield from packed_attacks(folder)
    yield from document_attacks(folder)
    yield from trace_attacks(folder)


def layer_attacks(folder: Path) -> Iterator[Tried]:
    """Try every layer through every way."""
    for name, (make, says) in layers.ATTACKS.items():
        for way, enter in LAYER_WAYS.items():
            yield attempt(folder, way, name, enter, lambda outside, make=make: _image(make(outside)), says.through(way))


def packed_attacks(folder: Path) -> Iterator[Tried]:
    """Try every way of packing through every way that unpacks."""
    for name, (make, says) in bombs.ATTACKS.items():
        data = make()
        for way, enter in PACKED_WAYS.items():
            yield attempt(folder, way, name, enter, lambda outside, data=data: data, says.through(way))


def document_attacks(folder: Path) -> Iterator[Tried]:
    """Try every document through every way that reads it; a cache that is none is left out, and never an error."""
    for name, (make, says) in documents.ATTACKS.items():
        made = make()
        for way, enter in {**DOCUMENT_WAYS, "push": push_raw}.items():
            expected = {"--cache-from": "", "push": WHATEVER}.get(way, says.through(way))
            if _reads(way, made):
                yield attempt(folder, way, name, enter, lambda outside, made=made: made, expected)


def trace_attacks(folder: Path, every: int = 1) -> Iterator[Tried]:
    """Replay traces that are damaged in one place each; of those that differ only in the place, ``every`` so many."""
    for name, text in traces.TEXTS.items():
        yield attempt(folder, "replay", name, _replay, lambda outside, text=text: text, "not a dockersim trace")
    for number, (where, document) in enumerate(traces.changed(traces.trace())):
        if number % every == 0:
            said = call(lambda document=document: _replay_text(json.dumps(document)))
            yield Tried("replay", f"trace in which {where}", said, WHATEVER)


def _replay(made: Arena, text: bytes) -> Ended:
    return call(lambda: traces.view(text))


def _replay_text(text: str) -> None:
    shown = obeyed(traces.view(text))
    assert not shown, f"wrote {shown!r} to the terminal"


def attempt(
    folder: Path,
    way: str,
    name: str,
    enter: Callable[[Arena, Attack], Ended],
    make: Callable[[str], Attack],
    expected: str,
) -> Tried:
    """Try one attack through one way, in an arena of its own."""
    place = folder / "arena"
    delete(str(place))
    with arena(place) as made:
        ended = enter(made, make(str(made.outside)))
        touched = tuple(made.changes())
    return Tried(way, name, ended, expected, touched)


def _image(made: tuple[bytes, ...]) -> Documents:
    return Documents(tuple(members + END for members in made))


def _reads(way: str, made: Documents) -> bool:
    """Tell whether a way reads the document that the attack is in."""
    if way == "load":
        return made.touches("config", "names")
    return not made.touches("names")
