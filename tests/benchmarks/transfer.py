"""Push and pull an image of 720 MB in 13,000 files, beside ``skopeo copy``, with Debian's registry and with our own.

    python -m tests.benchmarks.transfer [RUNS]

The image has the layers of the tutorial's Flask image: a base, what apt-get installs, what pip installs. It lies in an
OCI layout as a build leaves it, its layers plain tars, so whoever pushes compresses: skopeo as well as we. Whole
processes are measured, each against a registry that has nothing yet.

A pull by dockersim, as one by docker, ends with layers that are unpacked and checked. ``skopeo copy`` ends with blobs
as they came; with ``--dest-decompress`` it does the work that we do, but for the list of what is in each layer.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import httpx

from dockersim import Engine
from dockersim.engine.store import machine_platform
from dockersim.oci import ContainerConfig, ImageConfig, Platform, parse_reference
from tests.benchmarks.apt_layer import make_tree
from tests.benchmarks.contestants import interleaved, table, timed, workplace

SHARES: Final = (0.17, 0.80, 0.03)
"""How much of the files each layer has: the base, apt-get's, pip's."""

NAME: Final = "docker.io/flask/app:latest"


def make_image(root: Path) -> None:
    """Make the image, in a root of dockersim, which is also an OCI layout."""
    tree = root.with_name("tree")
    make_tree(tree)
    folders, engine = sorted(tree.glob("usr/lib/*")), Engine(root)
    first, diff_ids = 0, []
    for share in SHARES:
        last = first + round(share * len(folders))
        with _tar(tree, folders[first:last]) as tar:
            diff_ids.append(engine.store.layers.add_tar(tar))
        first = last
    platform = Platform.parse(machine_platform())
    config = ImageConfig(platform.architecture, config=ContainerConfig(cmd=("sh",)), diff_ids=tuple(diff_ids))
    engine.store.images.put(config, diff_ids, [parse_reference(NAME)])
    engine.close()
    shutil.rmtree(tree)


@contextmanager
def _tar(tree: Path, folders: Sequence[Path]) -> Iterator[BinaryIO]:
    """Give these folders as a tar."""
    made = tree.with_name("layer.tar")
    with tarfile.open(made, "w") as tar:
        for folder in folders:
            tar.add(folder, str(folder.relative_to(tree)))
    with made.open("rb") as file:
        yield file
    made.unlink()


# ---------------------------------------------------------------- the registries


@contextmanager
def debian(folder: Path) -> Iterator[str]:
    """Debian's docker-registry, which has nothing; its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '{address}'}}\n"
    )
    yield from _serving(["docker-registry", "serve", str(config)], address)
    shutil.rmtree(folder / "data", ignore_errors=True)


@contextmanager
def practice(folder: Path) -> Iterator[str]:
    """The practice registry, which has nothing; its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dockersim.registry", "--root", str(folder / "data"), "--port", str(port)]
    yield from _serving(command, f"127.0.0.1:{port}")
    shutil.rmtree(folder / "data", ignore_errors=True)


def _serving(command: list[str], address: str) -> Iterator[str]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                httpx.get(f"http://{address}/v2/", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield address
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


Serve = Callable[[Path], AbstractContextManager[str]]
REGISTRIES: Final[dict[str, Serve]] = {"docker-registry": debian, "the practice registry": practice}

# ---------------------------------------------------------------- who pushes and pulls


class Transfers:
    """Single pushes and pulls, timed; what each leaves behind is removed before the next."""

    def __init__(self, folder: Path, serve: Serve) -> None:
        self._folder = folder
        self._root = folder / "root"
        self._serve = serve

    def push(self) -> float:
        """Push with dockersim; the layers have yet to be compressed."""
        self.forget_gzip()
        return self.push_again()

    def push_again(self) -> float:
        """Push with dockersim; the layers were compressed for an earlier push."""
        with self._serve(self._folder) as address:
            dockersim = self._dockersim(self._root)
            dockersim("tag", NAME, f"{address}/flask/app")
            seconds = dockersim("push", "-q", f"{address}/flask/app")
            dockersim("rmi", f"{address}/flask/app")
        return seconds

    def skopeo_push(self, source: Path) -> float:
        """Push an OCI layout with skopeo."""
        with self._serve(self._folder) as address:
            return _skopeo("--dest-tls-verify=false", f"oci:{source}", f"docker://{address}/flask/app")

    def pull(self, address: str) -> float:
        """Pull with dockersim, into a root that has nothing."""
        root = self._folder / "pulled"
        seconds = self._dockersim(root)("pull", "-q", f"{address}/flask/app")
        shutil.rmtree(root)
        return seconds

    def skopeo_pull(self, address: str, *flags: str, kind: str = "oci") -> float:
        """Pull with skopeo, into a directory that has nothing."""
        place = self._folder / "pulled"
        seconds = _skopeo("--src-tls-verify=false", *flags, f"docker://{address}/flask/app", f"{kind}:{place}")
        shutil.rmtree(place)
        return seconds

    def forget_gzip(self) -> None:
        """Make the root what it was before the first push."""
        for note in (self._root / "layers").glob("*.gzip.json"):
            digest = json.loads(note.read_bytes())["digest"]
            (self._root / "blobs" / digest.replace(":", "/")).unlink(missing_ok=True)
            note.unlink()

    @staticmethod
    def _dockersim(root: Path) -> Callable[..., float]:
        environment = os.environ | {"DOCKERSIM_HOME": str(root)}
        return lambda *words: timed([sys.executable, "-m", "dockersim.cli", *words], environment)


def _skopeo(*words: str) -> float:
    # A cache of its own: it would know of blobs in registries that are gone.
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"XDG_DATA_HOME": cache, "XDG_RUNTIME_DIR": cache}
        return timed(["skopeo", "copy", "-q", "--insecure-policy", *words], environment)


def main(times: int = 3) -> None:
    """Print seconds and ratios; a ratio above 1 says that dockersim is faster."""
    with workplace() as folder:
        make_image(folder / "root")
        for title, serve in REGISTRIES.items():
            transfers = Transfers(folder, serve)
            with serve(folder) as address:
                dockersim = transfers._dockersim(folder / "root")
                dockersim("tag", NAME, f"{address}/flask/app")
                dockersim("push", "-q", f"{address}/flask/app")
                dockersim("rmi", f"{address}/flask/app")
                packed = folder / "packed"
                if not packed.exists():
                    _skopeo("--src-tls-verify=false", f"docker://{address}/flask/app", f"oci:{packed}")
                pulls = {
                    "dockersim pull (unpacks)": partial(transfers.pull, address),
                    "skopeo copy --dest-decompress": partial(
                        transfers.skopeo_pull, address, "--dest-decompress", kind="dir"
                    ),
                    "skopeo copy (as it comes)": partial(transfers.skopeo_pull, address),
                }
                table(f"Pull from {title}", interleaved(pulls, times))
            pushes = {
                "dockersim push (compresses)": transfers.push,
                "skopeo copy (compresses)": partial(transfers.skopeo_push, folder / "root"),
            }
            table(f"Push to {title}", interleaved(pushes, times))
            again = {
                "dockersim push (compressed before)": transfers.push_again,
                "skopeo copy (compressed before)": partial(transfers.skopeo_push, packed),
            }
            table(f"Push to {title}", interleaved(again, times))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
