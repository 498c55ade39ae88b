"""The ownership ledger: who owns a file, where the disk cannot say so.

An ordinary user owns all that lies on his disk. Who would own it in an image comes from three places: the layers below
know it of what was there before (``Entry``); a RUN that gave a file away has had that written down (``Recorded``); and
what is new belongs to who ran. A RUN sees all files as one user's. When it gives a file to that user where another
stood before, it has most likely written the old one anew, as `sed -i` and `adduser` do, and means the old one's owner.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from dockersim.filesystem import Entry, Kind
from dockersim.sandbox.contract import Recorded

_CAPABILITIES = "security.capability"
_NODES = {stat.S_IFCHR: Kind.CHARACTER, stat.S_IFBLK: Kind.BLOCK}


class Ledger(Struct, frozen=True):
    """What is known of one process's run: who it was, when it ``began``, and what it ``recorded``, by inode."""

    uid: int = 0
    gid: int = 0
    recorded: Mapping[int, Recorded] = field(default_factory=dict)
    began_ns: int = 0

    def corrected(self, entry: Entry, path: str, status: os.stat_result, *, stood_before: bool) -> Entry:
        """Return ``entry``, which was read from ``path`` on disk, with what was recorded of it.

        ``stood_before`` says that something stood there, whose owner ``entry`` has.
        """
        found = self.recorded.get(status.st_ino)
        if found is None or not _is_it(found, path):
            return entry
        # Deviation: in an ordinary user's namespace, what a RUN makes anew, or moves, to where another user's file was
        # (tar, dpkg, `rm f; echo > f`, `mv`) stays the other user's; what `mv` of a directory or `cp -p` copies loses
        # its owner. What `sed -i` writes anew is whose it was before the RUN, even if that has given it away meanwhile,
        # and root's if the RUN has made it.
        keeps = found.copied and stood_before
        entry = replace(
            entry,
            uid=entry.uid if keeps or found.uid is None else found.uid,
            gid=entry.gid if keeps or found.gid is None else found.gid,
            xattrs=tuple(pair for pair in entry.xattrs if pair[0] != _CAPABILITIES or _has_capabilities(path)),
        )
        if found.device is None or entry.kind is not Kind.FILE:
            return entry
        kind, major, minor = found.device
        return replace(entry, kind=_NODES[kind], size=0, digest=None, device=(major, minor), xattrs=())


NOTHING_RECORDED = Ledger()
"""Of a process of root's that changed no owner, and of every process where the disk can hold them."""


def _has_capabilities(path: str) -> bool:
    """Tell whether a file that was given away has capabilities from after that: a chown takes those from before."""
    try:
        return bool(os.getxattr(path, _CAPABILITIES, follow_symlinks=False))
    except OSError:
        return False


def _is_it(found: Recorded, path: str) -> bool:
    """Tell whether ``path`` is the file that was recorded, and no later one that has got its inode."""
    from dockersim.sandbox.inside.kernel import AT_FDCWD, file_handle  # brings ctypes, which few builds need

    return file_handle(AT_FDCWD, path.encode("utf-8", "surrogateescape")) == found.handle
