"""The conformance tests once more, as an ordinary user: files cannot be given away, devices cannot be made.

The run gets a /dev of its own, in a mount namespace, because a test machine's may be for root alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

NOBODY = "65534"
PROJECT = Path(__file__).parents[2]
TESTS = PROJECT / "tests" / "snapshots"
DEVICES = "".join(
    f"mknod -m 666 /dev/{name} c 1 {minor}\n" for name, minor in (("null", 3), ("zero", 5), ("urandom", 9))
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv of util-linux")
def test_conformance_without_root() -> None:
    python = interpreter_for_anybody()
    if not python:
        pytest.skip("no python that an ordinary user may run")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        command = f"""mount -t tmpfs -o mode=755 none /dev\n{DEVICES}
        exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {python} -m pytest -n0 -q -rs \
            -p no:cacheprovider --basetemp={folder}/tests {TESTS}/test_conformance.py {TESTS}/test_ledger.py"""
        environment = os.environ | {
            "HOME": folder, "TMPDIR": folder, "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path[1:]]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        done = subprocess.run(
            ["unshare", "-m", "sh", "-ec", command],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if "unshare failed" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " failed" not in done.stdout


def interpreter_for_anybody() -> str:
    """Find a Python of this version that a user without rights may run."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        tried = subprocess.run(
            ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", candidate, "-c", ""],
            capture_output=True, check=False,
        )  # fmt: skip
        if tried.returncode == 0:
            return candidate
    return ""
