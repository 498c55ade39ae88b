"""The rungs of the ladder, best first, and how to stand on each."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from pathlib import Path

from msgspec import to_builtins

from dockersim.errors import SandboxError
from dockersim.sandbox.contract import Rung, RungName, Sandbox
from dockersim.sandbox.nothing import NoSandbox

ORDER: tuple[RungName, ...] = ("namespaces", "userns", "chroot", "proot", "none")


def choose(name: str | None, scratch: Path) -> Sandbox:
    """Stand on the rung called ``name``, or on the best that works here.

    ``scratch`` is a directory of the caller's, on the disk where root file systems will be; what was found out is
    kept there until the next boot. Raises SandboxError if ``name`` is none of ``ORDER`` or does not work here.
    """
    if name is not None and name not in ORDER:
        raise SandboxError(f"no sandbox is called {name}", hint=f"choose one of {', '.join(ORDER)}")
    rungs = known_rungs(scratch)
    if name is None:
        return stand_on(next(rung for rung in rungs if rung.works), scratch)
    rung = next(rung for rung in rungs if rung.name == name)
    if not rung.works:
        raise SandboxError(f"the sandbox {name} does not work here: {rung.because}", hint=rung.remedy)
    return stand_on(rung, scratch)


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
    try:
        kept = json.loads(cache.read_bytes())
        if kept["key"] == key:
            return tuple(Rung(**(rung | {"deviations": tuple(rung["deviations"])})) for rung in kept["rungs"])
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or cut short, or another version's
        pass
    from dockersim.sandbox.probe import probe

    rungs = probe(scratch)
    _keep(cache, {"key": key, "rungs": [to_builtins(rung) for rung in rungs]})
    return rungs


def _key(scratch: Path) -> list[str]:
    """Name all that the answer depends on; a new boot may have brought another kernel or other settings."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # not Linux
        boot = ""
    user = str(os.geteuid()) if hasattr(os, "geteuid") else ""
    return [boot, user, sys.version, sys.executable, platform.release(), shutil.which("proot") or "", str(scratch)]


def _keep(cache: Path, document: object) -> None:
    """Write ``document`` so that a reader sees all of it or nothing."""
    draft = cache.with_suffix(f".{os.getpid()}")
    try:
        draft.write_text(json.dumps(document), encoding="utf-8")
        draft.replace(cache)
    except OSError:  # then the next program finds out for itself
        draft.unlink(missing_ok=True)
