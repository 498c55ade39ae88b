"""Find the file that a process in a container means, as the process would find it itself.

What the process says is hostile: it may be changed by another thread while it is read, and lead through links to
anywhere. So the kernel does the walking, below the root of the process, and what it found is from then on known by a
descriptor (O_PATH) and no longer by a path.
"""

from __future__ import annotations

import errno
import os
import stat

from . import kernel

_LONGEST = 4096  # PATH_MAX
_MOST_LINKS = 40
# Links that the kernel makes up anew for each process that looks at them.
_OWN_DESCRIPTORS = (b"/proc/self/", b"/proc/thread-self/", b"/dev/fd/", b"/dev/stdin", b"/dev/stdout", b"/dev/stderr")


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

    def umask(self) -> int:
        """Tell which rights a file that it makes does not get."""
        with open(f"{self._proc}/status", "rb") as file:
            return next(int(line[6:], 8) for line in file if line.startswith(b"Umask:"))

    def open_number(self, number: int) -> int:
        """Open what the process has open as ``number``; with AT_FDCWD, its working directory."""
        try:
            return self._look("cwd" if number == kernel.AT_FDCWD else f"fd/{number}")
        except FileNotFoundError as error:
            raise OSError(errno.EBADF, "not open") from error

    def open_path(self, directory: int, path: bytes, flags: int) -> int:
        """Open ``path``, which begins at the root, or at what is open as ``directory`` (or AT_FDCWD).

        -1 for one of the process's own descriptors by way of /proc: that is no file of an image.
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
        return self._from_root(path, flags)

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

    def _from_root(self, path: bytes, flags: int) -> int:
        root = self._look("root")
        try:
            return kernel.open_below(root, path, flags | os.O_PATH, kernel.RESOLVE_IN_ROOT)
        except OSError:
            if flags & os.O_NOFOLLOW or not _leads_to_own_descriptors(root, path):
                raise
            return -1
        finally:
            os.close(root)


def _leads_to_own_descriptors(root: int, path: bytes) -> bool:
    """Tell whether ``path`` is one of those links, or a link to one, as a log that is a link to /dev/stdout."""
    for _ in range(_MOST_LINKS):
        if path.startswith(_OWN_DESCRIPTORS):
            return True
        try:
            link = kernel.open_below(root, path, os.O_PATH | os.O_NOFOLLOW, kernel.RESOLVE_IN_ROOT)
        except OSError:
            return False
        try:
            if not stat.S_ISLNK(os.fstat(link).st_mode):
                return False
            path = os.path.join(path.rpartition(b"/")[0] + b"/", os.readlink(b"", dir_fd=link))
        finally:
            os.close(link)
    return False
