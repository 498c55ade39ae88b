"""Starter images made by two kinds of Python, laid out by the host's own tar."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dockersim.content import ContentStore, LayerStore
from dockersim.digest import DiffID

MAKE = """
import sys
from pathlib import Path
from dockersim.bases import base_named, make
from dockersim.content import ContentStore, LayerStore
made = make(base_named("dockersim/starter:python"), LayerStore(ContentStore(Path(sys.argv[1]))), lambda line: None)
print(*made.diff_ids)
"""

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True)
class Starter:
    """A made starter:python: where its layers are, and the same laid out as a directory."""

    layers: LayerStore
    diff_ids: tuple[DiffID, ...]
    root: Path


def make_starter(python: str, store: Path, **environment: str) -> tuple[DiffID, ...]:
    """Let ``python`` make starter:python in a process of its own."""
    done = subprocess.run(
        [python, "-c", MAKE, str(store)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tuple(DiffID(word) for word in done.stdout.split())


def lay_out(layers: LayerStore, diff_ids: tuple[DiffID, ...], root: Path, *prefix: str) -> None:
    """Unpack layers with tar, as whoever ``prefix`` makes of us."""
    for diff_id in diff_ids:
        with layers.open_tar(diff_id) as tar:
            subprocess.run([*prefix, "tar", "-x", "-C", str(root)], stdin=tar, check=True)


def venv_of_the_system(folder: Path) -> tuple[str, dict[str, str]]:
    """Make a virtual environment of /usr/bin/python3 that sees the packages of ours; skip where that cannot be."""
    system = "/usr/bin/python3"
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    if not os.path.exists(system):
        pytest.skip("there is no /usr/bin/python3")
    version = subprocess.run([system, "-c", question], capture_output=True, text=True, check=True).stdout.strip()
    if version != ours:
        pytest.skip(f"/usr/bin/python3 is {version}; packages beside us are made for {ours}")
    made = subprocess.run([system, "-m", "venv", "--without-pip", str(folder)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("/usr/bin/python3 has no venv; apt-get install python3-venv")
    project = Path(__file__).parents[2]
    packages = {"PYTHONPATH": os.pathsep.join([str(project), *(path for path in sys.path if "site-packages" in path)])}
    return str(folder / "bin" / "python3"), packages


@pytest.fixture(scope="session", params=["this Python", "a venv of /usr/bin/python3"])
def starter(request: pytest.FixtureRequest) -> Iterator[Starter]:
    """Make starter:python and lay it out where every user can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="dockersim-test-"))
    folder.chmod(0o755)
    try:
        python, environment = sys.executable, dict[str, str]()
        if request.param != "this Python":
            python, environment = venv_of_the_system(folder / "venv")
        diff_ids = make_starter(python, folder / "store", **environment)
        layers = LayerStore(ContentStore(folder / "store"))
        (folder / "root").mkdir()
        lay_out(layers, diff_ids, folder / "root")
        yield Starter(layers, diff_ids, folder / "root")
    finally:
        shutil.rmtree(folder)
