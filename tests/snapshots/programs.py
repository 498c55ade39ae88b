"""Running a shell in a snapshot without the sandbox: overlays are mounted in a mount namespace that ends with it."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path

from dockersim.sandbox.contract import DirectoryRoot, OverlayRoot, RootFilesystem


def run(root: RootFilesystem, script: str) -> str:
    """Run ``script`` with the root file system as the working directory; return what it printed."""
    if isinstance(root, DirectoryRoot):
        command, folder = ["sh", "-ec", script], str(root.path)
    else:
        command, folder = overlay_command(root, script), str(root.lower[0].parent)
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def overlay_command(root: OverlayRoot, script: str) -> list[str]:
    lower = ":".join(path.name for path in root.lower)
    flags = "-m" if os.geteuid() == 0 else "-rm"
    options = f"lowerdir={lower},upperdir={root.upper},workdir={root.work},redirect_dir=nofollow,metacopy=off,index=off"
    if os.geteuid() != 0:
        options += ",userxattr"
    mount = f"mount -t tmpfs none /mnt && mkdir /mnt/root && mount -t overlay none -o {options} /mnt/root"
    return ["unshare", flags, "sh", "-ec", f"{mount}\ncd /mnt/root\n{script}"]


@functools.cache
def why_no_overlay() -> str:
    """Tell why overlayfs cannot be mounted here; nothing if it can."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a", "upper", "work"):
            Path(folder, name).mkdir()
        root = OverlayRoot((Path(folder, "a"),), Path(folder, "upper"), Path(folder, "work"))
        done = subprocess.run(overlay_command(root, "true"), cwd=folder, capture_output=True, text=True, check=False)
        return done.stderr.strip() if done.returncode else ""
