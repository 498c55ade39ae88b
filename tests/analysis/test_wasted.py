"""Wasted bytes and biographies over small made-up builds."""

from __future__ import annotations

from dockersim.analysis import Waste, biography, wasted
from dockersim.digest import sha256
from dockersim.filesystem import Change, Entry, Kind, What


def _file(path: str, data: bytes) -> Entry:
    return Entry(path, Kind.FILE, size=len(data), digest=sha256(data))


ONE, TWO = _file("d/f", b"one"), _file("d/f", b"second")
FOLDER = Entry("d", Kind.DIRECTORY, 0o755)
STEPS = [
    (2, (Change("d", What.ADDED, None, FOLDER), Change("d/f", What.ADDED, None, ONE))),
    (3, (Change("d/f", What.MODIFIED, ONE, TWO),)),
    (4, (Change("d", What.DELETED, FOLDER, None),)),
]


def test_a_rewritten_and_a_deleted_file_are_both_wasted() -> None:
    assert wasted(STEPS) == (Waste("d/f", 6, 3, 4), Waste("d/f", 3, 2, 3))


def test_a_biography_knows_that_a_directory_took_the_file_along() -> None:
    assert [event.words() for event in biography(STEPS, "d/f")] == [
        "step 2: added, 3 bytes",
        "step 3: overwritten, 3 → 6 bytes",
        "step 4: deleted",
    ]


def test_nothing_is_wasted_where_nothing_is_hidden() -> None:
    assert wasted(STEPS[:1]) == ()
