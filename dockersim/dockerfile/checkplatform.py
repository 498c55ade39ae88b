"""Platforms as the checks need them: the arguments that every Dockerfile has, and whether a text names a platform.

BuildKit: defaultArgs in frontend/dockerfile/dockerfile2llb/platform.go; containerd/platforms for the names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_COMPONENT: Final = re.compile(r"[A-Za-z0-9_.-]+")
_SYSTEMS: Final = frozenset(
    ("android", "darwin", "freebsd", "illumos", "linux", "netbsd", "openbsd", "solaris", "windows")
)
_ARCHITECTURES: Final = frozenset(("386", "amd64", "arm", "arm64", "loong64", "ppc64le", "riscv64", "s390x", "wasm"))
_ALIASES: Final = {
    "aarch64": "arm64", "armhf": "arm", "armel": "arm", "i386": "386", "x86_64": "amd64", "x86-64": "amd64",
    "macos": "darwin",
}  # fmt: skip


def platform_args(platform: str, build_args: Mapping[str, str], target: str) -> dict[str, str]:
    """List the platform arguments of a build for ``platform``, such as ``linux/arm64``, on the same platform."""
    system, architecture, variant = [*platform.split("/"), "", ""][:3]
    args: dict[str, str] = {}
    for side in ("BUILD", "TARGET"):
        args |= {
            f"{side}PLATFORM": platform,
            f"{side}OS": system,
            f"{side}OSVERSION": "",
            f"{side}ARCH": architecture,
            f"{side}VARIANT": variant,
        }
    args["TARGETSTAGE"] = target or "default"
    return {name: build_args.get(name, value) for name, value in args.items()}


def system_and_architecture(text: str) -> tuple[str, str] | None:
    """Read a platform; None where it is none. Of a single word the other half is left empty."""
    parts = [_ALIASES.get(part.lower(), part.lower()) for part in text.split("/")]
    if len(parts) > 3 or not all(map(_COMPONENT.fullmatch, parts)):
        return None
    if len(parts) > 1:
        return parts[0], parts[1]
    if parts[0] in _SYSTEMS:
        return parts[0], ""
    return ("linux", parts[0]) if parts[0] in _ARCHITECTURES else None
