"""Finds the shared libraries of everything that was collected, as the loader of the host would.

The order is ld.so(8)'s: the needing file's own run path, the program's, then the directories of
``/etc/ld.so.conf`` and the standard ones. Reading the files beats running ``ldd``: it needs no shell, starts
no process, and works for the modules of Python too.
"""

from __future__ import annotations

import glob
import mmap
import os
from collections.abc import Callable, Iterator

from msgspec import Struct

from dockersim.bases.elf import Elf, parse_elf
from dockersim.bases.pieces import FileSet

STANDARD = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
"""Where every loader looks (ld.so(8)); Debian adds its multiarch directories through /etc/ld.so.conf.d."""

OPENED_LATER = ("libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")
"""Libraries that glibc opens by name when it first needs them (a thread that ends, a name that is looked up)."""

Placement = Callable[[str], str | None]
"""Tells for a path of the host where in the image it goes; None means that it stays where it stands."""


def stay(path: str) -> str | None:
    """Leave every library where the host has it."""
    return None


class _Need(Struct, frozen=True):
    name: str
    machine: tuple[int, int, int]
    run_path: tuple[str, ...]


class LibrarySearch:
    """Looks libraries up on the host and adds them to a file set; remembers what it has added."""

    def __init__(self, configuration: str = "/etc/ld.so.conf") -> None:
        self._directories = (*configured(configuration), *STANDARD)
        self._done: set[str] = set()
        self._home = "/usr/lib"

    def complete(self, files: FileSet, place: Placement = stay) -> None:
        """Add the loader and the libraries of all ELF files in ``files``, and what those need in turn.

        A library that is nowhere to be found is left out: the host's own program would not start either.
        """
        todo = [piece.source for piece in files if isinstance(piece.source, str)]
        program_path: tuple[str, ...] = ()
        while todo:
            path = todo.pop(0)
            if path in self._done or (elf := read_elf(path)) is None:
                continue
            self._done.add(path)
            run_path = tuple(part.replace("$ORIGIN", os.path.dirname(path)) for part in elf.run_path)
            if elf.interpreter:
                todo.append(files.host(elf.interpreter))
                self._home = os.path.dirname(os.path.realpath(elf.interpreter))
                program_path = run_path
                todo.extend(self._opened_later(files, elf))
            for name in elf.needed:
                need = _Need(name, elf.machine, run_path + program_path)
                todo.extend(self._add(files, need, place))

    def _opened_later(self, files: FileSet, elf: Elf) -> Iterator[str]:
        for name in OPENED_LATER:
            yield from self._add(files, _Need(name, elf.machine, ()), stay)

    def _add(self, files: FileSet, need: _Need, place: Placement) -> Iterator[str]:
        found = self._find(need)
        if found is None:
            return
        if place(found) is not None:
            # Its run path named a directory that is elsewhere in the image; the loader's own is always
            # searched.
            files.copy(found, f"{self._home}/{need.name}")
            yield found
            return
        yield files.host(found)
        directory = os.path.dirname(os.path.realpath(found))
        if need.name not in os.listdir(self._home) and directory not in map(os.path.realpath, STANDARD):
            # The host's loader knows this directory from ld.so.cache, which the image has not got.
            files.link(f"{self._home}/{need.name}", found)

    def _find(self, need: _Need) -> str | None:
        for directory in (*need.run_path, *self._directories):
            path = os.path.join(directory, need.name)
            elf = read_elf(path) if os.path.exists(path) else None
            if elf is not None and elf.machine == need.machine:
                return path
        return None


def configured(path: str) -> tuple[str, ...]:
    """Read the directories of an ``ld.so.conf``, its includes too; none if there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split("#")[0].strip() for line in file]
    except OSError:
        return ()
    found: list[str] = []
    for line in lines:
        words = line.split()
        if words[:1] == ["include"]:
            patterns = [os.path.join(os.path.dirname(path), word) for word in words[1:]]
            found += [part for p in patterns for included in sorted(glob.glob(p)) for part in configured(included)]
        elif line.startswith("/"):
            found.append(line)
    return tuple(found)


def read_elf(path: str) -> Elf | None:
    """Read the host's file ``path``; None if it is not ELF or cannot be read."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return parse_elf(data)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None
