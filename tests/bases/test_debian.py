"""The stand-in: where its packages come from, what is said when it cannot be made, and a real one."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockersim.bases import STAND_IN_LABEL, base_named, make, stand_in_note
from dockersim.bases.debian import Mirrors, bootstrap, host_mirrors
from dockersim.bases.standin import store
from dockersim.content import ContentStore, LayerStore
from dockersim.errors import Cancelled, ImageError, ImageNotFound
from dockersim.filesystem import Entry, Kind
from tests.debian import debian, need_mmdebstrap
from tests.profiles import command

MIRROR = "http://mirror.example/debian"


@pytest.mark.parametrize(
    ("files", "mirrors"),
    [
        pytest.param({}, Mirrors(), id="no apt at all"),
        pytest.param({"sources.list": f"deb [arch=amd64 a=b] {MIRROR}/ bookworm main #\n"}, Mirrors(MIRROR), id="line"),
        pytest.param({"sources.list": f"# deb {MIRROR} bookworm main\n"}, Mirrors(), id="commented out"),
        pytest.param({"sources.list": f"deb {MIRROR} trixie main\n"}, Mirrors(), id="another suite"),
        pytest.param({"sources.list": f"deb-src {MIRROR} bookworm main\n"}, Mirrors(), id="sources only"),
        pytest.param({"sources.list": "deb http://me:secret@mirror/d bookworm main\n"}, Mirrors(), id="password"),
        pytest.param({"sources.list": "deb file:/mnt/cd bookworm main\n"}, Mirrors(), id="a disc"),
        pytest.param(
            {"sources.list.d/debian.sources": f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm bookworm-updates\n\n"
             "Types: deb deb-src\nURIs: http://s.example/sec\nSuites: bookworm-security\n"},
            Mirrors(MIRROR, "http://s.example/sec"), id="deb822",
        ),
    ],
)  # fmt: skip
def test_mirrors_are_the_hosts_own(files: dict[str, str], mirrors: Mirrors, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert host_mirrors("bookworm", tmp_path) == mirrors


def test_without_mmdebstrap_one_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match=r"^a Debian stand-in is made by mmdebstrap, .*; run 'sudo apt-get install"):
        make(base_named("ubuntu"), LayerStore(ContentStore(tmp_path / "store")), lambda line: None)


def test_a_base_that_nobody_can_make_is_refused() -> None:
    with pytest.raises(ImageNotFound, match="no base image alpine can be made here; there are dockersim/starter:shell"):
        base_named("alpine")


def test_device_nodes_and_the_root_stay_out(tmp_path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in ["./", "./boot", "./dev", "./dev/null", "./etc"]:
            member = tarfile.TarInfo(name)
            member.type = tarfile.CHRTYPE if name == "./dev/null" else tarfile.DIRTYPE
            member.mtime = 1_700_000_000
            tar.addfile(member)
    content.seek(0)
    layers = LayerStore(ContentStore(tmp_path))
    diff_id, created = store(content, layers)
    entries = [entry for entry in layers.entries(diff_id) if isinstance(entry, Entry)]
    assert [(entry.path, entry.kind) for entry in entries] == [
        ("boot", Kind.DIRECTORY), ("dev", Kind.DIRECTORY), ("etc", Kind.DIRECTORY),
    ]  # fmt: skip
    assert created == "2023-11-14T22:13:20Z"


@pytest.mark.slow
def test_a_mirror_that_is_down_is_one_line(tmp_path: Path) -> None:
    need_mmdebstrap()
    nowhere = Mirrors("http://127.0.0.1:9/debian", "http://127.0.0.1:9/security")
    with (tmp_path / "tar").open("wb") as tar, pytest.raises(ImageError) as caught:
        bootstrap("bookworm", tar, lambda line: None, mirrors=nowhere, workspace=tmp_path)
    assert str(caught.value).startswith("mmdebstrap could not make Debian bookworm: ")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["tar"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), Cancelled("stopped")], ids=["Ctrl-C", "Stop"])
def test_a_bootstrap_that_is_stopped_leaves_nothing(interruption: BaseException, tmp_path: Path) -> None:
    need_mmdebstrap()
    tmp_path.chmod(0o755)

    def stop_early(line: str) -> None:
        if "downloading" in line or "apt-get update" in line:
            raise interruption

    mounts = Path("/proc/self/mounts").read_text()
    with (
        (tmp_path / "tar").open("wb") as tar,
        pytest.raises(type(interruption)),
    ):
        bootstrap("bookworm", tar, stop_early, mirrors=Mirrors(), workspace=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tar"]
    assert Path("/proc/self/mounts").read_text() == mounts
    assert list(processes_about(str(tmp_path))) == []


_BEGIN_AND_STOP = """
import sys
from pathlib import Path
from dockersim.bases.debian import Mirrors, bootstrap
def stop_early(line):
    if "apt-get update" in line:
        raise KeyboardInterrupt
place = Path(sys.argv[1])
try:
    with (place / "tar").open("wb") as tar:
        bootstrap("bookworm", tar, stop_early, mirrors=Mirrors(), workspace=place)
except KeyboardInterrupt:
    print("begun and stopped")
"""


def test_root_in_a_container_can_make_one_and_stop(tmp_path: Path) -> None:
    """There is no namespace to be had for it, and nothing can be mounted."""
    need_mmdebstrap()
    tmp_path.chmod(0o755)
    python = [sys.executable, "-c", _BEGIN_AND_STOP, str(tmp_path)]
    ran = subprocess.run(command("container", *python), capture_output=True, text=True, check=False)
    assert ran.stdout == "begun and stopped\n", ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tar"]
    assert list(processes_about(str(tmp_path))) == []


def processes_about(text: str) -> Iterator[str]:
    """Yield the command lines of processes that name ``text``."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        if text in line:
            yield line


@pytest.fixture
def bookworm() -> Path:
    """Return a bootstrapped tar."""
    return debian()


@pytest.mark.slow
def test_the_stand_in_is_a_plain_debian(bookworm: Path, tmp_path: Path) -> None:
    layers = LayerStore(ContentStore(tmp_path / "store"))
    with bookworm.open("rb") as tar:
        diff_id, created = store(tar, layers)
    entries = {entry.path: entry for entry in layers.entries(diff_id) if isinstance(entry, Entry)}
    assert not [path for path in entries if path.startswith(("dev/", "var/lib/apt/lists/deb"))]
    assert not {"etc/resolv.conf", "etc/hostname", "etc/apt/apt.conf.d/99mmdebstrap"} & set(entries)
    assert entries["bin"].link == "usr/bin"
    assert layers.size(diff_id) < 150_000_000
    assert created > "2023"


@pytest.mark.slow
def test_the_stand_in_never_passes_for_the_image_from_docker_hub(tmp_path: Path) -> None:
    need_mmdebstrap()
    made = make(base_named("ubuntu"), LayerStore(ContentStore(tmp_path)), print)
    said = "Debian bookworm by mmdebstrap, not the image from Docker Hub"
    assert made.config.config.labels[STAND_IN_LABEL] == said
    assert said in made.config.history[0].created_by
    assert stand_in_note(made.config.config.labels) == f"a stand-in: {said}"


@pytest.mark.slow
def test_apt_works_inside(bookworm: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-x", "-f", str(bookworm), "-C", str(root)], check=True)
    (root / "dev").mkdir()
    (root / "dev" / "null").touch()
    (root / "dev" / "null").chmod(0o666)
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    script = "apt-get update && apt-get install -y --no-install-recommends hello && hello && ls /var/cache/apt/archives"
    done = subprocess.run(
        ["unshare", "--mount", "chroot", str(root), "sh", "-ec", script],
        env={"PATH": "/usr/sbin:/usr/bin", "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello, world!" in done.stdout
    assert ".deb\n" not in done.stdout.split("Hello, world!")[1], "docker-clean removed the package"
