"""Find the file that a process in a container means, as the process would find it itself.

What the process says is hostile: it may be changed by another thread while it is read, and lead through links to
anywhere. So the kernel does the walking, below the root of the process, and what it found is from then on known by a
descriptor (O_PATH) and no longer by a path.
"""

from __future__ import annotations

import errno
import os

from . import kernel

_LONGEST = 4096  # PATH_MAX
_MOST_LINKS = 40
# Links that the kernel makes up anew for each process that looks at them, and those of /dev that lead to them.
_OWN = (b"/proc/self/", b"/proc/thread-self/")
_OWN_OF_DEV = {
    b"/dev/fd/": b"/proc/self/fd/", b"/dev/stdin/": b"/proc/self/fd/0/", b"/dev/stdout/": b"/proc/self/fd/1/",
    b"/dev/stderr/": b"/proc/self/fd/2/",
}  # fmt: skip


class CannotLook(Exception):
    """This machine does not let us look at our own processes (``kernel.yama.ptrace_scope`` 3)."""


class Caller:
    """A process that waits for an answer to a system call, by the host's number for it.

    Methods raise OSError with what the call would have failed with, and CannotLook.
    """

    def __init__(self, pid: int) -> None:
        self._proc = f"/proc/{pid}"

    def text(self, address: int) -> bytes:
        """Read a path from the process's memory."""
        if address >> 63:  # the kernel's half
            raise OSError(errno.EFAULT, "no such address")
        memory = self._look("mem", os.O_RDONLY)
        try:
            piece = os.pread(memory, _LONGEST, address)
        except OSError as error:
            raise OSError(errno.EFAULT, "no such address") from error
        finally:
            os.close(memory)
        text, end, _ = piece.partition(b"\0")
        if not end:
            raise OSError(errno.ENAMETOOLONG if len(piece) == _LONGEST else errno.EFAULT, "no end of the path")
        return text

    def _look(self, name: str, flags: int = os.O_PATH) -> int:
        try:
            return os.open(f"{self._proc}/{name}", flags | os.O_CLOEXEC)
        except PermissionError as error:
            raise CannotLook from error

    def name(self) -> bytes:
        """Tell which program it is, by the first 15 bytes of its name."""
        try:
            with open(f"{self._proc}/comm", "rb") as file:
                return file.read().rstrip(b"\n")
        except OSError:  # it has been killed
            return b""

    def umask(self) -> int:
        """Tell which rights a file that it makes does not get."""
        with open(f"{self._proc}/status", "rb") as file:
            found = [int(line[6:], 8) for line in file if line.startswith(b"Umask:")]
        if not found:
            raise OSError(errno.ESRCH, "it has been killed")
        return found[0]

    def open_number(self, number: int) -> int:
        """Open what the process has open as ``number``; with AT_FDCWD, its working directory."""
        try:
            return self._look("cwd" if number == kernel.AT_FDCWD else f"fd/{number}")
        except FileNotFoundError as error:
            raise OSError(errno.EBADF, "not open") from error

    def open_path(self, directory: int, path: bytes, flags: int, links: int = _MOST_LINKS) -> int:
        """Open ``path``, which begins at the root, or at what is open as ``directory`` (or AT_FDCWD).

        What it has open itself it may also name by way of /proc, where only it would find it. -1 for all else that
        /proc/self leads to: that is no file of an image. ``links`` is how often it may be led there.
        """
        if not path:
            raise OSError(errno.ENOENT, "no path")
        if not path.startswith(b"/"):
            try:
                return self._from_directory(directory, path, flags)
            except OSError as error:
                if error.errno != errno.EXDEV:  # it leads up out of the directory, or through a link to the root
                    raise
            path = self._place(directory) + b"/" + path
        return self._from_root(path, flags, links)

    def _from_directory(self, directory: int, path: bytes, flags: int) -> int:
        base = self.open_number(directory)
        try:
            return kernel.open_below(base, path, flags | os.O_PATH, kernel.RESOLVE_BENEATH)
        finally:
            os.close(base)

    def _place(self, directory: int) -> bytes:
        """Tell where a directory is, as seen from the root of the process."""
        root = os.readlink(f"{self._proc}/root").rstrip("/")
        name = "cwd" if directory == kernel.AT_FDCWD else f"fd/{directory}"
        return os.fsencode(os.readlink(f"{self._proc}/{name}").removeprefix(root))

    def _from_root(self, path: bytes, flags: int, links: int) -> int:
        root = self._look("root")
        try:
            return kernel.open_below(root, path, flags | os.O_PATH, kernel.RESOLVE_IN_ROOT)
        except OSError:
            own = self._below_proc_self(root, path)
            if own is None:
                raise
        finally:
            os.close(root)
        number, _, rest = own.removeprefix(b"fd/").partition(b"/")
        if not own.startswith(b"fd/") or not number.isdigit() or (flags & os.O_NOFOLLOW and not rest):
            return -1
        if not links:
            raise OSError(errno.ELOOP, "a loop of links")
        return self.open_path(int(number), rest, flags, links - 1) if rest else self.open_number(int(number))

    def _below_proc_self(self, root: int, path: bytes) -> bytes | None:
        """Tell where below /proc/self ``path`` leads, perhaps through links, as a log that is one to /dev/stdout."""
        for _ in range(_MOST_LINKS):
            for link, goal in _OWN_OF_DEV.items():
                if (path + b"/").startswith(link):
                    path = (goal + path[len(link) :]).rstrip(b"/")
            for place in (*_OWN, b"/proc/%d/" % self._own_number()):
                if path.startswith(place):
                    return path[len(place) :]
            try:
                path = _linked(root, path)
            except OSError:
                return None
        return None

    def _own_number(self) -> int:
        """Tell the number that the process goes by in its own pid namespace."""
        with open(f"{self._proc}/status", "rb") as file:
            return next((int(line.split()[-1]) for line in file if line.startswith(b"NStgid:")), 0)


def _linked(root: int, path: bytes) -> bytes:
    """Give the path that the link at ``path`` leads to. Raises OSError if it is none."""
    link = kernel.open_below(root, path, os.O_PATH | os.O_NOFOLLOW, kernel.RESOLVE_IN_ROOT)
    try:
        return os.path.join(path.rpartition(b"/")[0] + b"/", os.readlink(b"", dir_fd=link))
    finally:
        os.close(link)
