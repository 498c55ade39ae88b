"""Copy files and directories in, and back again what a command changed in them, where nothing can be mounted.

Every name is opened below the directory that it was listed in and never through a link: who wrote it may be a command
that was not well-meaning, and who runs this is root.
"""

from __future__ import annotations

import errno
import os
import stat

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1 << 20

Listing = set[str]
"""The paths below a directory."""


def open_directory(name: str, above: int | None = None) -> int:
    """Open a directory itself, not one that a link leads to."""
    return os.open(name, _DIRECTORY, dir_fd=above)


def copy(name: str, source: int | None, target: int, new_name: str) -> None:
    """Copy ``name`` below ``source`` to ``new_name`` below ``target``, where nothing is, with all that is in it.

    A socket gets a second name, by which it can be reached as by the first; devices inside a directory are left out.
    """
    found = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        os.mkdir(new_name, 0o700, dir_fd=target)
        _copy_contents(name, source, target, new_name)
    elif stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), new_name, dir_fd=target)
    elif stat.S_ISREG(found.st_mode):
        _copy_content(name, source, target, new_name)
    elif stat.S_ISSOCK(found.st_mode):
        os.link(name, new_name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        return
    else:
        return
    _finish(found, target, new_name)


def _copy_contents(name: str, source: int | None, target: int, new_name: str) -> None:
    from_here, to_here = open_directory(name, source), open_directory(new_name, target)
    try:
        for inner in os.listdir(from_here):
            copy(inner, from_here, to_here, inner)
    finally:
        os.close(from_here)
        os.close(to_here)


def _copy_content(name: str, source: int | None, target: int, new_name: str) -> None:
    """Copy a regular file's content; where the file system can, both share the blocks (copy_file_range(2))."""
    reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    writer = os.open(new_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
    try:
        while _copy_piece(reader, writer):
            pass
    finally:
        os.close(reader)
        os.close(writer)


def _copy_piece(reader: int, writer: int) -> int:
    try:
        return os.copy_file_range(reader, writer, _PIECE)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            raise
    data = os.read(reader, _PIECE)
    left = data
    while left:
        left = left[os.write(writer, left) :]
    return len(data)


def _finish(found: os.stat_result, target: int, name: str) -> None:
    """Give ``name`` the owner, mode and time of what was ``found``; the owner first, as it takes set-uid away."""
    os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=target)
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def listing(directory: int, prefix: str = "") -> Listing:
    """List all that is below ``directory``."""
    found: Listing = set()
    for name in os.listdir(directory):
        found.add(prefix + name)
        if _is_directory(name, directory):
            inner = open_directory(name, directory)
            found |= listing(inner, f"{prefix}{name}/")
            os.close(inner)
    return found


def bring_back(copied: int, original: int, before: Listing, prefix: str = "") -> None:
    """Make ``original`` what its copy has become; what came to ``original`` meanwhile and is not in ``before`` stays.

    Where both sides were written to, the copy counts.
    """
    names = set(os.listdir(copied))
    for name in os.listdir(original):
        if name not in names and prefix + name in before:
            delete(name, original)
    for name in names:
        _bring_back_one(name, copied, original, before, prefix)


def _bring_back_one(name: str, copied: int, original: int, before: Listing, prefix: str) -> None:
    if _is_directory(name, copied) and _is_directory(name, original):
        from_here, to_here = open_directory(name, copied), open_directory(name, original)
        try:
            bring_back(from_here, to_here, before, f"{prefix}{name}/")
        finally:
            os.close(from_here)
            os.close(to_here)
        _finish(os.stat(name, dir_fd=copied, follow_symlinks=False), original, name)
    elif _mark(name, copied) != _mark(name, original):
        delete(name, original)
        copy(name, copied, original, name)


def _mark(name: str, above: int) -> tuple[int, ...]:
    """Give what tells a file that was changed from one that was not; empty if there is none."""
    try:
        found = os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return ()
    return found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns


def _is_directory(name: str, above: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def delete(name: str, above: int) -> None:
    """Delete ``name`` below ``above`` with all that is in it, following no link; nothing there is no error."""
    if not _is_directory(name, above):
        try:
            os.unlink(name, dir_fd=above)
        except FileNotFoundError:
            pass
        return
    inner = open_directory(name, above)
    try:
        empty(inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=above)


def empty(directory: int) -> None:
    """Delete all that is in ``directory``.

    What lies deeper is moved up here first: a command can make directories deeper than descriptors, or calls, go.
    """
    while names := os.listdir(directory):
        for name in names:
            if not _is_directory(name, directory):
                os.unlink(name, dir_fd=directory)
                continue
            inner = open_directory(name, directory)
            for deeper in os.listdir(inner):
                os.rename(deeper, os.urandom(8).hex(), src_dir_fd=inner, dst_dir_fd=directory)
            os.close(inner)
            os.rmdir(name, dir_fd=directory)
