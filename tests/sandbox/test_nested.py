"""In a container in a container: what is missing or refused there is done without, or makes a rung fall, with a reason.

Each machine is really made, in a mount namespace, and the probe really runs a command on each rung there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.profiles import PROFILES

from .test_as_user import _PROJECT, python_for_everybody

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such a container"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux"),
]
_PROGRAM = """
import sys
from pathlib import Path
from dockersim.sandbox import known_rungs
for rung in known_rungs(Path(sys.argv[1])):
    print(rung.name, rung.works, rung.because, rung.remedy, sep="|")
"""
_BECOME = """
import os, sys
sys.path[:0] = sys.argv[1:2]
from dataclasses import replace
from tests.profiles import PROFILES, become
profile = PROFILES[sys.argv[2]]
dropped = {int(number) for number in sys.argv[3].split(",") if number}
has = range(41) if profile.capabilities is None else profile.capabilities
become(replace(profile, capabilities=tuple(set(has) - dropped)))
os.execv(sys.argv[4], sys.argv[4:])
"""
CHOWN, DAC_OVERRIDE, SETGID, SETUID, NET_ADMIN = 0, 1, 6, 7, 12  # capabilities(7)

# A /dev like docker's but for what is left out of it.
_DEV_WITHOUT_SHM = """
mkdir {place}/dev && mount -t tmpfs -o mode=755 none {place}/dev
for name in null zero full random urandom tty; do
    touch {place}/dev/$name
    mount --bind /dev/$name {place}/dev/$name
done
mount --move {place}/dev /dev
"""
_FULL_TMP = "mount -t tmpfs -o size=64k,mode=1777 none /tmp; head -c 64k /dev/zero >/tmp/full"
MACHINES = {
    "read-only /sys": "mount -o remount,bind,ro /sys",
    "empty /sys": "mount -t tmpfs none /sys",
    "no /dev/shm": _DEV_WITHOUT_SHM,
    "/tmp of a few kilobytes": "mount -t tmpfs -o size=200k,mode=1777 none /tmp",
    "full /tmp": _FULL_TMP,
    "read-only /tmp": "mount -t tmpfs -o ro none /tmp",
    "noexec /tmp": "mount -t tmpfs -o noexec,mode=1777 none /tmp",
    "/proc that hides others' processes": "mount -t proc -o hidepid=2 proc /proc",
}
"""What a pod may lack, and RUN can do without. As root in a mount namespace, ``place`` being a directory."""


def _rungs(
    place: Path,
    prepare: str,
    profile: str = "pod",
    *,
    without: tuple[int, ...] = (),
    scratch: str = "",
    around: tuple[str, ...] = (),
) -> dict[str, list[str]]:
    """Tell what the probe finds on ``profile`` (tests/profiles.py) after ``prepare`` was done to its file system."""
    python = python_for_everybody()
    shutil.copytree(_PROJECT / "dockersim", place / "code" / "dockersim", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "scratch").mkdir()
    os.chown(place / "scratch", PROFILES[profile].uid, PROFILES[profile].uid)
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    dropped = ",".join(map(str, without))
    ran = subprocess.run(
        [*around, "unshare", "-m", "sh", "-e", "-c", f'{prepare.format(place=place)}\nexec "$@"', "sh",
         sys.executable, "-c", _BECOME, str(_PROJECT), profile, dropped,
         python, "-c", _PROGRAM, scratch or str(place / "scratch")],
        cwd="/", env=os.environ | {"PYTHONPATH": f"{place / 'code'}:{Path(pytest.__file__).parents[1]}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    return {words[0]: words[1:] for words in (line.split("|") for line in ran.stdout.splitlines())}


def _need_proot() -> None:
    if shutil.which("proot") is None:
        pytest.skip("needs proot")


@pytest.mark.parametrize("machine", MACHINES)
def test_what_can_be_done_without(place: Path, machine: str) -> None:
    _need_proot()
    found = _rungs(place, MACHINES[machine])
    assert {name: found[name][0] for name in ("userns", "proot")} == {"userns": "True", "proot": "True"}, found


def test_read_only_tmp_for_root_in_a_container(place: Path) -> None:
    _need_proot()
    found = _rungs(place, MACHINES["read-only /tmp"], "container")
    assert {name: found[name][0] for name in ("chroot", "proot")} == {"chroot": "True", "proot": "True"}, found


def test_masked_proc(place: Path) -> None:
    """As docker masks /proc: a new one would show what is hidden, so the kernel refuses it in a user namespace."""
    found = _rungs(place, "mount -t tmpfs none /proc/fs")
    assert found["userns"][0] == "False"
    assert "does not let us mount /proc" in found["userns"][1]
    assert "systempaths=unconfined" in found["userns"][2]


def test_read_only_proc(place: Path) -> None:
    """Without writing to it nobody gets a number in a user namespace; to trace, one needs only look."""
    _need_proot()
    found = _rungs(place, "mount -o remount,bind,ro /proc")
    assert found["userns"][:2] == ["False", "/proc/self/setgroups cannot be written: Read-only file system"]
    assert found["proot"][0] == "True", found


def test_no_proc(place: Path) -> None:
    found = _rungs(place, "mount -t tmpfs none /proc")
    for name in ("namespaces", "userns", "chroot", "proot"):
        assert found[name][0] == "False"
        assert "there is no /proc here" in found[name][1]
        assert "mount -t proc proc /proc" in found[name][2]


def test_place_where_nothing_may_be_executed(place: Path) -> None:
    found = _rungs(place, f"mount -t tmpfs -o noexec,mode=777 none {place}/scratch")
    assert all(found[name][0] == "False" for name in ("userns", "proot"))
    assert "noexec" in found["userns"][1]
    assert "DOCKERSIM_HOME" in found["userns"][2]


@pytest.mark.parametrize("scratch", ["/proc/dockersim", "/etc/passwd/dockersim", "/usr"])
def test_place_where_nothing_can_be_written(place: Path, scratch: str) -> None:
    """As a HOME that is somebody else's, or is none."""
    found = _rungs(place, ":", scratch=scratch)
    assert found["userns"][0] == "False"
    assert "nothing can be written where dockersim keeps its files" in found["userns"][1]
    assert "DOCKERSIM_HOME" in found["userns"][2]
    assert found["none"][0] == "True"


@pytest.mark.parametrize(
    ("without", "named"),
    [((SETUID,), "CAP_SETUID"), ((CHOWN, SETGID, SETUID), "CAP_CHOWN, CAP_SETUID, CAP_SETGID")],
)
def test_root_who_may_not_become_anybody(place: Path, without: tuple[int, ...], named: str) -> None:
    _need_proot()
    found = _rungs(place, ":", "container", without=without)
    assert found["chroot"][:2] == ["False", f"root lacks {named} here, as in a container"]
    assert found["proot"][0] == "True", found


def test_root_who_may_not_own_everything(place: Path) -> None:
    found = _rungs(place, ":", "container", without=(DAC_OVERRIDE,))
    assert found["chroot"][:2] == ["False", "root lacks CAP_DAC_OVERRIDE here, as in a container"]


def test_root_whose_containers_could_have_no_network(place: Path) -> None:
    """As with --cap-add SYS_ADMIN and no seccomp profile: a RUN would do, but no container."""
    found = _rungs(place, ":", "root", without=(NET_ADMIN,))
    assert found["namespaces"][:2] == ["False", "root lacks CAP_NET_ADMIN here, as in a container"]


def test_root_of_a_namespace_with_one_user(place: Path) -> None:
    """As after ``unshare -r``: files can be given to nobody, so an image is laid out as by an ordinary user."""
    place.chmod(0o755)
    found = _rungs(place, ":", "root", around=("unshare", "-U", "-r"))
    assert found["namespaces"][0] == found["chroot"][0] == "False"
    assert "knows only a few users" in found["namespaces"][1]
    assert found["userns"][0] == "True", found
