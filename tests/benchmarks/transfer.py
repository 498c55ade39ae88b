"""Push and pull the tutorial's Flask image beside ``skopeo copy``, with Debian's registry and with our own.

    python -m tests.benchmarks.transfer [RUNS]

The image is built here from the tutorial's Dockerfile, on Debian's packages in the place of Ubuntu's (mmdebstrap and
network needed): some 700 MB, most of it one layer of apt-get's. It lies in an OCI layout as a build leaves it, its
layers plain tars, so whoever pushes compresses: skopeo as well as we. Whole processes are measured, each against a
registry that has nothing yet; the seconds of computing are told beside those that go by, as these also tell how busy
the machine is.

A pull by dockersim ends with layers that are unpacked and checked against the config. So does ``skopeo copy`` to
``containers-storage:``, from where podman runs images, which also lays the files out; with ``--dest-decompress`` it
only unpacks the tars, as we do. To an OCI layout it copies blobs as they come, and leaves all this to whoever uses
them: that is told, too.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from msgspec import Struct

from dockersim import Engine
from tests.benchmarks.contestants import interleaved, table, workplace

APP: Final = Path(__file__).parents[2] / "lessons" / "flask-app"

NAME: Final = "my-flask-app:latest"

STORAGE: Final = "containers-storage:[overlay@{0}/graph+{0}/run]my-flask-app"
"""A store of podman's in a directory."""


def make_image(folder: Path, root: Path) -> None:
    """Build the image in a root of dockersim, which is also an OCI layout."""
    text = (APP / "Dockerfile").read_text(encoding="utf-8")
    dockerfile = folder / "Dockerfile"  # pip is kept away from Debian's Python but for this variable (PEP 668)
    dockerfile.write_text(text.replace("WORKDIR", "ENV PIP_BREAK_SYSTEM_PACKAGES=1\nWORKDIR", 1), encoding="utf-8")
    dockersim("--root", str(root), "base", "add", "ubuntu:latest")
    dockersim("--root", str(root), "build", "-t", NAME, "-f", str(dockerfile), str(APP))
    with closing(Engine(root)) as engine:
        image = engine.store.images.get(NAME)
        sizes = ", ".join(f"{engine.store.layers.size(layer) / 1e6:.1f}" for layer in image.config.diff_ids)
        print(f"{NAME}: {image.size / 1e6:.0f} MB; its layers as tars: {sizes} MB")


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


class Cost(Struct, frozen=True):
    """What a process took, in seconds: that went by, and of computing."""

    wall: float
    computing: float


class Transfers:
    """Single pushes and pulls; what each leaves behind is removed before the next."""

    def __init__(self, folder: Path, serve: Serve) -> None:
        self._folder = folder
        self._root = folder / "root"
        self._serve = serve

    def push(self) -> Cost:
        """Push with dockersim; the layers have yet to be compressed."""
        self.forget_gzip()
        return self.push_again()

    def push_again(self) -> Cost:
        """Push with dockersim; the layers were compressed for an earlier push."""
        with self._serve(self._folder) as address:
            return self.push_to(address)

    def push_to(self, address: str) -> Cost:
        """Push with dockersim to a registry that is there."""
        dockersim("--root", str(self._root), "tag", NAME, f"{address}/my-flask-app")
        cost = dockersim("--root", str(self._root), "push", "-q", f"{address}/my-flask-app")
        dockersim("--root", str(self._root), "rmi", f"{address}/my-flask-app")
        return cost

    def skopeo_push(self, source: Path) -> Cost:
        """Push from an OCI layout with skopeo."""
        with self._serve(self._folder) as address:
            return skopeo("--dest-tls-verify=false", f"oci:{source}:{NAME}", f"docker://{address}/my-flask-app")

    def pull(self, address: str) -> Cost:
        """Pull with dockersim, into a root that has nothing."""
        root = self._folder / "pulled"
        cost = dockersim("--root", str(root), "pull", "-q", f"{address}/my-flask-app")
        shutil.rmtree(root)
        return cost

    def skopeo_pull(self, address: str, *flags: str, to: str = "oci:{}") -> Cost:
        """Pull with skopeo, into a directory that has nothing."""
        place = self._folder / "pulled"
        cost = skopeo("--src-tls-verify=false", *flags, f"docker://{address}/my-flask-app", to.format(place))
        if (mounted := place / "graph" / "overlay").exists():
            subprocess.run(["umount", str(mounted)], check=True)  # skopeo leaves it mounted on itself
        shutil.rmtree(place)
        return cost

    def forget_gzip(self) -> None:
        """Make the root what it was before the first push."""
        for note in (self._root / "layers").glob("*.gzip.json"):
            digest = json.loads(note.read_bytes())["digest"]
            (self._root / "blobs" / digest.replace(":", "/")).unlink(missing_ok=True)
            note.unlink()


def dockersim(*words: str) -> Cost:
    """Run a command of ours."""
    return _run([sys.executable, "-m", "dockersim.cli", *words], dict(os.environ))


def skopeo(*words: str) -> Cost:
    """Run ``skopeo copy``, with a cache of its own: it would know of blobs in registries that are gone."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"XDG_DATA_HOME": cache, "XDG_RUNTIME_DIR": cache}
        return _run(["skopeo", "copy", "-q", "--insecure-policy", *words], environment)


def _run(command: list[str], environment: dict[str, str]) -> Cost:
    with tempfile.TemporaryFile() as complaints:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=complaints)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        if process.returncode:
            complaints.seek(0)
            raise SystemExit(f"{command}: {complaints.read().decode(errors='replace')[-2000:]}")
    return Cost(wall, used.ru_utime + used.ru_stime)


def show(title: str, measures: dict[str, Callable[[], Cost]], times: int) -> None:
    """Measure in turn, and print the seconds that went by and those of computing."""
    computing: dict[str, list[float]] = {name: [] for name in measures}

    def wall(name: str) -> float:
        cost = measures[name]()
        computing[name].append(cost.computing)
        return cost.wall

    table(title, interleaved({name: partial(wall, name) for name in measures}, times))
    table(f"{title}: computing only", computing)


def main(times: int = 3) -> None:
    """Print seconds and ratios; a ratio above 1 says that dockersim is faster."""
    with workplace() as folder:
        make_image(folder, folder / "root")
        packed = folder / "packed"
        for title, serve in REGISTRIES.items():
            transfers = Transfers(folder, serve)
            with serve(folder) as address:
                transfers.push_to(address)
                if not packed.exists():
                    skopeo("--src-tls-verify=false", f"docker://{address}/my-flask-app", f"oci:{packed}:{NAME}")
                unpacking = partial(transfers.skopeo_pull, address, "--dest-decompress", to="dir:{}")
                pulls = {
                    "dockersim pull": partial(transfers.pull, address),
                    "skopeo copy to containers-storage:": partial(transfers.skopeo_pull, address, to=STORAGE),
                    "skopeo copy --dest-decompress": unpacking,
                    "skopeo copy, which does not unpack": partial(transfers.skopeo_pull, address),
                }
                show(f"Pull from {title}", pulls, times)
            pushes = {
                "dockersim push": transfers.push,
                "skopeo copy": partial(transfers.skopeo_push, folder / "root"),
            }
            show(f"Push to {title}, compressing", pushes, times)
            again = {
                "dockersim push": transfers.push_again,
                "skopeo copy": partial(transfers.skopeo_push, packed),
            }
            show(f"Push to {title}, compressed before", again, times)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
