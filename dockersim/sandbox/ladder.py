"""The rungs of the ladder, best first, and how to stand on each."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from dockersim.errors import SandboxError
from dockersim.sandbox.contract import Rung, RungName, Sandbox
from dockersim.sandbox.nothing import NoSandbox
from dockersim.sandbox.owners import can_own, process_status, user_maps
from dockersim.sandbox.reasons import settings

ORDER: tuple[RungName, ...] = ("namespaces", "userns", "chroot", "proot", "none")


class _Found(msgspec.Struct, frozen=True):
    """What the probe found, and what that depends on."""

    key: list[str]
    rungs: tuple[Rung, ...]


def choose(name: str | None, scratch: Path) -> Sandbox:
    """Stand on the rung called ``name``, or on the best that works here.

    ``scratch`` is a directory of the caller's, on the disk where root file systems will be; what was found out is
    kept there until the next boot. Raises SandboxError if ``name`` is none of ``ORDER`` or does not work here.
    """
    if name is not None and name not in ORDER:
        raise SandboxError(f"no sandbox is called {name}", hint=f"choose one of {', '.join(ORDER)}")
    rungs = known_rungs(scratch)
    if name is None:
        return stand_on(best(rungs), scratch)
    rung = next(rung for rung in rungs if rung.name == name)
    if not rung.works:
        raise SandboxError(f"the sandbox {name} does not work here: {rung.because}", hint=rung.remedy)
    return stand_on(rung, scratch)


def best(rungs: tuple[Rung, ...]) -> Rung:
    """Give the highest of ``rungs`` that works.

    Root takes an ordinary user's namespace last of all: nobody is in it who could own what root's disk gives to others.
    """
    working = (rung for rung in rungs if rung.works)
    return min(working, key=lambda rung: (rung.name == "none", rung.name == "userns" and can_own()))


def stand_on(rung: Rung, scratch: Path) -> Sandbox:
    """Make the sandbox of ``rung``, which has been found to work."""
    if rung.name == "none":
        return NoSandbox(rung)
    from dockersim.sandbox.runner import RunnerSandbox  # Linux only, unlike this module

    if rung.name == "proot":
        program = shutil.which("proot") or "proot"
        how = {"mode": "proot", "program": program, "scratch": str(scratch / "proot")}
        return RunnerSandbox(rung, how | {"without_seccomp": rung.proot_without_seccomp})
    if rung.name == "chroot":
        return RunnerSandbox(rung, {"mode": "chroot", "beside": False})
    return RunnerSandbox(rung, {"mode": "start", "user_namespace": rung.name == "userns"})


def known_rungs(scratch: Path) -> tuple[Rung, ...]:
    """Tell what each rung is good for here, without trying again what was tried since the last boot."""
    cache = scratch / "rungs.json"
    key = _key(scratch)
    kept = _read(cache)
    if kept is not None and kept.key == key and tuple(rung.name for rung in kept.rungs) == ORDER:
        return kept.rungs
    from dockersim.sandbox.probe import probe

    rungs = probe(scratch)
    _keep(cache, _Found(key, rungs))
    return rungs


def _read(cache: Path) -> _Found | None:
    """Read what was found out before; None if that is nothing, or cut short, or another version's."""
    try:
        return msgspec.json.decode(cache.read_bytes(), type=_Found)
    except (OSError, ValueError, msgspec.DecodeError):
        return None


def _key(scratch: Path) -> list[str]:
    """Name all that the answer depends on.

    A new boot may bring another kernel; who reads what would lift a refusal may do so at once; the same root on disk
    may be used inside of a container and outside; and a new version of dockersim may do it differently.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # not Linux
        boot = ""
    user = str(os.geteuid()) if hasattr(os, "geteuid") else ""
    here = [boot, user, sys.version, sys.executable, platform.release(), shutil.which("proot") or "", str(scratch)]
    return [*here, *process_status().values(), *user_maps(), *settings(), _version()]


def _version() -> str:
    """Tell versions of the runner apart by when its files were written; asking for the package's takes longer."""
    runner = Path(__file__).parent
    return str(max(file.stat().st_mtime_ns for folder in (runner, runner / "inside") for file in folder.glob("*.py")))


def _keep(cache: Path, found: _Found) -> None:
    """Write ``document`` so that a reader sees all of it or nothing."""
    draft = cache.with_suffix(f".{os.getpid()}")
    try:
        draft.write_bytes(msgspec.json.encode(found))
        draft.replace(cache)
    except OSError:  # then the next program finds out for itself
        with suppress(OSError):
            draft.unlink()
