"""kill -9 of the practice registry during pushes; ``python -m tests.registry.kills --count 100`` is the long form."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockersim.registry import ensure_running, stop
from tests.registry.kills import WRITERS, Writer, check_blobs, run
from tests.registry.plain import Client, Image


def test_what_was_acknowledged_outlives_every_kill(tmp_path: Path) -> None:
    found = run(tmp_path / "registry", 15)
    assert found.kills == 15
    assert found.tags > 2 * WRITERS, "hardly anything was pushed, so hardly anything could be lost"


def test_the_checks_find_what_is_lost_and_what_is_damaged(tmp_path: Path) -> None:
    """A check that cannot fail would prove nothing."""
    root, writer, image = tmp_path / "registry", Writer(0, 1), Image.of(b"layer")
    address = ensure_running(root)
    try:
        with Client(address.url, writer.repository) as client:
            client.push(image, "v1")
        writer.tags["v1"] = {image.digest}
        assert writer.check(address) == 1
        (tag,) = root.glob("repositories/writer0/app/_tags/v1")
        tag.unlink()
        with pytest.raises(AssertionError, match="writer0/app:v1 is ''"):
            writer.check(address)
        (root / "blobs" / "sha256" / image.digest[7:]).write_bytes(b"{}")
        with pytest.raises(AssertionError):
            check_blobs(root)
    finally:
        stop(root)
