"""The tools of the rest of the world at the practice registry: ``python -m tests.registry.peers [--write]``.

Each tool pushes an image, lists its tags, pulls it into a store that has it not, and deletes it, with its own commands
where it has them. The program does all of that on a fresh registry and prints the table of the commands, or writes it
into the README; tests/registry/test_peers.py does the same, one test for each tool.
"""

from __future__ import annotations

import json
import re
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Final

import httpx

from dockersim.images import load, save_docker
from dockersim.oci import media_types
from dockersim.registry.server.service import make_app
from tests.deviations import README
from tests.images.making import build, open_store
from tests.peers import Containers, Docker, own_dockerd, run, short_folder
from tests.sections import rewritten

_BEGIN, _END = "<!-- peers: written by `python -m tests.registry.peers --write` -->", "<!-- end of peers -->"
_CURL: Final = "has no command; `curl -X DELETE`"


class Peer(ABC):
    """One tool. ``address`` is the registry's, ``folder`` is the tool's own; names are ``repository:tag``."""

    program: ClassVar[str]
    shown: ClassVar[tuple[str, str, str, str]]
    """What a person types to push, list, pull and delete."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self.folder = folder

    @abstractmethod
    def push(self, name: str, archive: Path) -> None:
        """Push the image of an archive that ``dockersim save`` has written."""

    @abstractmethod
    def tags(self, repository: str) -> list[str]:
        """List the tags of a repository, asking the registry."""

    @abstractmethod
    def pull(self, name: str) -> str:
        """Pull into a store that does not have it; return the id of the image that came."""

    def delete(self, name: str) -> None:
        """Delete what a tag stands for; for a tool that has no command for it, in plain HTTP as with curl."""
        repository, _, tag = name.partition(":")
        url = f"http://{self.address}/v2/{repository}/manifests/"
        with httpx.Client(trust_env=False, headers={"Accept": ", ".join(media_types.MANIFESTS)}) as client:
            client.delete(url + client.head(url + tag).headers["Docker-Content-Digest"]).raise_for_status()

    def _at(self, name: str) -> str:
        return f"{self.address}/{name}"


class DockerCommand(Peer):
    """The docker command and a daemon, which trusts a registry on loopback without TLS."""

    program = "docker"
    shown = ("`docker push`", "`docker pull --all-tags`", "`docker pull`", _CURL)

    def __init__(self, address: str, folder: Path, docker: Docker) -> None:
        super().__init__(address, folder)
        self._docker = docker

    def push(self, name: str, archive: Path) -> None:
        loaded = self._docker("load", "-i", archive).rpartition(": ")[2].strip()
        self._docker("tag", loaded, self._at(name))
        self._docker("push", self._at(name))
        self._docker("rmi", "--force", loaded, self._at(name))

    def tags(self, repository: str) -> list[str]:
        said = self._docker("pull", "--all-tags", self._at(repository))
        self._docker("rmi", "--force", *self._docker("images", "--quiet", self._at(repository)).split())
        return re.findall(r"^(\S+): Pulling from", said, re.MULTILINE)

    def pull(self, name: str) -> str:
        self._docker("pull", self._at(name))
        image_id = self._docker("image", "inspect", "--format", "{{.Id}}", self._at(name)).strip()
        self._docker("rmi", "--force", image_id)
        return image_id


class Podman(Peer):
    """Has a store of its own in ``folder``."""

    program = "podman"
    shown = ("`podman push`", "`podman search --list-tags`", "`podman pull`", _CURL)

    def push(self, name: str, archive: Path) -> None:
        self._do("pull", "--quiet", f"docker-archive:{archive}")
        image_id = self._do("images", "--quiet", "--no-trunc").strip()
        self._do("push", "--quiet", "--tls-verify=false", image_id, f"docker://{self._at(name)}")
        self._do("rmi", "--all", "--force")

    def tags(self, repository: str) -> list[str]:
        asking = ["search", "--tls-verify=false", "--list-tags", "--format", "json"]
        return list(json.loads(self._do(*asking, self._at(repository)))[0]["Tags"])

    def pull(self, name: str) -> str:
        return f"sha256:{self._do('pull', '--quiet', '--tls-verify=false', self._at(name)).strip()}"

    def _do(self, *words: str) -> str:
        return Containers(self.program, self.folder)(*words)


class Buildah(Podman):
    """The same kind of store, and nearly the same commands."""

    program = "buildah"
    shown = ("`buildah push`", "`buildah pull --all-tags`", "`buildah pull`", _CURL)

    def tags(self, repository: str) -> list[str]:
        self._do("pull", "--quiet", "--all-tags", "--tls-verify=false", self._at(repository))
        found = self._do("images", "--noheading", "--format", "{{.Tag}}").split()
        self._do("rmi", "--all", "--force")
        return found


class Skopeo(Peer):
    """Has no store of its own: it copies."""

    program = "skopeo"
    shown = ("`skopeo copy`", "`skopeo list-tags`", "`skopeo copy`", "`skopeo delete`")

    def push(self, name: str, archive: Path) -> None:
        there = f"docker://{self._at(name)}"
        run("skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", f"docker-archive:{archive}", there)

    def tags(self, repository: str) -> list[str]:
        listed = run("skopeo", "list-tags", "--tls-verify=false", f"docker://{self._at(repository)}")
        return list(json.loads(listed)["Tags"])

    def pull(self, name: str) -> str:
        here = f"dir:{self.folder}"
        run("skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", f"docker://{self._at(name)}", here)
        return str(json.loads((self.folder / "manifest.json").read_bytes())["config"]["digest"])

    def delete(self, name: str) -> None:
        run("skopeo", "delete", "--tls-verify=false", f"docker://{self._at(name)}")


class Oras(Peer):
    """The Python client of ORAS ships files as they are: here the archive itself."""

    program = "oras"
    shown = ("`OrasClient.push`", "`OrasClient.get_tags`", "`OrasClient.pull`", "`OrasClient.delete_tags`")

    def __init__(self, address: str, folder: Path) -> None:
        super().__init__(address, folder)
        from oras.client import OrasClient  # a test that needs another tool need not have this one

        self._client = OrasClient(hostname=address, insecure=True)

    def push(self, name: str, archive: Path) -> None:
        self._client.push(target=self._at(name), files=[str(archive)], disable_path_validation=True)

    def tags(self, repository: str) -> list[str]:
        return list(self._client.get_tags(self._at(repository)))

    def pull(self, name: str) -> str:
        (file,) = self._client.pull(target=self._at(name), outdir=str(self.folder))
        with Path(file).open("rb") as stream:
            return str(load(open_store(self.folder / "store"), stream)[0].image.id)

    def delete(self, name: str) -> None:
        repository, _, tag = name.partition(":")
        assert self._client.delete_tags(self._at(repository), tag) == [tag]


TITLES: Final = {
    DockerCommand: "docker, dockerd",
    Podman: "podman",
    Buildah: "buildah",
    Skopeo: "skopeo",
    Oras: "oras (Python)",
}


def round_trip(peer: Peer, archive: Path, image_id: str) -> None:
    """Do all four with one tool, and see each time that the tool and the registry agree."""
    repository = f"peers/{peer.program}"
    peer.push(f"{repository}:1", archive)
    assert peer.tags(repository) == ["1"]
    assert peer.pull(f"{repository}:1") == image_id
    peer.delete(f"{repository}:1")
    left = httpx.get(f"http://{peer.address}/v2/{repository}/tags/list", trust_env=False)
    assert left.status_code == 404 or not left.json()["tags"]


def make_archive(folder: Path) -> tuple[Path, str]:
    """Save an image of ours as docker would; give the file and the image's id."""
    images, archive = open_store(folder / "made"), folder / "image.tar"
    image = build(images, "peers/made:1", content=b"hello" * 1000)
    with archive.open("wb") as out:
        save_docker(images, ["peers/made:1"], out)
    return archive, image.id


def table() -> str:
    """Write the table in Markdown."""
    rows = (f"| {title} | {' | '.join(kind.shown)} |" for kind, title in TITLES.items())
    return "\n".join(["| | push | list | pull | delete |", "|---|---|---|---|---|", *rows])


def written(readme: str) -> str:
    """Return the README with the table as it should be."""
    return rewritten(readme, _BEGIN, _END, table())


def main() -> None:
    """Try every tool, then print the table."""
    from tests.registry.servers import serving

    with short_folder("peers-") as folder, own_dockerd() as docker:
        archive, image_id = make_archive(folder)
        with serving(make_app(folder / "registry")) as server:
            address = server.registry
            round_trip(DockerCommand(address, folder, docker), archive, image_id)
            for kind in (Podman, Buildah, Skopeo, Oras):
                round_trip(kind(address, folder / kind.program), archive, image_id)
    print(table())
    if "--write" in sys.argv:
        README.write_text(written(README.read_text()))


if __name__ == "__main__":
    main()
