"""The ways in: each feeds an attack to the program as a learner would, and says how that ended."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from click.testing import CliRunner

from dockersim import Engine
from dockersim.cli.main import main
from dockersim.content import ContentStore, LayerStore
from dockersim.errors import DockersimError
from dockersim.snapshots import CopySnapshotter, OverlaySnapshotter, SnapshotKey, Snapshotter
from tests.engine.web import listening
from tests.hostile.arena import Arena
from tests.hostile.bombs import HARMLESS
from tests.hostile.documents import INDEX, LAYER, LAYOUT, MANIFEST, Documents, digest_of
from tests.hostile.tars import END, member

SHOWING = ("images", "images --no-trunc --digests", "history hostile", "history --no-trunc hostile", "inspect hostile")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, what it said, and what went wrong in us if anything did."""

    code: int
    said: str
    bug: str = ""
    shown: str = ""
    """What was written to the terminal, as it was written."""


def run(arena: Arena, *words: str | Path, stdin: bytes = b"") -> Ended:
    """Run a command in this process."""
    environment = {"DOCKERSIM_HOME": str(arena.home), "DOCKERSIM_HUB": None, "DOCKERSIM_DEBUG": None}
    result = CliRunner(env=environment).invoke(main, [str(word) for word in words], input=stdin, prog_name="dockersim")
    bug = "" if result.exception is None or isinstance(result.exception, SystemExit) else repr(result.exception)
    lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
    return Ended(result.exit_code, lines[-1] if lines else "", bug, result.output)


def call(work: Callable[[], object]) -> Ended:
    """Do something in this process that no command does."""
    try:
        work()
    except DockersimError as error:
        return Ended(1, str(error))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is a bug, and a row of the table
        return Ended(1, "", repr(error)[:300])
    return Ended(0, "")


def each(*steps: Callable[[], Ended]) -> Ended:
    """Take steps until one is refused; give how it ended."""
    ended, shown = Ended(0, ""), ""
    for step in steps:
        ended = step()
        shown += ended.shown
        if ended.code or ended.bug:
            break
    return Ended(ended.code, ended.said, ended.bug, shown)


# ---------------------------------------------------------------- layers


def archive(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Write a tar of files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def docker_archive(documents: Documents) -> bytes:
    """Save as docker did before version 25."""
    names = documents.changes.get("names", {}).get("evil", ["hostile:latest"])
    layers = [(f"{n}/layer.tar", tar) for n, tar in enumerate(documents.tars)]
    entry = {"Config": "config.json", "RepoTags": names, "Layers": [name for name, _ in layers]}
    return archive([*layers, ("config.json", documents.config), ("manifest.json", json.dumps([entry]).encode())])


def oci_archive(documents: Documents) -> bytes:
    """Save as an OCI image layout."""
    blobs = [(f"blobs/{digest.replace(':', '/')}", data) for digest, data in documents.blobs().items()]
    return archive([*blobs, ("index.json", documents.index), ("oci-layout", LAYOUT)])


def load_docker(arena: Arena, documents: Documents) -> Ended:
    return each(lambda: run(arena, "load", stdin=docker_archive(documents)), *_showing(arena))


def load_oci(arena: Arena, documents: Documents) -> Ended:
    return each(lambda: run(arena, "load", stdin=gzip.compress(oci_archive(documents), 1)), *_showing(arena))


def pull(arena: Arena, documents: Documents) -> Ended:
    """Pull from a registry that serves whatever the attack says."""
    with lying_registry(documents) as host:
        name = f"{host}/hostile"
        return each(lambda: run(arena, "pull", name), lambda: run(arena, "tag", name, "hostile"), *_showing(arena))


def oci_layout(arena: Arena, documents: Documents) -> Ended:
    """Build from a layout on disk."""
    folder = _layout(arena, documents)
    dockerfile = b"FROM hostile\nCOPY --from=hostile /f /g\n"
    context = f"hostile=oci-layout://{folder}:latest"
    return run(arena, "build", "--build-context", context, "-", stdin=dockerfile)


def import_cache(arena: Arena, documents: Documents) -> Ended:
    """Build with the layout as an imported cache, which is told of and left out if it is none."""
    folder = _layout(arena, documents)
    return run(arena, "build", "--cache-from", f"type=local,src={folder}", "-", stdin=b"FROM scratch\nWORKDIR /a\n")


def _layout(arena: Arena, documents: Documents) -> Path:
    folder = arena.work / "layout"
    for name, data in [("oci-layout", LAYOUT), ("index.json", documents.index)]:
        _write(folder / name, data)
    for digest, data in documents.blobs().items():
        _write(folder / "blobs" / digest.replace(":", "/"), data)
    arena.watch()
    return folder


def _showing(arena: Arena) -> list[Callable[[], Ended]]:
    return [lambda words=words: run(arena, *words.split()) for words in SHOWING]


def import_tar(arena: Arena, documents: Documents) -> Ended:
    return run(arena, "import", "-", "hostile", stdin=merged(documents))


def add_archives(arena: Arena, documents: Documents) -> Ended:
    """``ADD`` each layer as an archive on top of the ones before."""
    names = [f"{n}.tar" for n in range(len(documents.tars))]
    for name, tar in zip(names, documents.tars, strict=True):
        _write(arena.work / name, tar)
    dockerfile = "FROM scratch\n" + "".join(f"ADD {name} /\n" for name in names)
    _write(arena.work / "Dockerfile", dockerfile.encode())
    arena.watch()
    return run(arena, "build", "-t", "hostile", arena.work)


def context_in_stdin(arena: Arena, documents: Documents) -> Ended:
    arena.watch()
    return run(arena, "build", "-t", "hostile", "-", stdin=_as_context(documents))


def context_at_an_address(arena: Arena, documents: Documents) -> Ended:
    arena.watch()
    with web(_as_context(documents)) as url:
        return run(arena, "build", "-t", "hostile", f"{url}/context.tar")


def overlay_snapshot(arena: Arena, documents: Documents) -> Ended:
    return _snapshot(arena, documents, OverlaySnapshotter)


def copy_snapshot(arena: Arena, documents: Documents) -> Ended:
    return _snapshot(arena, documents, CopySnapshotter)


def load_packed(arena: Arena, data: bytes) -> Ended:
    return run(arena, "load", stdin=data)


def import_packed(arena: Arena, data: bytes) -> Ended:
    return run(arena, "import", "-", "hostile", stdin=data)


def pull_packed(arena: Arena, data: bytes) -> Ended:
    """Pull an image whose one layer is packed so; what it unpacks to is promised as the honest archive."""
    layer = {"mediaType": LAYER, "digest": digest_of(data), "size": len(data)}
    documents = Documents((HARMLESS,), changes={"manifest": {"layers": [layer]}}, more={digest_of(data): data})
    with lying_registry(documents) as host:
        return run(arena, "pull", f"{host}/hostile")


def add_packed(arena: Arena, data: bytes) -> Ended:
    _write(arena.work / "archive", data)
    _write(arena.work / "Dockerfile", b"FROM scratch\nADD archive /\n")
    arena.watch()
    return run(arena, "build", arena.work)


def context_packed(arena: Arena, data: bytes) -> Ended:
    return run(arena, "build", "-", stdin=data)


def context_packed_at_an_address(arena: Arena, data: bytes) -> Ended:
    with web(data) as url:
        return run(arena, "build", f"{url}/context")


def looking_into_it(arena: Arena, documents: Documents) -> Ended:
    """List and read everything, as ``ls`` and ``cat`` in a notebook do."""

    def look() -> None:
        layers = LayerStore(ContentStore(arena.home))
        engine = Engine(arena.home, environment={})
        files = engine.files(tuple(layers.add_tar(io.BytesIO(tar)) for tar in documents.tars))
        for entry in list(files.walk())[:5000]:
            for path in (entry.path, f"/{entry.path}/../../{entry.link}"):
                if files.exists(path):  # a link may lead nowhere
                    files.ls(path)
            if entry.kind.value == "file":
                files.text(entry.path)

    return call(look)


def saving_it_again(arena: Arena, documents: Documents) -> Ended:
    """Load, save in both forms, load what was saved."""
    saved = arena.work / "saved.tar"
    arena.watch()
    steps = [lambda: run(arena, "load", stdin=docker_archive(documents))]
    for form in ("docker", "oci"):
        steps.append(lambda form=form: run(arena, "save", "--format", form, "-o", saved, "hostile"))
        steps.append(lambda: run(arena, "load", "-i", saved))
    ended = each(*steps)
    saved.unlink(missing_ok=True)
    arena.watch()
    return ended


def copying_from_it(arena: Arena, documents: Documents) -> Ended:
    """Load, and build on it: COPY all of it, and on top of it."""
    dockerfile = (
        b"FROM hostile AS base\nWORKDIR /evil/d\nCOPY --from=hostile / /all/\nFROM scratch\nCOPY --from=base / /\n"
    )
    return each(
        lambda: run(arena, "load", stdin=docker_archive(documents)),
        lambda: run(arena, "build", "-", stdin=dockerfile),
    )


def merged(documents: Documents) -> bytes:
    """Write all layers into one archive, one behind the other."""
    return b"".join(tar.removesuffix(END) for tar in documents.tars) + END


def _as_context(documents: Documents) -> bytes:
    return member("Dockerfile", b"FROM scratch\nCOPY . /\n") + merged(documents)


def _snapshot(arena: Arena, documents: Documents, kind: type[OverlaySnapshotter] | type[CopySnapshotter]) -> Ended:
    def lay_out() -> None:
        layers = LayerStore(ContentStore(arena.home))
        diff_ids = [layers.add_tar(io.BytesIO(tar)) for tar in documents.tars]
        snapshotter: Snapshotter = kind(arena.home / "snapshots", layers)
        key = SnapshotKey("hostile")
        snapshotter.prepare(key, diff_ids)
        changes = snapshotter.changes(key)
        snapshotter.discard(key)
        assert changes.entries == (), "what was laid out is not what the layers say"

    return call(lay_out)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# ---------------------------------------------------------------- servers


@contextmanager
def lying_registry(documents: Documents) -> Iterator[str]:
    """Serve the image under any name, without looking at what it says."""
    blobs = documents.blobs()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].rpartition("/")[2]
            kind = "application/octet-stream"
            if "/manifests/" in self.path:
                data = blobs.get(name, documents.index)
                kind = INDEX if data is documents.index or b'"manifests"' in data[:200] else MANIFEST
            else:
                data = blobs.get(name, b"")
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except OSError:
                pass  # who reads has had enough

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with listening(Handler) as url:
        yield url.removeprefix("http://")


@contextmanager
def web(data: bytes) -> Iterator[str]:
    """Serve some bytes at every address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with listening(Handler) as url:
        yield url


Way = Callable[[Arena, Documents], Ended]

LAYER_WAYS: dict[str, Way] = {
    "load": load_docker,
    "load OCI": load_oci,
    "import": import_tar,
    "pull": pull,
    "ADD": add_archives,
    "build -": context_in_stdin,
    "build URL": context_at_an_address,
    "overlay": overlay_snapshot,
    "copy": copy_snapshot,
    "ls and cat": looking_into_it,
    "save": saving_it_again,
    "COPY --from": copying_from_it,
}
"""Ways in for a layer."""

PACKED_WAYS: dict[str, Callable[[Arena, bytes], Ended]] = {
    "load": load_packed,
    "import": import_packed,
    "pull": pull_packed,
    "ADD": add_packed,
    "build -": context_packed,
    "build URL": context_packed_at_an_address,
}
"""Ways in for an archive that is packed."""

DOCUMENT_WAYS: dict[str, Way] = {
    "load": load_docker,
    "load OCI": load_oci,
    "pull": pull,
    "oci-layout://": oci_layout,
    "--cache-from": import_cache,
}
"""Ways in for the documents of an image."""
