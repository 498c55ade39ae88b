"""The same tests once more as an ordinary user, by a Python that such a user may run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_NOBODY = 65534
_PROJECT = Path(__file__).parents[2]
_BORROWED = str(Path(pytest.__file__).parents[1])
"""Where our own Python keeps what it has installed; another of the same version can use it."""


def python_for_everybody() -> str:
    """A Python of the same version that stands where everybody may go; pytest is borrowed from ours.

    It must be able to start itself: setpriv still has root's rights when it starts the first one.
    """
    again = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'], check=True)"
    name = f"python3.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        command = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", candidate, "-c", again]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            return candidate
    pytest.skip(f"no {name} here that an ordinary user may run")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_conformance_as_an_ordinary_user(place: Path) -> None:
    python = python_for_everybody()
    shutil.copytree(_PROJECT / "dockersim", place / "dockersim", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(_PROJECT / "tests" / "sandbox", place / "tests" / "sandbox")
    shutil.copy(_PROJECT / "pyproject.toml", place)
    subprocess.run([python, "-m", "compileall", "-q", str(place / "dockersim" / "sandbox")], check=True)
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    place.chmod(0o755)
    wanted = ("test_conformance.py", "test_ledger.py", "test_attacks.py", "test_containers.py", "test_kill.py")
    ran = subprocess.run(
        ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", python, "-m", "pytest", "-n0", "-rs",
         "-p", "no:cacheprovider", *(f"tests/sandbox/{name}" for name in wanted)],
        cwd=place, env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{place}:{_BORROWED}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]
    skipped = {line.split(": ", 1)[1] for line in ran.stdout.splitlines() if line.startswith("SKIPPED")}
    allowed = (
        "namespaces: you are not root",
        "chroot: you are not root",
        "by design: an overlay copies the directory",
        "no /",
    )
    assert all(reason.startswith(allowed) for reason in skipped), skipped
