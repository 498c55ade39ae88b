"""Lay a root file system out, and find paths in it without ever leaving it.

An image is made by somebody else: its ``/etc/resolv.conf`` may be a link to ``/etc/passwd`` of the host. So a path is
walked one name at a time from the root's descriptor, links are read and walked from the root again, and mounts are
made on ``/proc/self/fd/N``: on exactly what was found (runc does the same, ``securejoin`` and ``procfd``).
"""

from __future__ import annotations

import errno
import os
import stat

from . import kernel

_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40  # as the kernel, MAXSYMLINKS


class CannotPrepare(Exception):
    """The root file system can't be made ready; ``args[0]`` says why in a learner's words."""


class Stub:
    """A file or directory that had to be made so that something can be mounted there.

    ``path`` is its true place in the root, without links. ``keep``: it stays when the command has ended.
    """

    __slots__ = ("is_directory", "keep", "path")

    def __init__(self, path: str, *, is_directory: bool, keep: bool) -> None:
        self.path = path
        self.is_directory = is_directory
        self.keep = keep


class Root:
    """A root file system that is mounted, and what was made in it for mounts."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.stubs: list[Stub] = []

    def find(self, path: str, *, make: str = "", keep: bool = False) -> int:
        """Open ``path`` and return its descriptor (O_PATH), links followed inside the root.

        ``make`` is "file" or "directory" for what to make if it is missing (with its parents), or empty.
        """
        todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        done: list[str] = []
        links = 0
        while todo:
            name = todo.pop()
            if name == "..":
                del done[-1:]
                continue
            target = self._step(done, name, make="" if not make else "directory" if todo else make, keep=keep)
            if target is None:
                done.append(name)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise CannotPrepare(f"{path} in the image is a loop of links")
            if target.startswith("/"):
                done = []
            todo += [part for part in reversed(target.split("/")) if part not in ("", ".")]
        return self._open(done)

    def true_place(self, path: str, *, make: str) -> str:
        """Find ``path``, making it if it is missing, and return it as a path without links, from the root down."""
        descriptor = self.find(path, make=make)
        place = os.readlink(f"/proc/self/fd/{descriptor}")
        top = os.readlink(f"/proc/self/fd/{self.descriptor}")
        os.close(descriptor)
        return place[len(top) + 1 :]

    def _step(self, parents: list[str], name: str, *, make: str, keep: bool) -> str | None:
        """Look at ``name`` below ``parents``: the target if it is a link, else None; it exists after this."""
        above = self._open(parents)
        try:
            try:
                kind = os.stat(name, dir_fd=above, follow_symlinks=False).st_mode
            except FileNotFoundError:
                if not make:
                    raise
                self._make(above, parents, name, is_directory=make == "directory", keep=keep)
                return None
            return os.readlink(name, dir_fd=above) if stat.S_ISLNK(kind) else None
        finally:
            os.close(above)

    def _open(self, parts: list[str]) -> int:
        """Open a path that is known to have no link in it; should it have one, this fails."""
        here = os.dup(self.descriptor)
        for part in parts:
            try:
                following = os.open(part, _LOOK, dir_fd=here)
            finally:
                os.close(here)
            here = following
        return here

    def _make(self, above: int, parents: list[str], name: str, *, is_directory: bool, keep: bool) -> None:
        """Make a mount point, and give the directory above its time back: nothing of ours is to be seen."""
        before = os.stat(above)
        if is_directory:
            os.mkdir(name, 0o755, dir_fd=above)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=above))
        if not keep:
            os.utime(f"/proc/self/fd/{above}", ns=(before.st_atime_ns, before.st_mtime_ns))
        self.stubs.append(Stub("/".join([*parents, name]), is_directory=is_directory, keep=keep))


def mount_overlay(lower: list[str], upper: str, work: str, options: str) -> int:
    """Mount an overlay, at ``upper`` for want of a better place, and return its descriptor.

    The options of a mount must fit in one page, which a hundred long paths don't. So they name the directories by the
    descriptors they are open as: a few digits each.
    """
    names = [str(os.open(path, os.O_PATH | os.O_DIRECTORY)) for path in (*lower, upper, work)]
    os.chdir("/proc/self/fd")
    data = f"lowerdir={':'.join(names[:-2])},upperdir={names[-2]},workdir={names[-1]},{options}"
    _forget_volatile(work)
    try:
        # Unmounting waits until all that was written is on the disk, which takes longer than most commands. Volatile
        # mounts do not: what a power cut damages is found out by its digest.
        kernel.mount("overlay", upper, "overlay", kernel.MS_NODEV, f"{data},volatile")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        kernel.mount("overlay", upper, "overlay", kernel.MS_NODEV, data)  # before Linux 5.10
    os.chdir("/")
    for name in names:
        os.close(int(name))
    return os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _forget_volatile(work: str) -> None:
    """Allow a second mount of what was mounted volatile before, as of a container that is started again.

    The kernel refuses it until the mark is gone (Documentation/filesystems/overlayfs.rst, "Volatile mount").
    """
    try:
        os.unlink(f"{work}/work/incompat/volatile/dirty")
        os.rmdir(f"{work}/work/incompat/volatile")
        os.rmdir(f"{work}/work/incompat")
    except FileNotFoundError:
        pass


def mount_directory(path: str) -> int:
    """Make a plain directory a mount of its own, and return its descriptor."""
    kernel.mount(path, path, "", kernel.MS_BIND | kernel.MS_REC)
    restrict(path, kernel.MS_NODEV)
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def restrict(target: str, flags: int) -> None:
    """Add ``flags`` to a bind mount; those it has must be named again, a user namespace may not drop them."""
    present = os.statvfs(target).f_flag & (os.ST_RDONLY | os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)
    kernel.mount("", target, "", kernel.MS_BIND | kernel.MS_REMOUNT | present | flags)


def remove_stubs(root: str, stubs: list[Stub]) -> None:
    """Take away what was made for mounts, last first, unless the command has put something there.

    ``root`` is where the stubs now lie on disk (of an overlay: the upper directory). The walk refuses links: the
    command may have moved things, and what isn't where we made it is left alone.
    """
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for stub in reversed(stubs):
        if not stub.keep:
            _remove(Root(top), stub)
    os.close(top)


def _remove(root: Root, stub: Stub) -> None:
    *parents, name = stub.path.split("/")
    try:
        above = root._open(parents)
    except OSError:
        return
    try:
        before = os.stat(above)
        if stub.is_directory:
            os.rmdir(name, dir_fd=above)
        elif os.stat(name, dir_fd=above, follow_symlinks=False).st_size == 0:
            os.unlink(name, dir_fd=above)
        os.utime(f"/proc/self/fd/{above}", ns=(before.st_atime_ns, before.st_mtime_ns))
    except OSError:  # not empty, or gone: then it is the command's own
        pass
    finally:
        os.close(above)
