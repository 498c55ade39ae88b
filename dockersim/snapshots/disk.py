"""What a layer's entries look like on this disk: making them, and reading them back.

Root's disk can hold everything an entry says. An ordinary user's cannot: files belong to the user whatever
the entry says, and device nodes cannot be made, so an empty file holds their place. What is true then stands
in the layer's index, which is why reading back takes the ``Entry`` that was there before.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from typing import BinaryIO, Protocol

from msgspec.structs import replace

from dockersim.digest import DiffID, Digest
from dockersim.errors import ContentError, StoreError
from dockersim.filesystem import Entry, Kind
from dockersim.sandbox.owners import can_own

CHUNK = 1 << 20
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_SIZE_WITH_USER, _CAPABILITIES_WITHOUT_USER = 24, 2
KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
}
"""What scanning finds; sockets are left out, as in containerd: a socket file without its program means
nothing."""


class TarSource(Protocol):
    """Where contents come from when layers are laid out."""

    def open_tar(self, diff_id: DiffID) -> BinaryIO:
        """Open the layer's uncompressed tar."""


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn the system's errors into ours, with what can be done about a full disk."""
    try:
        yield
    except OSError as error:
        hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise StoreError(f"{doing}: {error.strerror or error}: {error.filename or ''}", hint=hint) from error


class Contents:
    """Opens each layer's tar once, and copies file contents out of it."""

    def __init__(self, source: TarSource) -> None:
        self._source = source
        self._open: dict[DiffID, BinaryIO] = {}

    def copy(self, layer: DiffID, entry: Entry, descriptor: int) -> None:
        """Write the content of a FILE of ``layer`` into an open file."""
        if not entry.size:
            return
        if entry.data is None:
            raise ContentError(f"/{entry.path}: where its content stands in the layer is not known")
        tar = self._open.get(layer)
        if tar is None:
            tar = self._open[layer] = self._source.open_tar(layer)
        done = _copy_in_kernel(tar, entry, descriptor) if entry.size > CHUNK else 0
        tar.seek(entry.data + done)
        left = entry.size - done
        while left:
            data = tar.read(min(left, CHUNK))
            if not data:
                raise ContentError(f"layer {layer} is cut off in /{entry.path}", hint="pull or build it again")
            left -= len(data)
            while data:
                data = data[os.write(descriptor, data) :]

    def close(self) -> None:
        """Close the tars."""
        for tar in self._open.values():
            tar.close()
        self._open.clear()


class Disk:
    """Makes entries below a directory, one by one, and reads them back.

    ``privileged`` says that the disk can hold owners and all attributes, and ``devices`` that it shall hold devices:
    not where nothing keeps an image's own from being opened. ``keep_usable`` gives the owner all rights to what is
    made, for a root file system that is used by an ordinary user without a namespace. Paths must be free of links:
    they come from a Tree, never from an archive.
    """

    def __init__(self, *, privileged: bool, devices: bool | None = None, keep_usable: bool = False) -> None:
        self.privileged = privileged
        self._devices = privileged if devices is None else devices
        self._keep_usable = keep_usable

    def mode_on_disk(self, entry: Entry) -> int:
        """Return the permission bits a path gets here."""
        if not self._keep_usable:
            return entry.mode
        return entry.mode | (0o700 if entry.kind is Kind.DIRECTORY else 0o600)

    def make_file(self, path: str, entry: Entry, layer: DiffID | None, contents: Contents) -> None:
        """Make a regular file with its content, mode, owner, attributes and time."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            if layer is not None and entry.kind is Kind.FILE:
                contents.copy(layer, entry, descriptor)
            self.finish(descriptor, entry)
        finally:
            os.close(descriptor)

    def make(self, path: str, entry: Entry, layer: DiffID | None, contents: Contents) -> None:
        """Make anything but a directory; nothing stands at ``path`` yet."""
        if entry.kind is Kind.SYMLINK:
            os.symlink(entry.link, path)
            if self.privileged:
                os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
            if os.utime in os.supports_follow_symlinks:  # not on Windows, where a link keeps the time of its making
                os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)
        elif entry.kind is Kind.FILE or not self._can_make(entry.kind):
            self.make_file(path, entry, layer, contents)
        else:
            bits = {Kind.FIFO: stat.S_IFIFO, Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK}[entry.kind]
            os.mknod(path, bits | 0o600, os.makedev(*(entry.device or (0, 0))))
            self.finish(path, entry)

    def _can_make(self, special: Kind) -> bool:
        return hasattr(os, "mkfifo") if special is Kind.FIFO else self._devices

    def finish(self, where: str | int, entry: Entry) -> None:
        """Give a file or directory that is none of a link its owner, mode, attributes and time, in that
        order."""
        if self.privileged:
            os.chown(where, entry.uid, entry.gid)  # takes set-uid away, so the mode comes after it
            # Deviation: containerd sets every attribute that a layer names; here those of the host's policies (SELinux,
            # ACLs) and those that overlayfs keeps for itself are left out: a layer could redirect directories by them.
            for name, value in entry.xattrs:
                if _belongs_to_file(name):
                    self._set_attribute(where, name, value)
        os.chmod(where, self.mode_on_disk(entry))
        os.utime(where, ns=(entry.mtime_ns, entry.mtime_ns))

    def _set_attribute(self, where: str | int, name: str, value: bytes) -> None:
        try:
            os.setxattr(where, name, value)
        except OSError as error:
            if error.errno != errno.ENOTSUP:  # a file system without attributes; containerd goes on too
                raise

    def read(
        self, path: str, name: str, status: os.stat_result, before: Entry | None, owner: tuple[int, int] = (0, 0)
    ) -> Entry | None:
        """Tell what stands at ``name`` below the root, at ``path`` on disk; None for a socket.

        ``before`` is what stood there before, which knows the owner, and the mode that the disk could not
        hold. ``owner`` is the uid and gid of something new.
        """
        kind = KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return None
        entry = Entry(
            name,
            kind,
            stat.S_IMODE(status.st_mode) if kind is not Kind.SYMLINK else 0o777,
            status.st_uid,
            status.st_gid,
            status.st_size if kind is Kind.FILE else 0,
            status.st_mtime_ns,
            os.readlink(path) if kind is Kind.SYMLINK else "",
            device=(os.major(status.st_rdev), os.minor(status.st_rdev))
            if kind in (Kind.CHARACTER, Kind.BLOCK)
            else None,
            xattrs=self._attributes(path) if kind in (Kind.FILE, Kind.DIRECTORY) else (),
        )
        if before is not None and before.device is not None and _may_stand_for(entry, before):
            entry = replace(entry, kind=before.kind, device=before.device)
        return entry if self.privileged else self._as_known(entry, before, owner)

    def _as_known(self, entry: Entry, before: Entry | None, owner: tuple[int, int]) -> Entry:
        """Put in what an ordinary user's disk cannot hold: the owner, forced rights, attributes."""
        entry = replace(entry, xattrs=tuple((name, _without_user(name, value)) for name, value in entry.xattrs))
        if before is None:
            return replace(entry, uid=owner[0], gid=owner[1])
        mode, xattrs = entry.mode, entry.xattrs
        if before.kind is entry.kind:
            if mode == self.mode_on_disk(before):
                mode = before.mode
            xattrs = tuple(sorted({**dict(before.xattrs), **dict(xattrs)}.items()))
        return replace(entry, uid=before.uid, gid=before.gid, mode=mode, xattrs=xattrs)

    def _attributes(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """Read the extended attributes that belong to the file, not to overlayfs or to the host's
        policies."""
        try:
            names = os.listxattr(path, follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.ENOTSUP, errno.EACCES):
                return ()
            raise
        kept = sorted(name for name in names if _belongs_to_file(name))
        return tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in kept)


def _copy_in_kernel(tar: BinaryIO, entry: Entry, descriptor: int) -> int:
    """Let the kernel copy a large content from file to file; return how many bytes it did, perhaps none."""
    done, start = 0, entry.data or 0
    try:
        source = tar.fileno()
        while done < entry.size:
            count = os.copy_file_range(source, descriptor, entry.size - done, start + done)
            if not count:
                break
            done += count
    except (OSError, AttributeError):
        pass  # a tar in memory, two file systems, or no Linux: it is copied by hand
    return done


def _may_stand_for(entry: Entry, before: Entry) -> bool:
    """Tell whether a file holds the place of a device: it is as empty, and as old, as it was made."""
    return entry.kind is Kind.FILE and not entry.size and entry.mtime_ns == before.mtime_ns


def _without_user(name: str, value: bytes) -> bytes:
    """Read a file's capabilities without the user in whose namespace they were set (vfs_ns_cap_data, version 3).

    Root's are stored without one (version 2), and so they are in a layer (capabilities(7)).
    """
    if name != "security.capability" or len(value) != _SIZE_WITH_USER:
        return value
    return bytes((*value[:3], _CAPABILITIES_WITHOUT_USER, *value[4:-4]))


def _belongs_to_file(name: str) -> bool:
    if name == "security.capability":
        return True
    return name.startswith("user.") and not name.startswith("user.overlay.")


def hash_file(path: str) -> Digest:
    """Hash a file's content."""
    with open_file(path) as file:
        return Digest("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())


def open_file(path: str) -> FileIO:
    """Open a file to read, never through a link; what its owner may not read is made readable while it is
    opened."""
    flags = os.O_RDONLY | os.O_NOFOLLOW
    try:
        return FileIO(os.open(path, flags), "rb")
    except PermissionError:
        with usable(path):
            return FileIO(os.open(path, flags), "rb")


@contextmanager
def usable(path: str) -> Iterator[None]:
    """Give the owner all rights to a file or directory for a moment."""
    mode = stat.S_IMODE(os.stat(path, follow_symlinks=False).st_mode)
    os.chmod(path, mode | 0o700)
    try:
        yield
    finally:
        os.chmod(path, mode)


def try_rename(path: str, new_path: str, folder: int | None = None, new_folder: int | None = None) -> bool:
    """Rename a directory, in open folders if these are given; False where it lies in a lower layer of an overlay.

    So do all that an image or a course brings with it, and overlayfs renames none of them (overlayfs.rst, "renaming
    directories").
    """
    try:
        os.rename(path, new_path, src_dir_fd=folder, dst_dir_fd=new_folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


def delete(path: str) -> None:
    """Delete a file, or a directory with all that is in it, following no link; nothing there is no error.

    Another process may be deleting it at the same time.
    """
    attempts = 10
    while os.path.lexists(path):
        attempts -= 1
        try:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                os.unlink(path)
            elif os.rename in os.supports_dir_fd:
                _delete_folder(path)
            else:
                shutil.rmtree(path)  # Windows
        except FileNotFoundError:
            continue  # the other one was quicker with a part of it
        except OSError as error:
            # Who looked for the lock just now has made one; but on NFS an open file comes back for ever.
            if error.errno != errno.ENOTEMPTY or attempts <= 0:
                raise


def delete_surely(path: str) -> None:
    """Delete like ``delete``; a Ctrl-C meanwhile does not stop it, and is raised when all is gone."""
    try:
        delete(path)
    except KeyboardInterrupt:
        delete(path)
        raise


def _delete_folder(path: str) -> None:
    """Delete a directory, however deep it is: what is in its directories is moved up to it, one after the other.

    An image may hold a path of two thousand parts, and a command makes deeper ones: no recursion gets to their end.
    """
    if not can_own():
        os.chmod(path, 0o700)
    top = os.open(path, _FOLDER)
    try:
        waiting, mark = _delete_files(top), secrets.token_hex(8)
        for count in itertools.count():
            if not waiting:
                break
            name = waiting.pop()
            inner = _take_out(name, top, f"{mark}-{count}")
            if any(path.startswith(f"{name}/") for path in inner):
                waiting.append(name)  # its turn comes again when what could not be moved is gone
            else:
                os.rmdir(name, dir_fd=top)
            waiting += inner
    finally:
        os.close(top)
    os.rmdir(path)


def _take_out(name: str, top: int, mark: str) -> list[str]:
    """Delete the files of one directory below ``top`` and move its directories up; return where those are then."""
    folder = os.open(name, _FOLDER, dir_fd=top)
    try:
        return [
            f"{mark}-{number}" if try_rename(inner, f"{mark}-{number}", folder, top) else f"{name}/{inner}"
            for number, inner in enumerate(_delete_files(folder))
        ]
    finally:
        os.close(folder)


def _delete_files(folder: int) -> list[str]:
    """Delete everything in an open directory but its directories; return their names."""
    with os.scandir(folder) as found:
        items = [(item.name, item.is_dir(follow_symlinks=False)) for item in found]
    for name, is_folder in items:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
        elif not can_own():
            os.chmod(name, 0o700, dir_fd=folder)  # an ordinary user may have made it so that he may not write there
    return [name for name, is_folder in items if is_folder]
