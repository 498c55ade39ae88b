"""A lesson's own place: a scratch root and a scratch folder, empty each time the lesson begins, gone when it ends."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
import urllib.request
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

from dockersim.cli.lessons import lessons_folder
from dockersim.engine import Engine
from dockersim.engine.scratch import scratch_directory
from dockersim.errors import DockersimError
from dockersim.locks import try_lock
from dockersim.registry import stop

_PREFIX: Final = "dockersim-lesson-"
_START_SECONDS: Final = 60.0


class PageUnreachable(DockersimError):
    """Nobody answered at an address in time."""


class Scratch:
    """Where one run of a lesson happens; ``scratch()`` makes it.

    ``folder`` is the working directory, ``engine`` builds in the lesson's own root, which the magics use too.
    ``other`` is the engine of an empty second root: another machine, as far as images are concerned.
    """

    def __init__(self, place: Path, folder: Path, lock: int) -> None:
        self.folder = folder
        self.engine = Engine(place / "root")
        self.other = Engine(place / "another-machine")
        self._finalizer = weakref.finalize(self, _leave, place, lock)

    def __repr__(self) -> str:
        return f"a scratch folder with {', '.join(sorted(os.listdir(self.folder)))}"

    def free_port(self, wanted: int = 0) -> int:
        """Find a port of this machine that nobody has: ``wanted``, if it is free."""
        for port in (wanted, 0):
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                found: int = probe.getsockname()[1]
                return found
        raise DockersimError("this machine has no free port")

    def fetch(self, url: str, seconds: float = _START_SECONDS) -> str:
        """Fetch a page as a browser would, waiting for its server to be up. Raises PageUnreachable."""
        # Whatever proxy this machine uses, the page is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        until = time.monotonic() + seconds
        while True:
            try:
                with opener.open(url, timeout=5) as answer:
                    page: str = answer.read().decode("utf-8", "replace")
                    return page
            except OSError as error:
                if time.monotonic() > until:
                    raise PageUnreachable(f"nobody answers at {url}: {error}") from error
                time.sleep(0.1)

    def clean_up(self) -> bool:
        """Stop what the lesson started and delete what it made; say whether all of it is gone. Repeatable."""
        os.chdir(Path.home() if Path.home().is_dir() else "/")
        place = self.engine.root.parent
        self._finalizer()
        return not place.exists()


def scratch(app: str = "flask-app", within: Path | None = None) -> Scratch:
    """Begin a lesson: an empty root for the magics, and a copy of the lessons' folder ``app`` to work in.

    ``within`` is the directory to make both in; None takes one that is fit for it.

    Running it again begins anew; what an earlier run left behind, also in a kernel that was killed, is swept away.
    Sets DOCKERSIM_HOME and the working directory of this process.
    """
    within = within or _within()
    _sweep(within)
    place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=within))
    lock = _lock(place)
    if lock is None:
        raise DockersimError(f"another lesson took {place} away", hint="run the cell again")
    folder = place / app
    shutil.copytree(lessons_folder() / app, folder, copy_function=_copy)
    lesson = Scratch(place, folder, lock)
    os.environ["DOCKERSIM_HOME"] = str(lesson.engine.root)
    os.chdir(folder)
    return lesson


def _within() -> Path:
    """Find where lessons can be; a kernel that has begun one stays where that is."""
    place = Path(os.environ.get("DOCKERSIM_HOME", "")).parent
    return place.parent if place.name.startswith(_PREFIX) else scratch_directory(os.environ)


# ---------------------------------------------------------------- leaving


def _copy(source: str, target: str) -> None:
    """Copy a file, with the mode that everybody's has: a mode is part of a cache key, and a lesson shows it."""
    shutil.copyfile(source, target)
    os.chmod(target, 0o644)


def _sweep(within: Path) -> None:
    """Clear the places of this user's lessons whose kernel is gone: nobody holds their lock."""
    for place in within.glob(f"{_PREFIX}*"):
        if place.is_symlink() or not place.is_dir() or not _is_ours(place):
            continue
        lock = _lock(place)
        if lock is not None:
            _leave(place, lock)


def _is_ours(place: Path) -> bool:
    return not hasattr(os, "getuid") or place.stat().st_uid == os.getuid()


def _lock(place: Path) -> int | None:
    """Take the lock of a place; None if a lesson holds it. It is let go when the kernel ends, however it ends."""
    try:
        lock = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:  # somebody else sweeps it
        return None
    if not try_lock(lock):
        os.close(lock)
        return None
    return lock


def _leave(place: Path, lock: int) -> None:
    _clear(place)
    os.close(lock)
    shutil.rmtree(place, ignore_errors=True)  # Windows deletes no open file, so the lock has to go last


def _clear(place: Path) -> None:
    """Stop the containers and registries of a lesson, then delete it."""
    for root in (place / "root", place / "another-machine"):
        if not root.is_dir():
            continue
        containers = Engine(root).containers
        for container in containers.list(all=True):
            containers.remove(container.name, force=True)
        if (root / "registry").is_dir():
            stop(root / "registry")
    _open_up(place)
    shutil.rmtree(place, ignore_errors=True)


def _open_up(place: Path) -> None:
    """Let the owner into every directory: overlayfs leaves work directories without any permission."""
    for directory, names, _ in os.walk(place):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                with suppress(OSError):  # what cannot be opened stays, and clean_up tells
                    os.chmod(path, 0o700)
