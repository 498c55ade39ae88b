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


def python_for_everybody() -> str:
    """A Python of the same version that stands where everybody may go; it must be able to start itself."""
    again = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'], check=True)"
    name = f"python3.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        ran = subprocess.run([*_as_nobody(), candidate, "-c", again], check=False, capture_output=True)
        if ran.returncode == 0:
            return candidate
    pytest.skip(f"no {name} here that an ordinary user may run")


def _as_nobody() -> list[str]:
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_as_an_ordinary_user(place: Path) -> None:
    python = python_for_everybody()
    shutil.copytree(_PROJECT / "dockersim", place / "dockersim", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "tests").mkdir()
    for name in ("__init__.py", "fidelity.py", "peers.py"):
        shutil.copy(_PROJECT / "tests" / name, place / "tests")
    shutil.copytree(_PROJECT / "tests" / "containers", place / "tests" / "containers")
    shutil.copy(_PROJECT / "pyproject.toml", place)
    subprocess.run([python, "-m", "compileall", "-q", str(place / "dockersim")], check=True)
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    place.chmod(0o755)
    borrowed = str(Path(pytest.__file__).parents[1])
    wanted = ("test_life.py", "test_ports.py", "test_shim.py", "test_console.py")
    chosen = "not proot or (proot and (foreground or published or killed))"
    ran = subprocess.run(
        [*_as_nobody(), python, "-m", "pytest", "-n0", "-rs", "-p", "no:cacheprovider", "-k", chosen,
         *(f"tests/containers/{name}" for name in wanted)],
        cwd=place, env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{place}:{borrowed}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]
    assert "passed" in ran.stdout
