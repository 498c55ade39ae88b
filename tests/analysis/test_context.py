"""The X-ray of a context as a pure description: folding, totals, and what should not be in it."""

from __future__ import annotations

import pytest

from dockersim.analysis import ContextFile, ContextXray, Total, Use, cautions
from dockersim.analysis.cautions import HUGE, holds_key, may_be_key
from dockersim.analysis.context import listed
from dockersim.dockerfile import IgnoreRules
from dockersim.filesystem import Kind


def found(rules: str, *paths: str, size: int = 10) -> list[ContextFile]:
    """Make the record of each path; one that ends with a slash is a directory."""
    parsed = IgnoreRules.parse(rules)
    return [
        ContextFile(
            path.rstrip("/"),
            Kind.DIRECTORY if path.endswith("/") else Kind.FILE,
            0 if path.endswith("/") else size,
            parsed.decide(path.rstrip("/")),
        )
        for path in paths
    ]


def shown(files: tuple[ContextFile, ...]) -> list[tuple[str, int, int]]:
    return [(file.path, file.files, file.size) for file in files]


def test_a_directory_that_is_left_out_is_one_row_with_its_count_and_size() -> None:
    paths = ("app.py", "node_modules/", "node_modules/a/", "node_modules/a/1.js", "node_modules/2.js", "z.txt")
    assert shown(listed(found("node_modules", *paths))) == [
        ("app.py", 1, 10),
        ("node_modules", 2, 20),
        ("z.txt", 1, 10),
    ]


def test_all_lists_every_file_and_no_directory() -> None:
    files = listed(found("lib", "lib/", "lib/a", "lib/b", "c"), everything=True)
    assert shown(files) == [("c", 1, 10), ("lib/a", 1, 10), ("lib/b", 1, 10)]


def test_a_directory_of_which_an_exception_keeps_something_is_not_folded() -> None:
    paths = ("docs/", "docs/a.txt", "docs/deep/", "docs/deep/x", "docs/keep/", "docs/keep/README.md")
    files = listed(found("docs\n!docs/keep/README.md", *paths))
    assert shown(files) == [("docs/a.txt", 1, 10), ("docs/deep", 1, 10), ("docs/keep/README.md", 1, 10)]
    assert [file.kept for file in files] == [False, False, True]


def test_a_name_that_only_begins_like_the_directory_is_not_below_it() -> None:
    paths = ("lib/", "lib/x", "lib-other", "lib.txt")
    assert [file.path for file in listed(found("lib", *paths))] == ["lib", "lib-other", "lib.txt"]


def test_an_empty_directory_is_a_row_only_where_it_is_left_out() -> None:
    assert shown(listed(found("out", "out/", "in/"))) == [("out", 0, 0)]


def test_uses_are_told_once_and_in_order_of_lines() -> None:
    uses = {"a": [Use(7, "ADD"), Use(3, "COPY"), Use(7, "ADD")]}
    (file,) = listed(found("", "a"), uses)
    assert file.uses == (Use(3, "COPY"), Use(7, "ADD"))


def test_totals_count_the_files_below_a_folded_directory() -> None:
    files = listed(found("lib", "a", "b", "lib/", "lib/1", "lib/2", "lib/3"), {"a": [Use(2, "COPY")]})
    xray = ContextXray(files)
    assert (xray.kept, xray.left_out, xray.used) == (Total(2, 20), Total(3, 30), Total(1, 10))


@pytest.mark.parametrize(
    ("path", "because"),
    {
        ".env": "passwords",
        "app/.env.production": "passwords",
        "prod.ENV": "passwords",
        "home/id_ed25519": "private key",
        "cert/server.PFX": "private key",
        "infra/terraform.tfstate": "secrets of the infrastructure",
        ".npmrc": "token",
    }.items(),
)
def test_credentials_are_known_by_their_names(path: str, because: str) -> None:
    (caution,) = cautions(found("", path))
    assert caution.path == path and because in caution.because


@pytest.mark.parametrize(
    "path", [".env.example", ".env.sample", "id_rsa.pub", "environment", "env", ".gitignore", ".git", "my.envelope"]
)
def test_what_only_looks_alike_is_not_warned_of(path: str) -> None:
    assert cautions(found("", path)) == ()


def test_what_is_left_out_is_not_warned_of() -> None:
    assert cautions(found(".env\n.git", ".env", ".git/", ".git/HEAD")) == ()


def test_a_repository_is_one_warning_with_all_that_is_in_it() -> None:
    (caution,) = cautions(found("", "sub/.git/HEAD", "sub/.git/objects/1", "sub/.git/.env"))
    assert (caution.path, caution.files, caution.size, caution.is_directory) == ("sub/.git", 3, 30, True)


def test_a_warning_tells_every_instruction_that_takes_it() -> None:
    files = listed(
        found("", ".git/a", ".git/b"), {".git/a": [Use(4, "COPY")], ".git/b": [Use(2, "ADD"), Use(4, "COPY")]}
    )
    (caution,) = cautions(files)
    assert caution.uses == (Use(2, "ADD"), Use(4, "COPY"))


def test_huge_begins_at_its_limit() -> None:
    assert cautions(found("", "a", size=HUGE - 1)) == ()
    (caution,) = cautions(found("", "a", size=HUGE))
    assert caution.because == "it is huge"


def test_a_pem_is_a_key_if_its_content_says_so() -> None:
    assert may_be_key("a/b.pem") and may_be_key("b.KEY") and not may_be_key("key")
    assert holds_key(b"-----BEGIN CERTIFICATE-----\nx\n-----BEGIN EC PRIVATE KEY-----\n")
    assert holds_key(b"-----BEGIN PRIVATE KEY-----") and not holds_key(b"-----BEGIN PUBLIC KEY-----")
    assert cautions(found("", "a.pem")) == ()
    assert [one.path for one in cautions(found("", "a.pem"), frozenset({"a.pem"}))] == ["a.pem"]
