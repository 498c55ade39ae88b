"""A root that lies in a lower layer of an overlay, as one in an image does: directories there cannot be renamed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="by design: only root mounts an overlay here"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux"),
]

MOUNT = """
mount -t tmpfs none {place}
cd {place}
mkdir lower upper work merged
{prepare}
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work,redirect_dir=off none merged
cd merged
exec "$@"
"""
SURE = 'import errno, os\ntry: os.rename("snapshot", "other")\nexcept OSError as e: assert e.errno == errno.EXDEV, e\n'


def run_on_overlay(place: Path, prepare: str, script: str) -> None:
    """Run a script of Python in an overlay, which has what ``prepare`` makes in its lower layer."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = ["unshare", "-m", "sh", "-e", "-c", MOUNT.format(place=place, prepare=prepare), "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", SURE + script], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr


PREPARE = "mkdir -p lower/snapshot/a/b/c lower/snapshot/a/other; echo x | tee lower/snapshot/lock lower/snapshot/a/b/f"


def test_deleted(tmp_path: Path) -> None:
    """With what was made since, in directories from below and in new ones, and nothing beside it."""
    made = 'os.makedirs("snapshot/a/b/new/inner")\nopen("snapshot/a/b/new/file", "w").close()\nos.mkdir("beside")\n'
    call = 'from dockersim.snapshots.disk import delete\ndelete("snapshot")\nassert os.listdir() == ["beside"]\n'
    run_on_overlay(tmp_path, PREPARE, made + call)


def test_deleted_however_deep(tmp_path: Path) -> None:
    deep = f"mkdir -p lower/snapshot/{'d/' * 1500}"
    call = 'from dockersim.snapshots.disk import delete\ndelete("snapshot")\nassert os.listdir() == []\n'
    run_on_overlay(tmp_path, deep, call)


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("snapshots.sweep", 'found.bury(os.path.abspath("snapshot"))'),
        ("snapshots.sweep", "found.sweep(os.getcwd())"),
        ("containers.life", 'found.Folder(os.path.abspath("snapshot")).bury()'),
        ("engine.keeping", 'assert found.remove_unused([Path("snapshot")]); os.unlink("snapshot.used")'),
    ],
)
def test_whatever_deletes_directories(tmp_path: Path, module: str, call: str) -> None:
    script = f"from pathlib import Path\nimport dockersim.{module} as found\n{call}\nassert os.listdir() == []\n"
    run_on_overlay(tmp_path, PREPARE, script)
