"""Write down who would own a file, and which devices would be there, if the learner were root.

In an ordinary user's namespace one user exists, so nothing can be given away. The calls that try are heard here
(``notify``): what they mean is found (``caller``), written down, and the answer is what root would have got. All that
really happens is that the owner of the file is set to who it is, so that what comes of a chown besides does come of
it; and that an empty file holds the place of a device. What was written down goes to the snapshotter with the news
that the command has ended.

A RUN is not told what it, or one before it, has given away: to ``stat`` every file belongs to the one user. A filter is
put in place before the command begins and cannot be widened from outside, so every stat would have to be heard, from
the first; one that is takes some 90 µs instead of 1, and a mere ``pip list`` does six thousand of them.

So a program that writes a file anew, and has asked ``stat`` whom the old one belongs to (`sed -i`, `adduser` with
/etc/shadow), gives the new one to the one user, by its descriptor. Such a row is marked as ``copied``: whoever stood at
that path before, whom only the snapshotter knows, is to keep it.
"""

from __future__ import annotations

import errno
import os
import stat

from . import kernel, notify, seccomp
from .caller import Caller, CannotLook

TYPE_CHECKING = False  # not from typing: importing that takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

_SAME = 0xFFFFFFFF  # -1: this one is to stay
_MOST_FILES = 500_000  # some 150 MB; the largest images have a third as many
_NO_NUMBER = 0x7FFFFFFF
_WHITEOUT = 0  # the device number that overlayfs keeps for itself


def hear(end: notify.Socket, spec: dict[str, Any], disk: str) -> Ledger | None:
    """Begin a ledger with the descriptor that the command sends to ``end``; None if it has none to send."""
    listener, note = notify.take_over(end)
    end.close()
    if listener < 0:
        return None
    os.umask(0)  # which rights a device gets is a question of the caller's
    return Ledger(spec, listener, int.from_bytes(note, "little"), disk)


class Ledger:
    """What was asked for in one container, heard on ``listener``.

    ``device`` is the number of its root file system and ``disk`` where that lies for the snapshotter: the upper
    directory of an overlay, or the plain directory. ``spec`` says who runs in it.
    """

    def __init__(self, spec: dict[str, Any], listener: int, device: int, disk: str) -> None:
        self.listener = listener
        self._device = device
        self._disk = os.open(disk, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._user = spec["uid"]
        self._groups = (spec["gid"], *spec["groups"])
        self._calls = seccomp.RECORDED[os.uname().machine]
        self._rows: dict[int, tuple[bytes, int, int, int, int, bool]] = {}
        self.is_complete = True

    def rows(self) -> list[tuple[int, bytes, int, int, int, int, bool]]:
        """List (inode, handle, uid, gid, kind, device, copied); uid and gid are -1 for what was not asked for.

        ``kind`` is S_IFCHR or S_IFBLK of a device and 0 of anything else.
        """
        return [(inode, *row) for inode, row in self._rows.items()]

    def serve(self) -> None:
        """Answer the next call that waits."""
        call = notify.receive(self.listener)
        if call is None:
            return
        error = 0
        try:
            self._do(call)
        except CannotLook:  # nor can who has been killed meanwhile be looked at
            self.is_complete = self.is_complete and not notify.still_waits(self.listener, call)
        except OSError as failure:
            error = failure.errno or errno.EIO
        notify.answer(self.listener, call, error)

    def _do(self, call: notify.Call) -> None:
        name, caller, arguments = self._calls[call.number], Caller(call.pid), call.arguments
        if name in ("mknod", "mknodat"):
            directory = _signed(arguments.pop(0)) if name == "mknodat" else kernel.AT_FDCWD
            self._make_node(call, caller, directory, caller.text(arguments[0]))
            return
        found = _find(caller, name, arguments)
        if found < 0:
            return
        try:
            if notify.still_waits(self.listener, call):
                uid, gid = arguments[2:4] if name == "fchownat" else arguments[1:3]
                if caller.name() == b"chgrp":
                    uid = _SAME  # busybox's gives the owner that it sees, too
                seen = (uid & _SAME, gid & _SAME) == (self._user, self._groups[0])
                self._change_owner(found, uid & _SAME, gid & _SAME, copied=seen and name == "fchown")
        finally:
            os.close(found)

    def _change_owner(self, found: int, uid: int, gid: int, *, copied: bool) -> None:
        """Do as chown does: root may give to anybody, anyone else only to a group of his own."""
        if self._user and not (uid in (_SAME, self._user) and gid in (_SAME, *self._groups)):
            raise PermissionError(errno.EPERM, "only root gives files away")
        status = os.fstat(found)
        if status.st_dev != self._device or stat.S_ISSOCK(status.st_mode):
            return  # /dev, /proc, a pipe, a cache mount: nothing of it gets into the image
        kernel.chown_to_the_same(found)
        # Deviation: who is not root may "take" a file that is not his, where docker refuses; nothing comes of it.
        uid, gid = -1 if uid == _SAME or self._user else uid, -1 if gid == _SAME else gid
        self._write_down(found, uid, gid, copied=copied)

    def _make_node(self, call: notify.Call, caller: Caller, directory: int, path: bytes) -> None:
        """Put an empty file where a device is asked for. A link that is there already is not followed, as by mknod."""
        mode, device = call.arguments[1] & 0o177777, call.arguments[2] & _SAME
        if self._user or (stat.S_ISCHR(mode) and device == _WHITEOUT):
            raise PermissionError(errno.EPERM, "only root makes devices")
        parent, _, name = path.rpartition(b"/")
        above = caller.open_path(directory, parent + b"/" if b"/" in path else b".", os.O_DIRECTORY)
        try:
            rights = mode & 0o7777 & ~caller.umask()
            if not notify.still_waits(self.listener, call):
                return
            os.mknod(name, stat.S_IFREG | rights, dir_fd=above)
            made = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        finally:
            os.close(above)
        try:
            if os.fstat(made).st_dev == self._device:
                self._write_down(made, -1, -1, stat.S_IFMT(mode), device)
        finally:
            os.close(made)

    def _write_down(
        self, found: int, uid: int, gid: int, kind: int = 0, device: int = 0, *, copied: bool = False
    ) -> None:
        """Note it for the inode on disk, which is another one than an overlay shows."""
        place = os.readlink(b"/proc/self/fd/%d" % found).lstrip(b"/") or b"."
        try:
            flags, resolve = os.O_PATH | os.O_NOFOLLOW, kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS
            real = kernel.open_below(self._disk, place, flags, resolve)
        except OSError:  # it has been deleted, or moved just now by somebody else
            return
        try:
            inode, handle = os.fstat(real).st_ino, kernel.file_handle(real)
        finally:
            os.close(real)
        known = self._rows.get(inode)
        if known is None and len(self._rows) >= _MOST_FILES:
            raise OSError(errno.EDQUOT, "too many owners")
        if known is not None and known[0] == handle:
            uid, gid = (old if new < 0 else new for old, new in zip(known[1:3], (uid, gid), strict=True))
            kind, device = (kind, device) if kind else known[3:5]
            copied = copied and known[5]
        self._rows[inode] = (handle, uid, gid, kind, device, copied)


def _find(caller: Caller, name: str, arguments: list[int]) -> int:
    """Open the file that is to be given away; -1 for none that could get into an image."""
    if name == "fchown":
        number = _signed(arguments[0])
        return caller.open_number(number if number >= 0 else _NO_NUMBER)
    if name != "fchownat":
        flags = os.O_NOFOLLOW if name == "lchown" else 0
        return caller.open_path(kernel.AT_FDCWD, caller.text(arguments[0]), flags)
    directory, flags = _signed(arguments[0]), arguments[4] & _SAME
    if flags & ~(kernel.AT_SYMLINK_NOFOLLOW | kernel.AT_EMPTY_PATH):
        raise OSError(errno.EINVAL, "unknown flags")
    path = caller.text(arguments[1])
    if not path and flags & kernel.AT_EMPTY_PATH:
        return caller.open_number(directory)
    return caller.open_path(directory, path, os.O_NOFOLLOW if flags & kernel.AT_SYMLINK_NOFOLLOW else 0)


def _signed(argument: int) -> int:
    """Read a C int from the register that it came in."""
    return ((argument & _SAME) ^ 0x80000000) - 0x80000000
