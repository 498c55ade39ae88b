"""Who COPY and WORKDIR give files to: names, numbers, and what the image knows of them."""

from __future__ import annotations

import io

import pytest

from dockersim.engine.files import Files
from dockersim.engine.users import account, owner
from dockersim.errors import BuildError
from dockersim.filesystem import Entry, Kind, Node, Tree

TEXTS = {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nada:x:41:42::/:/bin/sh\n", "etc/group": b"crew:x:50:ada\n"}


def image(*paths: str) -> Files:
    """Make an image of these files."""
    entries = [Entry(path, Kind.FILE, size=len(TEXTS.get(path, b""))) for path in paths]

    def opener(node: Node) -> io.BytesIO:
        return io.BytesIO(TEXTS[node.entry.path])

    return Files(Tree.EMPTY.apply(entries), opener)


@pytest.mark.parametrize(
    ("chown", "numbers"),
    [
        ("7", (7, 7)),
        ("7:8", (7, 8)),
        ("7:", (7, 0)),
        (":8", (0, 8)),
        ("root", (0, 0)),
        ("ada", (41, 42)),
        ("ada:root", (41, 0)),
        ("ada:crew", (41, 50)),
        ("7:crew", (7, 50)),
        ("4294967295", (4294967295, 4294967295)),
        # No numbers of users, so names, which nobody knows.
        ("4294967296", (0, 0)),
        ("\u00b2", (0, 0)),
        ("9" * 5000, (0, 0)),
        # Nobody knows these: the user is root, the group is the user's.
        ("eve", (0, 0)),
        ("eve:crew", (0, 50)),
        ("ada:eve", (41, 42)),
        ("7:eve", (7, 7)),
        ("41", (41, 41)),
    ],
)
def test_owner(chown: str, numbers: tuple[int, int]) -> None:
    assert owner(image("etc/passwd", "etc/group"), chown) == numbers


def test_names_where_the_image_has_no_passwd() -> None:
    assert owner(image("app"), "ada:crew") == (0, 0)


@pytest.mark.parametrize("chown", ["ada", "7:crew", "ada:8"])
def test_names_where_there_is_no_image(chown: str) -> None:
    with pytest.raises(BuildError, match=r"^invalid user index: -1"):
        owner(image(), chown)


@pytest.mark.parametrize(("chown", "numbers"), [("root", (0, 0)), ("root:7", (0, 7)), (":7", (0, 7)), ("7", (7, 7))])
def test_numbers_where_there_is_no_image(chown: str, numbers: tuple[int, int]) -> None:
    assert owner(image(), chown) == numbers


@pytest.mark.parametrize("user", ["\u00b2", "2147483648", "9" * 5000, "1:\u00b2", "1:99999999999"])
def test_what_is_no_number_of_a_user_is_a_name(user: str) -> None:
    with pytest.raises(BuildError, match=r"unable to find (user|group) .*: no matching entries in (passwd|group) file"):
        account(image(*TEXTS), user)
