"""Pretend that this machine is a Mac or runs Windows, as far as dockersim's own modules can tell.

What they import of the standard library is a view of it without the names that the other system lacks; typeshed, which
comes with mypy, knows which these are. A module that is left with nothing (``fcntl`` on Windows) cannot be imported.
The standard library itself and other packages are let be: they are made for all three systems.

For Windows two more of its ways are imitated, for everybody, as they bite where names do not: an open file can neither
be deleted nor renamed, and one that may not be written can not be deleted.

A process pretends from its start, and those that it starts do, if ``environment`` is theirs:

    DOCKERSIM_PRETEND=win32 PYTHONPATH=tests/portable/site:. python -m dockersim.cli info
"""

from __future__ import annotations

import ast
import builtins
import errno
import fcntl
import importlib.util
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VIEWED = ("os", "select", "shutil", "signal", "socket", "stat", "subprocess", "sys", "tempfile", "time")
"""Of these modules some names are missing on other systems."""
SYSTEMS_OWN = ("crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "spwd", "syslog", "termios", "tty")
"""Some systems lack these as a whole."""


def environment(platform: str) -> dict[str, str]:
    """Give the variables of a process that pretends."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKERSIM_")}
    paths = os.pathsep.join((str(ROOT / "tests" / "portable" / "site"), str(ROOT)))
    return kept | {"DOCKERSIM_PRETEND": platform, "PYTHONPATH": paths}


def pretend(platform: str) -> None:
    """Let dockersim's modules, none of which has been imported yet, see ``platform``: "darwin" or "win32"."""
    own = _own_modules(platform)
    views = {name: _View(name, platform, own.get(name, {})) for name in VIEWED}
    missing = {name for name in SYSTEMS_OWN if not _names(name, platform)}
    sys.meta_path.insert(0, _Finder(_importer(views, missing, own)))
    if platform == "win32":
        _keep_open_files()


# ---------------------------------------------------------------- what a system has


def _names(module: str, platform: str) -> frozenset[str]:
    """Give what ``module`` defines on ``platform``, after typeshed."""
    found = importlib.util.find_spec("mypy")
    assert found is not None and found.submodule_search_locations, "typeshed comes with mypy"
    stubs = Path(found.submodule_search_locations[0]) / "typeshed" / "stdlib"
    package, file = stubs / module / "__init__.pyi", stubs / f"{module}.pyi"
    tree = ast.parse((package if package.exists() else file).read_text(encoding="utf-8"))
    known = {"sys": SimpleNamespace(platform=platform, version_info=sys.version_info), "TYPE_CHECKING": True}
    return frozenset(_defined(tree.body, known))


def _defined(body: Sequence[ast.stmt], known: dict[str, Any]) -> Iterator[str]:
    for statement in body:
        match statement:
            case ast.If(test, then, otherwise):
                holds = eval(compile(ast.Expression(test), "typeshed", "eval"), known)
                yield from _defined(then if holds else otherwise, known)
            case ast.FunctionDef(name) | ast.ClassDef(name):
                yield name
            case ast.AnnAssign(ast.Name(name)):
                yield name
            case ast.ImportFrom(_, names):
                yield from (one.asname for one in names if one.asname)
            case ast.Assign(targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name) and target.id != "__all__")


class _View(ModuleType):
    """A module without what ``platform`` lacks of it."""

    def __init__(self, name: str, platform: str, own: dict[str, Any]) -> None:
        super().__init__(name)
        self._real = importlib.import_module(name)
        self._own = own
        self._lacking = _names(name, "linux") - _names(name, platform)

    def __getattr__(self, name: str) -> Any:
        if name in self._own:
            return self._own[name]
        if name in self._lacking:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_real", "_own", "_lacking"):
            super().__setattr__(name, value)
        else:
            setattr(self._real, name, value)


def _own_modules(platform: str) -> dict[str, dict[str, Any]]:
    """Give what the other system has and this one lacks, as far as dockersim uses it."""
    own: dict[str, dict[str, Any]] = {"sys": {"platform": platform}}
    if platform == "win32":
        own |= {"os": {"name": "nt", "open": _open}, "msvcrt": {"LK_NBLCK": 2, "locking": _locking}}
    return own


def _locking(descriptor: int, mode: int, count: int) -> None:
    """Lock bytes from the current position on, as the C library of Windows does."""
    assert mode == 2 and count == 1
    assert os.lseek(descriptor, 0, os.SEEK_CUR) > os.fstat(descriptor).st_size, "a locked byte can't be read by others"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


def _open(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)
    return os.open(path, flags, mode, **more)


def _keep_open_files() -> None:
    """Refuse to delete, rename or replace a file that this process has open, or that may not be written."""

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*paths: Any, **more: Any) -> Any:
            if not any(value is not None for value in more.values()):  # dir_fd, which Windows lacks, is rmtree's
                for path in paths:
                    _refuse_if_kept(path, deleting=function.__name__ in ("unlink", "remove") or path is not paths[0])
            return function(*paths, **more)

        call.__name__ = function.__name__
        return call

    for name in ("replace", "rename", "unlink", "remove"):
        setattr(os, name, guarded(getattr(os, name)))


def _refuse_if_kept(path: Any, *, deleting: bool) -> None:
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return
    if stat.S_ISREG(status.st_mode) and ((deleting and not status.st_mode & stat.S_IWUSR) or _is_open(status)):
        raise PermissionError(errno.EACCES, "The file is read-only, or used by a process", path)


def _is_open(status: os.stat_result) -> bool:
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.path.samestat(os.fstat(int(number)), status):
                return True
        except OSError:  # the listing's own descriptor
            continue
    return False


# ---------------------------------------------------------------- how it is imported


def _importer(views: dict[str, _View], missing: set[str], own: dict[str, dict[str, Any]]) -> Callable[..., Any]:
    """Make an ``__import__`` that gives views."""
    given = {name: SimpleNamespace(**names) for name, names in own.items() if name not in views}

    def import_(name: str, scope: Any = None, local: Any = None, wanted: Any = (), level: int = 0) -> Any:
        if level == 0 and name in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if level == 0 and name in given:
            return given[name]
        found = builtins.__import__(name, scope, local, wanted, level)
        return views.get(name if wanted else name.partition(".")[0], found) if level == 0 else found

    return import_


class _Finder:
    """Finds dockersim's modules, and has them imported with other builtins."""

    def __init__(self, import_: Callable[..., Any]) -> None:
        self._builtins = vars(builtins) | {"__import__": import_}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] != "dockersim":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader, self._builtins)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, loader: SourceFileLoader, with_builtins: dict[str, Any]) -> None:
        super().__init__(loader.name, loader.path)
        self._builtins = with_builtins

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._builtins
        super().exec_module(module)
