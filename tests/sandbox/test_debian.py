"""apt-get, dpkg, useradd, sudo and their kin in a real, small Debian: as root, as a user, and under proot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.debian import debian

from .test_as_user import _BORROWED, _NOBODY, _PROJECT, python_for_everybody

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can lay out a Debian, and become somebody else"),
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="needs mmdebstrap"),
]
_SCRIPT = """
set -e
apt-get update -q
apt-get install -yq --no-install-recommends tree openssh-client gosu sudo
tree --version
useradd -m app
groupadd staff2 && usermod -aG staff2 app
addgroup --gid 151 --quiet svc && adduser --system --uid 150 --gid 151 --quiet --home /srv/svc svc
su app -c true && echo switched by su
runuser -u app -- true && echo switched by runuser
gosu app true && echo switched by gosu
sudo -n -u app true && echo switched by sudo
chroot --userspec=app:staff2 / true && echo switched by chroot
start-stop-daemon --start --quiet --chuid app --exec /bin/true && echo switched by start-stop-daemon
sg staff2 -c true && echo switched by sg
echo "gosu became $(gosu app id -un)"
setpriv --reuid=app --regid=app --init-groups true && echo switched by setpriv
install -o app -g app -m 640 /etc/passwd /srv/installed
mkdir -p /srv/tree/in && touch /srv/tree/in/x && chown -R app:staff2 /srv/tree
dpkg-statoverride --add --update app app 4750 /usr/bin/tree
ln /usr/bin/tree /usr/bin/tree-again && test /usr/bin/tree -ef /usr/bin/tree-again
stat -c %a /usr/bin/tree
mknod /srv/null c 1 3 && test -e /srv/null && echo made a node || echo made none
mkdir /t && tar -C /t -xf /var/tmp/owned.tar && ls /t
dpkg --audit
! ls /etc/resolv.conf.d 2>/dev/null
echo all done
"""
_GIVEN_AWAY = {
    "home/app": "1000 1000", "srv/svc": "150 151", "srv/installed": "1000 1000", "usr/bin/tree": "1000 1000",
    "srv/tree/in/x": "1000 1001", "t/x": "7 8", "usr/bin/ssh-agent": "0 10",
}  # fmt: skip
"""Who got what: by useradd, adduser, install, dpkg-statoverride, chown -R, tar, and dpkg (the group _ssh, 10n)."""
_PROGRAM = """
import os, subprocess, sys
from pathlib import Path
from dockersim.sandbox import DirectoryRoot, OverlayRoot, ProcessSpec, choose, host_environment
name, place, tar, script = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
(place / "root").mkdir()
owners = "--same-owner" if os.geteuid() == 0 else "--no-same-owner"
subprocess.run(["tar", "-xpf", tar, owners, "--exclude=./dev/*", "-C", str(place / "root")], check=True)
sandbox = choose(name, place / "scratch")
root = DirectoryRoot(place / "root")
if sandbox.rung.overlay:
    for part in ("upper", "work"):
        (place / part).mkdir()
    root = OverlayRoot((place / "root",), place / "upper", place / "work")
host = host_environment(os.environ)
env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
process = ProcessSpec(("/bin/sh", "-c", script), env | dict(host.env), mounts=host.mounts)
ended = sandbox.run(root, process, lambda stream, piece: os.write(1, piece))
inodes = {name: (place / ("upper" if sandbox.rung.overlay else "root") / name).lstat().st_ino for name in sys.argv[5:]}
for name, inode in inodes.items():
    if inode in ended.recorded:
        print("owner of", name, ended.recorded[inode].uid, ended.recorded[inode].gid)
left = place / ("upper" if sandbox.rung.overlay else "root")
ours = [path for path in ("etc/apt/apt.conf.d/zz-dockersim", "run/dockersim", "dev/null") if (left / path).exists()]
print("left:", ours)
sys.exit(ended.code)
"""


_SWITCHING = {"su", "runuser", "gosu", "sudo", "chroot", "start-stop-daemon", "sg", "setpriv"}
_REFUSED = {"chroot": {"gosu", "start-stop-daemon", "chroot"}, "proot": {"setpriv"}}
"""What cannot switch users on which rung: the first two look into /proc; no root can be changed twice."""


@pytest.mark.parametrize(("name", "user"), [("namespaces", 0), ("userns", _NOBODY), ("chroot", 0), ("proot", _NOBODY)])
def test_apt_get_install(name: str, user: int, place: Path) -> None:
    if name == "proot" and shutil.which("proot") is None:
        pytest.skip("needs proot")
    python = python_for_everybody() if user else sys.executable
    shutil.copytree(_PROJECT / "dockersim", place / "code" / "dockersim")
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    work = place / "work"
    work.mkdir()
    os.chown(work, user, user)
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    (place / "owned.tar").touch()
    script = _SCRIPT.replace("/var/tmp/owned.tar", "/tmp/owned.tar").replace(
        "mkdir /t &&", "mkdir /t && cd /t && touch x && tar --owner=7 --group=8 -cf /tmp/owned.tar x && rm x && cd / &&"
    )
    ran = subprocess.run(
        [*become, python, "-c", _PROGRAM, name, str(work), str(debian()), script, *_GIVEN_AWAY],
        env=os.environ | {"PYTHONPATH": f"{place / 'code'}:{_BORROWED}"}, cwd="/",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert "all done" in ran.stdout
    assert "left: []" in ran.stdout
    switched = {line[len("switched by ") :] for line in ran.stdout.splitlines() if line.startswith("switched by ")}
    assert switched == _SWITCHING - _REFUSED.get(name, set()), ran.stdout[-4000:]
    became = {"userns": "root", "chroot": ""}.get(name, "app")  # an ordinary user's namespace has nobody else in it
    node = "a node" if name in ("namespaces", "userns") else "none"
    assert f"gosu became {became}\n" in ran.stdout and f"made {node}\n" in ran.stdout, ran.stdout[-4000:]
    assert "\n4750\n" in ran.stdout
    if name == "userns":
        for path, owner in _GIVEN_AWAY.items():
            assert f"owner of {path} {owner}" in ran.stdout, ran.stdout[-4000:]
