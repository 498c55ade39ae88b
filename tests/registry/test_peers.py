"""Push, list, pull and delete in the practice registry with the tools that people use elsewhere; see ``peers``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dockersim.registry import Address
from tests.deviations import README
from tests.peers import Docker, needs, short_folder
from tests.registry.peers import Buildah, DockerCommand, Oras, Peer, Podman, Skopeo, make_archive, round_trip, written


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An image in a file, and its id."""
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """The tool's own folder."""
    with short_folder("peer-") as place:
        yield place


@needs("docker", "dockerd")
def test_docker(server: Address, archive: tuple[Path, str], tmp_path: Path, dockerd: Docker) -> None:
    round_trip(DockerCommand(server.registry, tmp_path, dockerd), *archive)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=needs(kind.program), id=kind.program) for kind in (Podman, Buildah, Skopeo)]
)
def test_a_program(server: Address, archive: tuple[Path, str], folder: Path, kind: type[Peer]) -> None:
    round_trip(kind(server.registry, folder), *archive)


def test_the_python_client_of_oras(server: Address, archive: tuple[Path, str], tmp_path: Path) -> None:
    round_trip(Oras(server.registry, tmp_path), *archive)


def test_the_table_in_the_readme_is_what_is_done_here() -> None:
    assert README.read_text() == written(README.read_text()), "run python -m tests.registry.peers --write"
