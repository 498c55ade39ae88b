"""Find out which rungs work on this machine, by trying each for real.

What should work and what does are two things: namespaces may be allowed and a mount in them refused, by AppArmor, by a
seccomp filter around us, by a /proc that is masked. So each rung runs a real shell in a real root file system: the
host's programs, seen through bind mounts, or where nothing can be mounted a copy of the few that are needed.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from glob import glob
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from dockersim.errors import SandboxError
from dockersim.sandbox.contract import (
    BindMount,
    DirectoryRoot,
    OverlayRoot,
    ProcessSpec,
    RootFilesystem,
    Rung,
    RungName,
)
from dockersim.sandbox.deviations import DEVIATIONS, NO_DEVICES
from dockersim.sandbox.ladder import ORDER, stand_on
from dockersim.sandbox.owners import can_own, knows_all_users
from dockersim.sandbox.reasons import (
    FEW_USERS,
    NO_EXECUTION,
    NO_OWNERS,
    NO_PLACE,
    NO_PROC,
    NO_PROOT,
    NOT_LINUX,
    NOT_ROOT,
    explain,
    instead,
)

# Writes, deletes what a lower layer has, makes a hard link, changes an owner, uses a device: what packages do.
_TRIAL = "echo x >/new && ln /new /linked && rm /old && mkdir /d && chown 1:1 /new && echo x >/dev/null"
# Gives up root's rights as apt does before it downloads. proot pretends such identities, but not setpriv's order.
_DROP = "if type setpriv >/dev/null 2>&1; then setpriv --reuid=65534 --regid=65534 --clear-groups true; fi"
_USED = ("sh", "ln", "rm", "mkdir", "chown", "true", "setpriv")
_PROGRAMS = ("/bin", "/usr", "/lib", "/lib64", "/etc/alternatives", "/nix/store")


def probe(scratch: Path) -> tuple[Rung, ...]:
    """Try every rung, best first. ``scratch`` is a directory on the disk where root file systems will be."""
    return tuple(_try_rung(name, scratch) for name in ORDER)


def _try_rung(name: RungName, scratch: Path) -> Rung:
    """Try one rung, with an overlay if it can have one, else with a plain directory."""
    rung = Rung(name, works=True, deviations=DEVIATIONS[name])
    if name == "none":
        return replace(rung, remedy=instead(sys.platform))
    missing = _missing(name, scratch)
    if missing:
        return _refused(rung, missing)
    if name == "proot":
        return _try_proot(rung, scratch)
    if name != "chroot" and not _complaint(replace(rung, overlay=True), scratch):
        return replace(rung, overlay=True)
    complaint = _complaint(rung, scratch)
    if complaint:
        return _refused(rung, complaint)
    if name == "chroot" and not _can_make_devices(scratch):
        return replace(rung, deviations=(*rung.deviations, NO_DEVICES))
    return rung


def _missing(name: RungName, scratch: Path) -> str:
    """Name what a rung needs and this machine lacks, where that can be told without trying."""
    if sys.platform != "linux":
        return NOT_LINUX
    if not Path("/proc/self/ns").exists():
        return NO_PROC
    if name in ("namespaces", "chroot") and os.geteuid() != 0:
        return NOT_ROOT
    if name in ("namespaces", "chroot") and not can_own():
        return NO_OWNERS if knows_all_users() else FEW_USERS
    if name == "proot" and shutil.which("proot") is None:
        return NO_PROOT
    if not _can_write(scratch):
        return NO_PLACE
    if os.statvfs(scratch).f_flag & os.ST_NOEXEC:
        return NO_EXECUTION
    return ""


def _can_write(directory: Path) -> bool:
    """Make ``directory`` if it is missing, and tell whether files can be made in it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK | os.X_OK)


def _try_proot(rung: Rung, scratch: Path) -> Rung:
    """Try proot, and again without its seccomp filter, with which it fails on some kernels."""
    complaint = _complaint(rung, scratch)
    if not complaint:
        return rung
    slower = replace(rung, proot_without_seccomp=True)
    return _refused(rung, complaint) if _complaint(slower, scratch) else slower


def _can_make_devices(scratch: Path) -> bool:
    """Tell whether a device can be made on this disk, and opened."""
    with tempfile.TemporaryDirectory(prefix="probe-", dir=scratch) as place:
        try:
            os.mknod(f"{place}/null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
            os.close(os.open(f"{place}/null", os.O_RDWR))
        except OSError:
            return False
    return True


def _refused(rung: Rung, complaint: str) -> Rung:
    because, remedy = explain(rung.name, complaint)
    return replace(rung, works=False, overlay=False, because=because, remedy=remedy)


def _complaint(rung: Rung, scratch: Path) -> str:
    """Run the trial on ``rung``; empty if it went well, else what went wrong."""
    errors = bytearray()
    programs = _needed_files() if rung.name == "chroot" else _PROGRAMS
    trial = _TRIAL if rung.name == "proot" else f"{_TRIAL} && {_DROP}"
    mounts = tuple(BindMount(Path(path), path) for path in programs if Path(path).exists())
    command = ("/bin/sh", "-c", trial)
    network: Literal["host", "none"] = "none" if rung.name in ("namespaces", "userns") else "host"  # as of containers
    process = ProcessSpec(command, {"PATH": "/usr/bin:/bin"}, mounts=mounts, network=network)
    with tempfile.TemporaryDirectory(prefix="probe-", dir=scratch, ignore_cleanup_errors=True) as place:
        root = _lay_out(Path(place), overlay=rung.overlay)
        try:
            ended = stand_on(rung, Path(place)).run(root, process, lambda _, piece: errors.extend(piece))
        except SandboxError as error:
            return error.message
    if ended.code == 0:
        return ""
    return errors.decode(errors="replace").strip() or f"a trial run ended with code {ended.code}"


def _needed_files() -> list[str]:
    """List the programs of the trial and the libraries they load, as the dynamic linker tells (ld.so(8))."""
    programs = [found for name in _USED if (found := shutil.which(name, path="/bin:/usr/bin"))]
    asking = {"PATH": "/bin:/usr/bin", "LD_TRACE_LOADED_OBJECTS": "1"}
    told = [
        subprocess.run([program], env=asking, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        for program in programs
    ]
    libraries = {word for answer in told for word in answer.stdout.split() if word.startswith("/")}
    return [*programs, *sorted(libraries | set(glob("/lib/ld-*")))]  # musl's linker is its library, and tells nothing


def _lay_out(place: Path, *, overlay: bool) -> RootFilesystem:
    names = ("lower", "upper", "work")
    for name in names:
        (place / name).mkdir()
    (place / "lower" / "old").write_text("below\n", encoding="ascii")
    lower, upper, work = (place / name for name in names)
    return OverlayRoot((lower,), upper, work) if overlay else DirectoryRoot(lower)
