"""ADD of an archive: its members on their way into a tree, as moby's go-archive ``Unpack`` takes them.

Links are followed as if the destination were the root, so that nothing leaves it; members replace what is in their
way, of whatever kind.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from dockersim.errors import BuildError
from dockersim.filesystem.entry import Entry, Kind, LayerEntry, Opaque, Whiteout
from dockersim.filesystem.making import Making, joined
from dockersim.filesystem.tree import Node, find, resolve


class Unpacking:
    """One archive that is unpacked into the directory ``root``; ``owner``, if given, owns all of it."""

    def __init__(self, making: Making, root: str, owner: tuple[int, int] | None, origin: object) -> None:
        self._making = making
        self._root = root
        self._owner = owner
        self._origin = origin

    def unpack(self, archive: Iterable[LayerEntry]) -> None:
        """Put every member in its place. Raises BuildError, in the words of the system call, where there is none."""
        folders: dict[str, int] = {}
        for member in _as_linked(archive):
            if not isinstance(member, Entry):
                self._unpack_mark(member)
                continue
            path = self._unpack_entry(member)
            if member.kind is Kind.DIRECTORY and path != self._root:
                folders[path] = member.mtime_ns
        for path, time in folders.items():
            # What was put into a directory has moved its time; an archive's directory gets its own back.
            node = self._making.find(path)
            if node is not None and node.children is not None:
                self._making.set_time(path, time)

    def _unpack_entry(self, member: Entry) -> str:
        path = joined(self._root, self._inside(member.path))
        if path == self._root:
            return path  # the archive's "./" says nothing about a directory that is there
        folder = path.rpartition("/")[0]
        node = self._making.find(folder)
        if node is None or node.children is None:
            self._check_above(member)
            self._making.make_directories(folder, Entry("", Kind.DIRECTORY, 0o755, mtime_ns=self._making.now_ns))
        uid, gid = self._owner or (member.uid, member.gid)
        link = member.link
        if member.kind is Kind.HARDLINK:
            link = self._existing_file(member)
            if link in self._making.sources:
                self._making.sources[path] = self._making.sources[link]
        self._making.draft.add(replace(member, path=path, uid=uid, gid=gid, link=link, data=None))
        self._making.touch(folder)
        if member.kind is Kind.FILE:
            self._making.sources[path] = (Node(member), self._origin)
        return path

    def _unpack_mark(self, mark: Whiteout | Opaque) -> None:
        """Put a file in the place of a whiteout: it has its place in the layer, and hides nothing in this one."""
        folder, _, hidden = mark.path.rpartition("/")
        name = f".wh.{hidden}"
        if isinstance(mark, Opaque):
            folder, name = mark.path, ".wh..wh..opq"
        # Deviation: to later steps of the same build BuildKit shows the whiteout of an archive as a file, and what it
        # hides as well; here that is hidden at once, as it is in the image.
        path = self._unpack_entry(Entry(joined(folder, name), Kind.FILE))
        above = path.rpartition("/")[0]
        self._making.marks[path] = replace(mark, path=above if isinstance(mark, Opaque) else joined(above, hidden))

    def _check_above(self, member: Entry) -> None:
        """Raise BuildError where the member is below a file, or below a link that leads nowhere."""
        base = self._making.find(self._root) or self._making.draft.root
        names = member.path.split("/")[:-1]
        for depth in range(1, len(names) + 1):
            above = "/".join(names[:depth])
            node = find(base, resolve(base, above) or "")
            if node is None and find(base, self._inside(above)) is None:
                return  # it will be made
            if node is None or node.children is None:
                problem = _no_place(member, above, dangling=node is None)
                raise BuildError(problem, hint="the archive is at odds with itself")

    def _existing_file(self, member: Entry) -> str:
        """Find the file that a hard link of an archive is a further name of."""
        path = joined(self._root, self._inside(member.link))
        node = self._making.find(path)
        if node is None or node.children is not None or path in self._making.marks:
            reason = "operation not permitted" if node and node.children is not None else "no such file or directory"
            raise BuildError(f"link /{member.link} /{member.path}: {reason}", hint="a hard link needs its file")
        return path

    def _inside(self, path: str) -> str:
        """Follow the links above the last part of ``path`` as if the directory ``root`` were the root."""
        base = self._making.find(self._root)
        real = resolve(base, path, follow_last=False) if base is not None else None
        if real is None:
            raise BuildError(f"{path}: too many levels of symbolic links")
        return real


def _no_place(member: Entry, above: str, *, dangling: bool) -> str:
    """Say in the words of the system call that fails why nothing can be made below ``above``."""
    if member.path.rpartition("/")[0] != above:
        return f"mkdir /{above}: {'file exists' if dangling else 'not a directory'}"
    call = "mkdir" if member.kind is Kind.DIRECTORY else "open"
    return f"{call} /{member.path}: {'no such file or directory' if dangling else 'not a directory'}"


def _as_linked(archive: Iterable[LayerEntry]) -> list[LayerEntry]:
    """Give each file the mode, owner and time of its last hard link: unpacking sets them again for each name."""
    members = list(archive)
    places: dict[str, int] = {}
    for place, member in enumerate(members):
        if isinstance(member, Entry) and member.kind is Kind.FILE:
            places[member.path] = place
        elif isinstance(member, Entry) and member.kind is Kind.HARDLINK and member.link in places:
            first = places[member.path] = places[member.link]
            changes = {"mode": member.mode, "uid": member.uid, "gid": member.gid, "mtime_ns": member.mtime_ns}
            members[first] = replace(members[first], **changes)
    return members
