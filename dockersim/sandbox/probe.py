"""Find out which rungs work on this machine, by trying each for real.

What should work and what does are two things: namespaces may be allowed and a mount in them refused, by AppArmor, by a
seccomp filter around us, by a /proc that is masked. So each rung runs a real shell in a real root file system: the
host's programs, seen through bind mounts.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

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
from dockersim.sandbox.deviations import DEVIATIONS
from dockersim.sandbox.ladder import ORDER, stand_on
from dockersim.sandbox.reasons import NOT_LINUX, explain, instead

# Writes, deletes what a lower layer has, makes a hard link, changes an owner, uses a device: what packages do.
_TRIAL = "echo x >/new && ln /new /linked && rm /old && mkdir /d && chown 1:1 /new && echo x >/dev/null"
_PROGRAMS = ("/bin", "/usr", "/lib", "/lib64", "/etc/alternatives", "/nix/store")


def probe(scratch: Path) -> tuple[Rung, ...]:
    """Try every rung, best first. ``scratch`` is a directory on the disk where root file systems will be."""
    scratch.mkdir(parents=True, exist_ok=True)
    return tuple(_try_rung(name, scratch) for name in ORDER)


def _try_rung(name: RungName, scratch: Path) -> Rung:
    """Try one rung, with an overlay if it can have one, else with a plain directory."""
    rung = Rung(name, works=True, deviations=DEVIATIONS[name])
    if name == "none":
        return replace(rung, remedy=instead(sys.platform))
    missing = _missing(name)
    if missing:
        return _refused(rung, missing)
    if name == "proot":
        return _try_proot(rung, scratch)
    if not _complaint(replace(rung, overlay=True), scratch):
        return replace(rung, overlay=True)
    complaint = _complaint(rung, scratch)
    return _refused(rung, complaint) if complaint else rung


def _missing(name: RungName) -> str:
    """Name what a rung needs and this machine lacks, where that can be told without trying."""
    if sys.platform != "linux" or not Path("/proc/self/ns").exists():
        return NOT_LINUX
    if name == "namespaces" and os.geteuid() != 0:
        return "you are not root"
    if name == "chroot":
        return "this rung is not part of dockersim yet"
    if name == "proot" and shutil.which("proot") is None:
        return "the program proot is not installed"
    return ""


def _try_proot(rung: Rung, scratch: Path) -> Rung:
    """Try proot, and again without its seccomp filter, with which it fails on some kernels."""
    complaint = _complaint(rung, scratch)
    if not complaint:
        return rung
    slower = replace(rung, proot_without_seccomp=True)
    return _refused(rung, complaint) if _complaint(slower, scratch) else slower


def _refused(rung: Rung, complaint: str) -> Rung:
    because, remedy = explain(rung.name, complaint)
    return replace(rung, works=False, overlay=False, because=because, remedy=remedy)


def _complaint(rung: Rung, scratch: Path) -> str:
    """Run the trial on ``rung``; empty if it went well, else what went wrong."""
    errors = bytearray()
    programs = tuple(BindMount(Path(path), path) for path in _PROGRAMS if Path(path).exists())
    process = ProcessSpec(("/bin/sh", "-c", _TRIAL), {"PATH": "/usr/bin:/bin"}, mounts=programs)
    with tempfile.TemporaryDirectory(prefix="probe-", dir=scratch, ignore_cleanup_errors=True) as place:
        root = _lay_out(Path(place), overlay=rung.overlay)
        try:
            ended = stand_on(rung, Path(place)).run(root, process, lambda _, piece: errors.extend(piece))
        except SandboxError as error:
            return error.message
    if ended.code == 0:
        return ""
    return errors.decode(errors="replace").strip() or f"a trial run ended with code {ended.code}"


def _lay_out(place: Path, *, overlay: bool) -> RootFilesystem:
    names = ("lower", "upper", "work")
    for name in names:
        (place / name).mkdir()
    (place / "lower" / "old").write_text("below\n", encoding="ascii")
    lower, upper, work = (place / name for name in names)
    return OverlayRoot((lower,), upper, work) if overlay else DirectoryRoot(lower)
