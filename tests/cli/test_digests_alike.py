"""Names by digest in a real docker and here: both pull from one registry, and then say the same at every step.

dockerd is the one of Debian, whose own image store keeps the digest under which each repository knows an image. (With
containerd's store, which docker has by default since version 29, a tag that moves leaves the old image without a name.)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from dockersim import Engine
from dockersim.containers import Options
from dockersim.oci import media_types
from dockersim.registry import Address
from dockersim.registry.server.service import make_app
from tests.peers import Docker, needs, own_dockerd
from tests.registry.servers import serving

from .test_docker_alike import Both, lines, words_of

pytestmark = needs("docker", "dockerd")


class Team:
    """A repository with the images ``1``, ``2`` and ``3``, and an index ``all``, by digest."""

    def __init__(self, server: Address, folder: Path) -> None:
        self.name = f"{server.registry}/team/app"
        self.other = f"{server.registry}/other/app"
        self._http = httpx.Client(base_url=f"{server.url}/v2/team/app", trust_env=False)
        context, maker = folder / "context", Both(folder / "maker", Docker(folder))
        context.mkdir()
        (context / "shared").write_text("y" * 100)
        for number in (1, 2, 3):
            maker.build(context, f"{self.name}:{number}", number)
            assert maker.ours("push", f"{self.name}:{number}")[0] == 0
        self.digests = {tag: self._get(tag).headers["Docker-Content-Digest"] for tag in ("1", "2", "3")}
        self.put_index("1", "3")

    def put_index(self, amd64: str, arm64: str) -> None:
        """Let ``all`` be an index of two of the images."""
        entries = [self._entry(amd64, "amd64"), self._entry(arm64, "arm64")]
        document = {"schemaVersion": 2, "mediaType": media_types.INDEX, "manifests": entries}
        kind = {"Content-Type": media_types.INDEX}
        answer = self._http.put(
            "/manifests/all", content=json.dumps(document).encode(), headers=kind
        ).raise_for_status()
        self.digests["all"] = answer.headers["Docker-Content-Digest"]

    def put_by_sha512(self, tag: str) -> str:
        """Let one of the images have a sha512, too; name it by that."""
        manifest = self._get(tag).content
        digest = f"sha512:{hashlib.sha512(manifest).hexdigest()}"
        kind = {"Content-Type": media_types.MANIFEST}
        self._http.put(f"/manifests/{digest}", content=manifest, headers=kind).raise_for_status()
        return f"{self.name}@{digest}"

    def at(self, tag: str) -> str:
        """Name by its digest what a tag stands for now."""
        return f"{self.name}@{self.digests[tag]}"

    def _entry(self, tag: str, architecture: str) -> Mapping[str, Any]:
        size = len(self._get(tag).content)
        platform = {"architecture": architecture, "os": "linux"}
        return {"mediaType": media_types.MANIFEST, "digest": self.digests[tag], "size": size, "platform": platform}

    def _get(self, tag: str) -> httpx.Response:
        return self._http.get(f"/manifests/{tag}", headers={"Accept": media_types.MANIFEST}).raise_for_status()


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    with own_dockerd() as daemon:
        yield daemon


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with serving(make_app(tmp_path / "registry")) as server:
        yield Team(server, tmp_path)


@pytest.fixture
def both(team: Team, docker: Docker, tmp_path: Path) -> Iterator[Both]:
    """An empty store here, and one in docker."""
    two = Both(tmp_path / "root", docker)
    yield two
    if left := set(docker("images", "--all", "--quiet").split()):
        docker("rmi", "--force", *left)


def alike(both: Both, *words: str) -> str:
    """Run a command here and there; it must print the same, but for what a pull or a prune tells of layers."""
    ours, theirs = both.ours(*words), both.theirs(*words)
    assert (ours[0] != 0, words_of(ours[2])) == (theirs[0] != 0, words_of(theirs[2])), words
    assert _told(ours[1]) == _told(theirs[1]), words
    return ours[1]


def _told(printed: str) -> list[str]:
    kept = [line for line in lines(printed) if not re.match(r"[0-9a-f]{12}: ", line)]
    return [re.sub("space: .*", "", line) for line in kept]


def look(both: Both, team: Team) -> str:
    """Show the images in every way; return the table with digests."""
    for words in (
        [],
        ["--quiet"],
        ["--filter", "dangling=true"],
        ["--filter", "dangling=false"],
        [team.name],
        [f"{team.name}:1"],
        ["--digests", f"{team.name}:1"],
        ["--digests", f"{team.name}@sha256:*"],
        ["--filter", f"reference={team.name}:1", f"{team.name}:2"],
        ["--digests", "--filter", "dangling=true", "--filter", f"reference={team.name}"],
        ["--format", "{{.Repository}} {{.Tag}} {{.Digest}}"],
        ["--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}"],
    ):
        alike(both, "images", *words)
    return alike(both, "images", "--digests")


def test_pulled_by_tag_and_by_digest(both: Both, team: Team) -> None:
    printed = alike(both, "pull", f"{team.name}:1")
    assert f"Digest: {team.digests['1']}\n" in printed
    assert f"{team.name}   1         {team.digests['1']}" in look(both, team)
    alike(both, "image", "inspect", "--format", "{{.RepoTags}} {{.RepoDigests}}", f"{team.name}:1")
    alike(both, "pull", team.at("1"))
    alike(both, "rmi", f"{team.name}:1")
    look(both, team)
    alike(both, "pull", team.at("2"))
    assert f"{team.name}   <none>    {team.digests['2']}" in look(both, team)
    alike(both, "image", "inspect", "--format", "{{.RepoTags}} {{.RepoDigests}} {{.Id}}", team.at("2"))
    alike(both, "history", "--format", "{{.CreatedBy}}|{{.Size}}", team.at("2"))
    alike(both, "system", "df", "--format", "{{.Type}} {{.TotalCount}}")
    alike(both, "pull", "--quiet", team.at("2"))
    alike(both, "pull", f"{team.name}:3@{team.digests['2']}")
    look(both, team)
    alike(both, "push", team.at("2"))
    alike(both, "rmi", team.at("1"))
    alike(both, "image", "prune", "--force")
    assert look(both, team).count("\n") == 1


def test_removed_and_tagged_by_digest(both: Both, team: Team) -> None:
    alike(both, "pull", team.at("1"))
    for name in ("mine", f"{team.name}:x", f"{team.name}:y"):
        alike(both, "tag", team.at("1"), name)
    look(both, team)
    for name in (f"{team.name}:x", f"{team.name}:y"):
        alike(both, "rmi", name)
        look(both, team)
    alike(both, "rmi", team.at("1"))
    alike(both, "pull", f"{team.name}:1")
    image_id = both.docker("images", "--quiet", "mine").strip()
    alike(both, "rmi", image_id)  # two repositories
    alike(both, "rmi", "mine")
    alike(both, "pull", team.at("1"))
    alike(both, "rmi", image_id)
    look(both, team)


def test_one_image_by_several_digests(both: Both, team: Team) -> None:
    """The same image on its own, in an index and in another one."""
    alike(both, "pull", f"{team.name}:all")
    assert team.digests["all"] in look(both, team)
    alike(both, "pull", f"{team.name}:1")
    alike(both, "pull", team.at("all"))
    assert look(both, team).count("\n") == 5
    team.put_index("1", "2")
    alike(both, "pull", f"{team.name}:all")
    assert look(both, team).count("\n") == 7
    alike(both, "rmi", team.at("all"))
    alike(both, "rmi", f"{team.name}:1")
    look(both, team)
    alike(both, "image", "prune", "--all", "--force")
    look(both, team)


def test_a_sha512(both: Both, team: Team) -> None:
    name = team.put_by_sha512("1")
    assert f"Digest: {name.partition('@')[2]}\n" in alike(both, "pull", name)
    alike(both, "pull", f"{team.name}:1")
    look(both, team)
    alike(both, "rmi", f"{team.name}:1")


def test_a_tag_that_moved(both: Both, team: Team) -> None:
    alike(both, "pull", f"{team.name}:all")
    before = team.at("all")
    team.put_index("2", "3")
    alike(both, "pull", f"{team.name}:all")
    look(both, team)
    alike(both, "tag", before, "mine")
    alike(both, "rmi", "mine")
    look(both, team)
    alike(both, "image", "prune", "--force")
    look(both, team)


def test_pushed(both: Both, team: Team) -> None:
    """What docker pushes has another manifest than ours, and so another digest: the rest is the same."""
    alike(both, "pull", f"{team.name}:1")
    names = [f"{team.other}:1", f"{team.other}:again", f"{team.other}2:1"]
    for name in names:
        alike(both, "tag", f"{team.name}:1", name)
    tables = []
    for ask in (both.ours, both.theirs):
        digests = {}
        for name in names:
            (digests[name],) = re.findall(r"digest: (sha256:\w+)", ask("push", name)[1])
        shown = ask("images", "--digests")[1]
        known = json.loads(ask("inspect", "--format", "{{json .RepoDigests}}", f"{team.name}:1")[1])
        removed = "".join(ask("rmi", name)[1] for name in names)
        for text in set(digests.values()) - {team.digests["1"]}:
            shown, removed = shown.replace(text, team.digests["1"]), removed.replace(text, team.digests["1"])
        known = [one.partition("@")[0] for one in known]
        tables.append([lines(shown), known, removed])
        assert len(set(digests.values())) == 1
    assert tables[0] == tables[1]
    assert len(tables[0][1]) == 3 and f"Untagged: {team.other}2@{team.digests['1']}\n" in tables[0][2]
    look(both, team)


def test_a_container_of_an_image_by_digest(both: Both, team: Team) -> None:
    alike(both, "pull", team.at("1"))
    containers = Engine(both.root, sandbox="chroot", environment={}).containers
    made = containers.create(Options(team.at("1"), ("true",), "kept"))
    theirs = both.docker("create", "--name", "kept", "--network", "none", team.at("1"), "true").strip()
    for words in (
        ["ps", "--all", "--format", "{{.Image}}"],
        ["ps", "--all", "--no-trunc", "--format", "{{.Image}}"],
        ["rmi", team.at("1")],
        ["image", "prune", "--all", "--force"],
        ["tag", team.at("1"), "mine"],
        ["rmi", team.at("1")],
        ["rmi", "mine"],
        ["container", "prune", "--force"],
        ["rmi", "mine"],
    ):
        asked = [both.ours(*words), both.theirs(*words)]
        for number, (code, out, err) in enumerate(asked):
            for one in (made.id, theirs):
                out, err = out.replace(one, "CONTAINER"), err.replace(one[:12], "CONTAINER")
            asked[number] = (code, "\n".join(_told(out)), words_of(err))
        assert asked[0] == asked[1], words


def test_saved_by_digest(both: Both, team: Team, tmp_path: Path) -> None:
    """No name comes with it, whatever tags the image has."""
    alike(both, "pull", f"{team.name}:1")
    told = []
    for number, ask in enumerate((both.ours, both.theirs)):
        archive = str(tmp_path / f"{number}.tar")
        assert ask("save", "--output", archive, team.at("1"))[0] == 0
        ask("rmi", f"{team.name}:1")
        told.append(ask("load", "--input", archive)[1])
    assert told[0] == told[1] and told[0].startswith("Loaded image ID: sha256:")
    look(both, team)
