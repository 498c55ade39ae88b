"""ADD of an archive: its members on their way into a tree, as moby's go-archive ``Unpack`` takes them.

Links are followed as if the destination were the root, so that nothing leaves it; members replace what is in their
way, of whatever kind.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from dockersim.errors import BuildError
from dockersim.filesystem.entry import Entry, Kind, LayerEntry, Opaque, Whiteout
from dockersim.filesystem.making import Making, joined
from dockersim.filesystem.tree import Inode, Node, find, resolve


class _Linked(Struct):
    """The names of one file that an archive has made or linked to, and the last of its hard links."""

    names: list[str]
    last: Entry | None = None


class Unpacking:
    """One archive that is unpacked into the directory ``root``; ``owner``, if given, owns all of it."""

    def __init__(self, making: Making, root: str, owner: tuple[int, int] | None, origin: object) -> None:
        self._making = making
        self._root = root
        self._owner = owner
        self._origin = origin
        self._linked: dict[Inode, _Linked] = {}

    def unpack(self, archive: Iterable[LayerEntry]) -> None:
        """Put every member in its place. Raises BuildError, in the words of the system call, where there is none."""
        folders: dict[str, int] = {}
        for member in archive:
            if not isinstance(member, Entry):
                self._unpack_mark(member)
                continue
            path = self._unpack_entry(member)
            if member.kind is Kind.DIRECTORY and path != self._root:
                folders[path] = member.mtime_ns
        for inode, linked in self._linked.items():
            self._set_all_names(inode, linked)
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
        if member.kind is Kind.HARDLINK:
            self._note_link(path, link, replace(member, uid=uid, gid=gid))
        return path

    def _note_link(self, path: str, target: str, member: Entry) -> None:
        """Note two names of one file; unpacking sets its owner, mode and time again for each, so that the last count.

        Of the names that it has in lower layers only ``target`` is meant: an overlay copies one name up.
        """
        node = self._making.find(path)
        assert node is not None and node.inode is not None, "it was made just now"
        linked = self._linked.setdefault(node.inode, _Linked([target]))
        linked.names.append(path)
        linked.last = member

    def _set_all_names(self, inode: Inode, linked: _Linked) -> None:
        """Give a file what its last hard link says, under those of its names that are still there."""
        nodes = [(path, node) for path in linked.names if (node := self._making.find(path)) and node.inode is inode]
        if not nodes or linked.last is None:
            return
        first, node = nodes[0]
        entry = replace(node.entry, uid=linked.last.uid, gid=linked.last.gid)
        if entry.kind is not Kind.SYMLINK:
            entry = replace(entry, mode=linked.last.mode, mtime_ns=linked.last.mtime_ns)
        if entry == node.entry:
            return
        source = self._making.sources.get(first, (node, None))
        self._making.draft.add(entry)
        for path, _ in nodes[1:]:
            self._making.draft.add(replace(linked.last, path=path, link=first, data=None))
        if entry.kind is Kind.FILE:
            self._making.sources |= dict.fromkeys((path for path, _ in nodes), source)

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
