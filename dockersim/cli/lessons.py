"""Where the lessons are: in the wheel beside the package, or in the checkout that it was installed from."""

from __future__ import annotations

from pathlib import Path

from dockersim.errors import DockersimError


def lessons_folder() -> Path:
    """Find the directory of the lessons, which is only to be read."""
    package = Path(__file__).parents[1]
    for folder in (package / "_lessons", package.parent / "lessons"):
        if folder.is_dir():
            return folder
    raise DockersimError("this installation of dockersim has no lessons", hint="install it again with pip")
