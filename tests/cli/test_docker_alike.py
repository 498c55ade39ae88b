"""The same images in a real docker and here: listing, naming, removing and pruning print the same, word for word.

What a daemon adds ("Error response from daemon: ") and what we add (the hint after the semicolon) is left out, and
capitals do not count, since docker has changed them between versions.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from dockersim import Engine
from dockersim.cli.main import main
from dockersim.containers import Options
from tests.peers import Docker, needs, own_dockerd

pytestmark = needs("docker", "dockerd")

Ask = Callable[..., tuple[int, str, str]]
EPOCH = 1_700_000_000


class Both:
    """A root and a docker daemon with the same images; ``ours`` and ``theirs`` give code, output and complaint."""

    def __init__(self, root: Path, docker: Docker) -> None:
        self.root = root
        self.docker = docker

    def ours(self, *words: str) -> tuple[int, str, str]:
        result = CliRunner(env={"DOCKERSIM_HOME": str(self.root)}).invoke(main, words, prog_name="docker")
        return result.exit_code, result.stdout, result.stderr

    def theirs(self, *words: str) -> tuple[int, str, str]:
        command = ["docker", "--host", self.docker.host, *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def build(self, folder: Path, name: str, number: int) -> None:
        """Build an image of two layers, the lower one shared by all."""
        (folder / "number").write_text("x" * number)
        text = f'FROM scratch\nCOPY shared /\nCOPY number /\nLABEL n={number} who=me\nCMD ["/number"]\n'
        (folder / "Dockerfile").write_text(text)
        epoch = f"SOURCE_DATE_EPOCH={EPOCH + number * 1000}"
        assert self.ours("build", "-q", "-t", name, "--build-arg", epoch, str(folder))[0] == 0

    def load(self, archive: Path) -> None:
        """Have what is in the archive, and nothing else, on both sides."""
        for ask in (self.ours, self.theirs):
            ask("rmi", "--force", *set(ask("images", "--quiet")[1].split()))
            assert ask("load", "--input", str(archive))[0] == 0


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images, and one without a name."""
    folder = tmp_path_factory.mktemp("context")
    (folder / "shared").write_text("y" * 100)
    maker = Both(tmp_path_factory.mktemp("maker"), Docker(folder))
    names = ["alike/lost", "alike/app:1", "alike/app:2", "registry.example/alike/app:3"]
    for number, name in enumerate(names, 1):
        maker.build(folder, name, number)
    names[0] = maker.ours("images", "--quiet", names[0])[1].strip()
    path = tmp_path_factory.mktemp("archive") / "all.tar"
    assert maker.ours("save", "--output", str(path), *names)[0] == 0
    return path


@pytest.fixture(scope="module")
def both(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The images here, and in a daemon that has no others."""
    with own_dockerd() as docker:
        two = Both(tmp_path_factory.mktemp("root"), docker)
        two.load(archive)
        yield two


@pytest.fixture
def changing(both: Both, archive: Path) -> Iterator[Both]:
    """The same for a test that changes them."""
    yield both
    both.load(archive)


def words_of(complaint: str) -> str:
    """Take away what is not docker's, or only a daemon's, or not the same in docker 20 (Debian 12) and docker 28."""
    text = "\n".join(line.partition(";")[0] for line in complaint.strip().casefold().splitlines())
    return re.sub(r"(?m)^error response from daemon: |^error: | \(library/\w+\)|:latest$", "", text)


SAME: list[list[str]] = [
    ["images"],
    ["images", "--digests"],
    ["images", "--no-trunc"],
    ["images", "--quiet"],
    ["images", "alike/app"],
    ["images", "alike/app:2"],
    ["images", "alike/*"],
    ["images", "nosuch"],
    ["images", "--filter", "dangling=true"],
    ["images", "--filter", "dangling=false", "--quiet"],
    ["images", "--filter", "before=alike/app:2"],
    ["images", "--filter", "since=alike/app:1"],
    ["images", "--filter", "since=alike/app:1", "--filter", "before=registry.example/alike/app:3"],
    ["images", "--filter", "label=n=2"],
    ["images", "--filter", "label=who", "--filter", "label=n=3"],
    ["images", "--filter", "label=nope"],
    ["images", "--filter", "reference=alike/app:1", "--filter", "reference=alike/*:2"],
    ["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}} {{.CreatedSince}} {{.CreatedAt}}"],
    ["images", "--format", r"table {{.Repository}}\t{{.Tag}}\t{{.Digest}}"],
    ["image", "ls"],
    ["history", "--format", "{{.CreatedBy}}|{{.Size}}|{{.Comment}}|{{.CreatedAt}}|{{.CreatedSince}}", "alike/app:1"],
    ["history", "--human=false", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Size}}|{{.CreatedAt}}", "alike/app:1"],
    ["image", "inspect", "--format", "{{.Id}} {{.RepoTags}} {{.Size}} {{.Created}} {{.Architecture}}", "alike/app:1"],
    ["image", "inspect", "--format", "{{json .RootFS}} {{json .Config.Labels}} {{.Config.Cmd}}", "alike/app:1"],
    ["image", "inspect", "--format", "{{.Id}}", "alike/app:1", "alike/app:2"],
]  # fmt: skip


@pytest.mark.parametrize("words", SAME, ids=" ".join)
def test_listing(both: Both, words: list[str]) -> None:
    theirs = both.theirs(*words)
    assert theirs[0] == 0
    assert both.ours(*words) == theirs


def test_rows_as_json(both: Both) -> None:
    for command in (["images"], ["system", "df"]):
        ours, theirs = (ask(*command, "--format", "{{json .}}")[1].splitlines() for ask in (both.ours, both.theirs))
        rows = [[json.loads(line) for line in lines] for lines in (ours, theirs)]
        assert [row for row in rows[0] if row.get("Type") != "Build Cache"] == [
            row for row in rows[1] if row.get("Type") != "Build Cache"
        ]
        assert list(rows[0][0]) == list(rows[1][0])


def test_history_has_the_same_columns_after_the_first(both: Both) -> None:
    ours, theirs = (ask("history", "alike/app:1")[1].splitlines() for ask in (both.ours, both.theirs))
    assert [line[len("sha256 digit") + 3 :] for line in ours] == [line[len("sha256 digit") + 3 :] for line in theirs]


def test_disk_usage(both: Both) -> None:
    for words in (["system", "df"], ["system", "df", "--format", r"table {{.Type}}\t{{.Size}}"]):
        ours, theirs = (ask(*words)[1].splitlines() for ask in (both.ours, both.theirs))
        assert ours[:4] == theirs[:4]
    ours, theirs = (ask("system", "df", "--verbose")[1].partition("Build cache")[0] for ask in (both.ours, both.theirs))
    assert ours == theirs
    assert " 100B" in ours, "the layer that all of them have"


@pytest.mark.parametrize(
    "words",
    [
        ["tag", "alike/app:1", "UPPER"],
        ["tag", "alike/app:1", "a:b:c"],
        ["tag", "alike/app:1", "a/b:"],
        ["tag", "alike/app:1", f"x@sha256:{'0' * 64}"],
        ["tag", "alike/app:1", "sha256:abc"],
        ["tag", "alike/app:1", "0" * 64],
        ["tag", "nosuch", "x"],
        ["rmi", "nosuch"],
        ["rmi", "alike/app:9", "nosuch"],
        ["history", "nosuch"],
        ["images", "--filter", "nope=1"],
        ["images", "--filter", "dangling=maybe"],
        ["images", "--filter", "since=nosuch"],
        ["image", "prune", "--force", "--filter", "nope=1"],
        ["image", "prune", "--force", "--filter", "until=soon"],
        ["container", "prune", "--force", "--filter", "nope=1"],
        ["system", "prune", "--volumes", "--filter", "until=1h"],
    ],
    ids=" ".join,
)
def test_complaints(both: Both, words: list[str]) -> None:
    ours, theirs = both.ours(*words), both.theirs(*words)
    assert words_of(ours[2]) == words_of(theirs[2])
    assert (ours[0] != 0, ours[1]) == (theirs[0] != 0, theirs[1])
    assert ours[0] in (theirs[0], 1)


def lines(printed: str) -> list[str]:
    """Sort the lines: docker prunes in no order, and lists the names of one image in none."""
    return sorted(printed.splitlines())


def test_names_come_and_go(changing: Both) -> None:
    image_id = changing.docker("images", "--quiet", "alike/app:2").strip()
    for words in (
        ["tag", "alike/app:1", "other"],
        ["tag", "other", "registry.example/other:v1"],
        ["tag", "alike/app:2", "alike/app:1"],
        ["images"],
        ["rmi", image_id],  # two names in one repository
        ["rmi", "other"],
        ["rmi", "registry.example/other:v1", "alike/app:1", "nosuch"],
        ["rmi", image_id],
        ["rmi", "--force", "registry.example/alike/app:3"],
        ["images"],
    ):
        ours, theirs = changing.ours(*words), changing.theirs(*words)
        assert (ours[0], lines(ours[1])) == (theirs[0], lines(theirs[1])), words
        assert words_of(ours[2]) == words_of(theirs[2]), words


def test_pruning_images(changing: Both) -> None:
    for words in (
        ["image", "prune", "--force", "--filter", "label=nope"],
        ["image", "prune", "--force", "--filter", "until=2001-01-01T00:00:00Z"],
        ["image", "prune", "--force"],
        ["image", "prune", "--all", "--force", "--filter", "label=n=2"],
        ["image", "prune", "--all", "--force", "--filter", "label!=n=3"],
        ["images"],
        ["image", "prune", "--all", "--force"],
        ["images"],
    ):
        ours, theirs = changing.ours(*words)[1], changing.theirs(*words)[1]
        # How much came free is docker's count of files here, and of blobs there: ours are also in the build cache.
        assert lines(re.sub("space: .*", "", ours)) == lines(re.sub("space: .*", "", theirs)), words


@pytest.mark.parametrize(
    "words",
    [
        ["--filter", "nope=1"],
        ["--filter", "until=soon"],
        ["--filter", "until=1d"],
        ["--filter", "unused-for=2024-01-31"],
        ["--filter", "until=1h", "--filter", "until=2h"],
        ["--filter", "id=1", "--filter", "id=2"],
        ["--filter", "until=1h", "--filter", "unused-for=1h"],
        ["--keep-storage", "much"],
        ["--keep-storage", "-1"],
        ["--keep-storage", ""],
    ],
    ids=" ".join,
)
def test_complaints_of_builder_prune(both: Both, words: list[str]) -> None:
    """Docker also says what it was about, and what is the right form."""
    ours, theirs = (ask("builder", "prune", "--force", *words) for ask in (both.ours, both.theirs))
    said = words_of(ours[2]).splitlines()[0].rpartition(": invalid size")
    assert "".join(said[1:]) in words_of(theirs[2])
    assert ours[0] == theirs[0] and ours[1] == theirs[1] == ""


@pytest.mark.parametrize(
    "words",
    [
        ["image", "prune"],
        ["image", "prune", "--all"],
        ["container", "prune"],
        ["system", "prune"],
        ["system", "prune", "--all", "--filter", "label=x", "--filter", "until=1h"],
    ],
    ids=" ".join,
)
def test_what_is_asked_before(both: Both, words: list[str]) -> None:
    ours, theirs = both.ours(*words)[1], both.theirs(*words)[1]
    theirs = theirs.replace("  - all networks not used by at least one container\n", "")  # of which there are none here
    theirs = theirs.replace("all dangling build", "unused build").replace("Total reclaimed space: 0B", "")  # docker 20
    assert ours.strip() == theirs.strip()
    assert len(both.ours("images", "--quiet")[1].split()) == 4


def test_an_image_that_a_container_was_made_of(changing: Both) -> None:
    containers = Engine(changing.root, sandbox="chroot", environment={}).containers
    made = containers.create(Options("alike/app:1", ("true",), "kept"))
    theirs = changing.docker("create", "--name", "kept", "--network", "none", "alike/app:1", "true").strip()
    image_id = changing.docker("images", "--quiet", "alike/app:1").strip()
    for words in (
        ["rmi", "alike/app:1"],
        ["rmi", image_id],
        ["image", "prune", "--all", "--force"],
        ["container", "prune", "--force"],
        ["rmi", "alike/app:1"],
    ):
        asked = [changing.ours(*words), changing.theirs(*words)]
        for number, (code, out, err) in enumerate(asked):
            for one in (made.id, theirs):
                out, err = out.replace(one, "CONTAINER"), err.replace(one[:12], "CONTAINER")
            asked[number] = (code, "\n".join(lines(re.sub("space: .*", "", out))), words_of(err))
        assert asked[0] == asked[1], words
