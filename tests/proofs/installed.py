"""dockersim as people run it: its command line in a process of its own, as root or as an ordinary user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fidelity import busybox_base
from tests.sandbox.test_as_user import python_for_everybody

ORDINARY_USER = 65534
PROJECT = Path(__file__).parents[2]
_MAIN = "from dockersim.cli.main import main; main()"


@dataclass
class Installed:
    """The command line with a root of its own. ``rung`` "" takes the best there is."""

    root: Path
    rung: str = ""
    python: str = sys.executable
    prefix: tuple[str, ...] = ()
    code: Path = PROJECT
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What its processes see: nothing of the learner's but the search path."""
        found = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{self.code}:{Path(pytest.__file__).parents[1]}"}
        found |= {"DOCKERSIM_HOME": str(self.root), "HOME": str(self.root.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        return found | ({"DOCKERSIM_SANDBOX": self.rung} if self.rung else {}) | self.extra

    def __call__(self, *arguments: str | os.PathLike[str], code: int = 0) -> str:
        """Run one command to its end and return what it printed."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=300)
        text = output.decode(errors="replace")
        assert process.returncode == code, text
        return text

    def start(self, *arguments: str | os.PathLike[str]) -> subprocess.Popen[bytes]:
        """Begin one command in a process group of its own, as a shell does."""
        return subprocess.Popen(
            [*self.prefix, self.python, "-c", _MAIN, *arguments], env=self.environment, cwd=self.code,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0,
        )  # fmt: skip


def as_root(place: Path, rung: str = "") -> Installed:
    """Take the checkout as it is."""
    if os.geteuid() != 0:
        pytest.skip("you are not root")
    return Installed(place / "root", rung)


def as_ordinary_user(place: Path, rung: str = "") -> Installed:
    """Put a copy of dockersim where a user without any rights can run it."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become somebody else (with setpriv)")
    prefix = ("setpriv", f"--reuid={ORDINARY_USER}", f"--regid={ORDINARY_USER}", "--clear-groups")
    return for_everybody(place, ORDINARY_USER, prefix, rung)


def for_everybody(place: Path, uid: int, prefix: tuple[str, ...], rung: str = "") -> Installed:
    """Put a copy of dockersim where everybody can run it, and a home for ``uid``, who ``prefix`` becomes."""
    python = python_for_everybody() if uid else sys.executable
    code = place / "code"
    shutil.copytree(PROJECT / "dockersim", code / "dockersim", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT / "lessons", code / "lessons")
    home = place / "home"
    home.mkdir()
    os.chown(home, uid, uid)
    subprocess.run(["chmod", "-R", "a+rX", str(code)], check=True)
    return Installed(home / "root", rung, python, prefix, code)


USERS = {"root": as_root, "ordinary user": as_ordinary_user}


def with_busybox(installed: Installed, place: Path) -> Installed:
    """Give it ``busybox:latest``, the base of the recorded cases."""
    tar = place / "busybox.tar"
    tar.write_bytes(busybox_base())
    installed("import", tar, "busybox:latest")
    return installed
