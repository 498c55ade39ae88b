"""What registries warn of beside their answers: told once, as text, and only of the registry itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from stranger import Stranger, stranger

from dockersim.registry import MemoryLog, NotInRegistry, RegistryClient, Settings, Warnings, endpoint_of


@pytest.mark.parametrize(
    ("header", "texts"),
    [
        ("", []),
        ('299 - "soon"', ["soon"]),
        ('299 - "one", 299 - "two, \\"three\\""', ["one", 'two, "three"']),
        ('299 - "soon", 299 - "soon"', ["soon"]),
        ('110 proxy "stale", 299 proxy "no", 299 - unquoted, 299 - ""', []),
        ('299 - "\x1b[2J\u202eyou won"', ["\\x1b[2J\\u202eyou won"]),
        (f'299 - "{"x" * 2000}"', ["x" * 300]),
        (f'299 - "{"x" * 5000}"', []),
        (", ".join(f'299 - "{number}"' for number in range(50)), list(map(str, range(20)))),
    ],
    ids=["none", "one", "two", "twice", "others", "what a terminal obeys", "long", "too long", "many"],
)
def test_the_text_of_a_warning_is_told(header: str, texts: list[str]) -> None:
    warnings = Warnings()
    for _ in range(3):
        warnings.take("ghcr.io", header)
    assert list(warnings.lines) == [f"WARNING: ghcr.io says: {text}" for text in texts]


def test_every_answer_of_the_registry_may_warn_and_no_other_place(tmp_path: Path) -> None:
    def elsewhere(ask: Stranger) -> None:
        ask.say(404, Warning='299 - "of the blob store"')

    with stranger(elsewhere) as (store, _):

        def registry(ask: Stranger) -> None:
            blob = "/blobs/" in ask.path
            location = {"Location": f"http://{store}/x"} if blob else {}
            ask.say(307 if blob else 404, Warning=f'299 - "of {ask.path.split("/")[4]}"', **location)

        warnings = Warnings()
        with (
            stranger(registry) as (address, _),
            RegistryClient(endpoint_of(address, Settings()), None, MemoryLog(), warnings=warnings) as client,
        ):
            assert not client.has_blob("alice/app", "sha256:" + "0" * 64)
            with pytest.raises(NotInRegistry):
                client.resolve("alice/app", "latest")
    assert warnings.lines == tuple(f"WARNING: {address} says: of {what}" for what in ("blobs", "manifests"))
