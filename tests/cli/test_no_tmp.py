"""Where no directory is for temporary files, not even the working directory: only the root can be written to."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such a machine"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux"),
]

MACHINE = """
mount --bind "$1" /mnt
for place in /tmp /var/tmp /dev/shm /mnt/context; do
    mount --bind $place $place && mount -o remount,bind,ro $place
done
cd /mnt/context
shift
exec "$@"
"""
LESSON = """
import os, tempfile
from dockersim.jupyter.lesson import scratch
assert not os.access("/tmp", os.W_OK) and tempfile.tempdir is None
for number in range(2):
    lesson = scratch()
    assert str(lesson.folder).startswith("/mnt/root/scratch/dockersim-lesson-"), lesson.folder
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What is at /mnt: a root to be, and a build context with an archive in it."""
    context = tmp_path / "context"
    context.mkdir()
    with tarfile.open(context / "packed.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("note"))
    (context / "Dockerfile").write_text("FROM scratch\nADD packed.tgz /\n")
    return tmp_path


def there(place: Path, *words: str, stdin: bytes = b"") -> str:
    command = ["unshare", "-m", "sh", "-e", "-c", MACHINE, "sh", str(place), sys.executable, *words]
    kept = {name: value for name, value in os.environ.items() if name not in ("TMPDIR", "TEMP", "TMP")}
    python = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = kept | python | {"DOCKERSIM_HOME": "/mnt/root"}
    done = subprocess.run(command, input=stdin, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert list((place / "root" / "tmp").glob("*")) == []
    return done.stdout.decode()


def test_a_build_unpacks_archives_in_the_root(place: Path) -> None:
    there(place, "-m", "dockersim.cli", "build", "-t", "made", ".")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(place / "context", ".")
    first, second = (there(place, "-m", "dockersim.cli", "build", "-q", one, stdin=packed.getvalue()) for one in ".-")
    assert first == second
    there(place, "-m", "dockersim.cli", "build", "-", stdin=b"FROM made\nENV A=1\n")


def test_a_secret_is_lent(place: Path) -> None:
    there(place, "-m", "dockersim.cli", "base", "add", "dockersim/starter:shell")
    text = b"FROM dockersim/starter:shell\nRUN --mount=type=secret,id=s cat /run/secrets/s > /copy\n"
    there(place, "-m", "dockersim.cli", "build", "-t", "made", "--secret", "id=s,src=Dockerfile", "-", stdin=text)
    assert there(place, "-m", "dockersim.cli", "run", "--rm", "made", "cat", "/copy").startswith("FROM scratch")
    assert list((place / "root" / "secrets").glob("*")) == []


def test_a_lesson_is_in_the_root(place: Path) -> None:
    there(place, "-c", LESSON)


def test_a_directory_of_a_killed_command_is_swept(place: Path) -> None:
    left = place / "root" / "tmp" / "0123456789ab"
    (left / "context").mkdir(parents=True)
    (left / "lock").touch()
    there(place, "-m", "dockersim.cli", "build", "-", stdin=b"FROM scratch\nENV A=1\n")
    assert not left.exists()
