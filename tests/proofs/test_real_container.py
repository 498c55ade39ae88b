"""In a container of a real docker daemon, as people start one: what tests/profiles.py imitates, not imitated.

The container sees this machine's /usr, so that nothing has to be installed in it, and no network.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fidelity import busybox_base
from tests.peers import Docker, needs
from tests.proofs.installed import Installed, for_everybody
from tests.sandbox.test_as_user import python_for_everybody

MODULES = str(Path(pytest.__file__).parents[1])
_NAME = "dockersim-bare"
_FOLDERS = {"dev": 0o755, "etc": 0o755, "proc": 0o555, "sys": 0o555, "tmp": 0o1777, "usr": 0o755, "var": 0o755}
_LINKS = ("bin", "lib", "lib32", "lib64", "sbin")
_MAIN = "from dockersim.cli.main import main; main()"


def _bare_image() -> bytes:
    """Make a root file system with nothing in it but directories, and links into /usr as this machine has them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, mode in _FOLDERS.items():
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            tar.addfile(folder)
        for name in _LINKS:
            if os.path.islink(f"/{name}"):
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, os.readlink(f"/{name}")
                tar.addfile(link)
    return stream.getvalue()


def _python() -> str:
    """Find the system's Python, which the container sees, and no virtual environment."""
    return os.path.realpath(python_for_everybody())


@dataclass
class Inside:
    """dockersim in containers of a docker daemon that are started with ``options``; its root outlives them."""

    docker: Docker
    place: Path
    options: tuple[str, ...]

    def __call__(self, *words: str) -> str:
        """Run one command of dockersim in a container of its own; what it printed."""
        installed = Installed(self.place / "home" / "root", code=self.place / "code", extra={"HOME": "/tmp"})
        seen = ("/usr", "/etc/alternatives", "/etc/ld.so.conf", "/etc/ld.so.conf.d", MODULES, str(self.place / "code"))
        return self.docker(
            "run", "--rm", "--network", "none", "--workdir", "/tmp", *self.options,
            *(f"--volume={path}:{path}:ro" for path in seen if os.path.exists(path)),
            f"--volume={self.place}/home:{self.place}/home",
            *(f"--env={name}={value}" for name, value in installed.environment.items()),
            _NAME, _python(), "-c", _MAIN, *words,
        )  # fmt: skip


@pytest.fixture
def inside(dockerd: Docker, place: Path) -> Callable[..., Inside]:
    """Make an Inside from docker's options."""
    if not _python().startswith("/usr/") or not os.path.islink("/bin"):
        pytest.skip("needs a Python of the system, in a merged /usr")
    for_everybody(place, 1000, ())
    dockerd("import", "-", _NAME, stdin=_bare_image())
    return lambda *options: Inside(dockerd, place, options)


def test_the_demo_as_root(inside: Callable[..., Inside]) -> None:
    ask = inside()
    assert "* chroot      works" in ask("info")
    assert re.search(r"All \d+ acts really happened", ask("demo"))


@needs("proot", "busybox")
@pytest.mark.parametrize("user", ["0:0", "1000:1000", "12345:0"])
def test_a_build_without_any_rights(inside: Callable[..., Inside], place: Path, user: str) -> None:
    """As in a pod; root without capabilities owns no more than anybody."""
    os.chown(place / "home", *map(int, user.split(":")))
    (place / "code" / "Dockerfile").write_text(
        "FROM busybox\nCOPY --chown=12:34 Dockerfile /file\nUSER 12:34\nRUN test $(id -u) = 12\n"
    )
    (place / "code" / "busybox.tar").write_bytes(busybox_base())
    (place / "code").chmod(0o755)
    for file in ("Dockerfile", "busybox.tar"):
        (place / "code" / file).chmod(0o644)
    ask = inside("--user", user, "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    assert "* proot       works" in ask("info")
    ask("import", f"{place}/code/busybox.tar", "busybox:latest")
    ask("build", "--tag", "built", f"{place}/code")
    assert "built" in ask("images")
