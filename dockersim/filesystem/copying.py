"""COPY, ADD and WORKDIR as arithmetic on a tree: what a layer gets when files are put into a file system.

Nothing is mounted and nothing is written: from the tree below and the files that are copied follows which
entries the layer has, and for each file where its content comes from. So COPY needs no rights and no
snapshot, and what it will do can be told before it is done. The rules are those of BuildKit's
solver/llbsolver/file/backend.go and of tonistiigi/fsutil/copy, which it uses.

>>> below = Tree.EMPTY.apply([Entry("app", Kind.SYMLINK, link="srv/app")])
>>> file = Node(Entry("src/app.py", Kind.FILE, 0o600, size=3))
>>> copying = Copying(below, "/app/", CopyRules(now_ns=5))
>>> copying.add(Source("src/app.py", file))
>>> [(copied.entry.path, copied.entry.mode) for copied in copying.layer()]
[('srv', 493), ('srv/app', 493), ('srv/app/app.py', 384)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from dockersim.errors import BuildError
from dockersim.filesystem.chmod import Chmod
from dockersim.filesystem.entry import Entry, Kind, LayerEntry
from dockersim.filesystem.making import Copied, Making, joined
from dockersim.filesystem.tree import Inode, Node, Tree, sorted_children
from dockersim.filesystem.unpacking import Unpacking

Owner: TypeAlias = tuple[int, int]
"""A uid and a gid."""


class CopyRules(Struct, frozen=True):
    """How files are put into a tree: the flags of COPY and ADD, and the time at which it is done.

    ``owner`` is None without --chown. ``excluded`` tells of a path below a copied directory whether --exclude
    names it. ``link`` (--link) writes the layer as if there were nothing below it.
    """

    now_ns: int
    owner: Owner | None = None
    chmod: Chmod | None = None
    link: bool = False
    excluded: Callable[[str], bool] | None = None


class Source(Struct, frozen=True):
    """One file or directory to copy.

    ``name`` is the path by which it was found, whose last part is its new name; ``node`` is what stands
    there, links followed; files need their digest. With --parents ``parents`` are the directories above it
    that are to be kept, the highest first (perhaps none), else it is None; ``base`` is the one they lie in.
    ``origin`` is whatever the caller needs to find the content again; it comes back in ``Copied``.
    """

    name: str
    node: Node
    parents: tuple[Entry, ...] | None = None
    origin: object = None
    base: Entry | None = None

    @property
    def below(self) -> str:
        """What --exclude goes by: the path below the base, or nothing for what is named without --parents."""
        if self.parents is None:
            return ""
        return "/".join([*(parent.path for parent in self.parents), self.name.rpartition("/")[2]])


class Copying:
    """One COPY or ADD in the making: sources are put in one after the other, then the layer is asked for."""

    def __init__(self, tree: Tree, destination: str, rules: CopyRules) -> None:
        self._making = Making(Tree.EMPTY if rules.link else tree, rules.now_ns)
        self._destination = destination
        self._rules = rules
        mode = rules.chmod.made_mode if rules.chmod else 0o755
        self._made = Entry("", Kind.DIRECTORY, mode, *(rules.owner or (0, 0)), mtime_ns=rules.now_ns)
        self._first_names: dict[Inode, str] = {}

    def add(self, source: Source) -> None:
        """Copy one source to the destination. Raises BuildError where something of another kind is in the
        way.

        A destination that ends with a slash is a directory, and is made. A directory's content goes into the
        destination; a file gets a new name, or goes below the destination if that is a directory.
        """
        self._first_names.clear()  # files of two sources are never names of one file
        if source.parents is None or self._takes_any(source):
            self._add(source)
        if source.base is not None and source.base.path:
            # BuildKit copies the directory at the pivot, less what was not asked for: that gives its time, too.
            self._making.set_time(self._making.resolved(self._destination), source.base.mtime_ns)

    def _takes_any(self, source: Source) -> bool:
        """Say whether --exclude leaves anything of the source: else its parents are not made either."""
        excluded = self._rules.excluded
        waiting = [_Place(source.node, source.below, "", None)]
        while waiting:
            place = waiting.pop()
            if excluded is None or not excluded(place.below):
                return True
            waiting += [
                _Place(child, f"{place.below}/{node_name(child)}", "", None) for child in sorted_children(place.node)
            ]
        return False

    def _add(self, source: Source) -> None:
        target = self._target(source)
        if source.node.children is not None:
            self._copy_directory(source, target)
            return
        folder = target.rpartition("/")[0]
        self._making.make_directories(folder, self._made)
        self._put(source.node, target, source.origin)
        self._making.touch(folder)

    def unpack(self, archive: Iterable[LayerEntry], origin: object = None) -> None:
        """Unpack an archive below the destination, which is made if it is missing.

        Owners, modes and times are the archive's; only --chown changes them.
        """
        root = self._making.resolved(self._destination)
        self._making.make_directories(root, replace(self._made, mode=0o755))
        Unpacking(self._making, root, self._rules.owner, origin).unpack(archive)

    def make_destination(self) -> None:
        """Make the destination a directory if it is none, and those above it."""
        self._making.make_directories(self._making.resolved(self._destination), self._made)

    def layer(self) -> tuple[Copied, ...]:
        """List what the layer has, in its order, with where the content of each file comes from."""
        return self._making.layer()

    # ---------------------------------------------------------------- where things go

    def _target(self, source: Source) -> str:
        """Find the path a source gets, and make the directories the destination asks for."""
        destination = self._making.resolved(self._destination)
        if source.parents is not None or self._destination.endswith("/"):
            self._making.make_directories(destination, self._made)
        if source.parents is not None:
            for parent in source.parents:
                destination = self._keep_parent(parent, destination)
            return joined(destination, source.name.rpartition("/")[2])
        node = self._making.find(destination)
        is_directory = node is not None and node.children is not None
        if is_directory and source.node.children is None:
            return joined(destination, source.name.rpartition("/")[2])
        return destination

    def _keep_parent(self, parent: Entry, above: str) -> str:
        """Make one directory that --parents keeps, with the mode and owner it has at the source."""
        path = joined(above, parent.path.rpartition("/")[2])
        node = self._making.find(path)
        if node is None:
            self._making.draft.add(self._written(parent, path, self._making.now_ns))
            self._making.touch(above)
        elif node.children is None:
            raise BuildError(f"cannot copy to non-directory: /{path}")
        else:
            self._making.draft.add(replace(node.entry, mode=parent.mode))
        return path

    # ---------------------------------------------------------------- what is put there

    def _copy_directory(self, source: Source, target: str) -> None:
        """Copy a directory's content into ``target``; of the directory itself only the time is copied."""
        if source.parents is not None:
            self._copy_places(source, [_Place(source.node, source.below, target.rpartition("/")[0], None)])
            return
        existing = self._making.find(target)
        if existing is not None and existing.children is None:
            raise BuildError(f"cannot copy to non-directory: /{target}")
        self._making.make_directories(target, self._made)
        children = reversed(sorted_children(source.node))
        self._copy_places(source, [_Place(node, node_name(node), target, None) for node in children])
        # The context's root is never sent, so that BuildKit knows no time of it.
        time = source.node.entry.mtime_ns if source.node.entry.path else self._making.now_ns
        self._making.set_time(target, time)

    def _copy_places(self, source: Source, stack: list[_Place]) -> None:
        """Copy what is waiting, the last first, and all that is below it, less what is excluded."""
        excluded = self._rules.excluded
        while stack:
            place = stack.pop()
            node, path = place.node, place.path
            wanted = excluded is None or not excluded(place.below)
            if wanted:
                self._make_skipped(place.skipped)
                self._put(node, path, source.origin)
            if node.children is not None:
                skipped = None if wanted else place
                stack.extend(
                    _Place(child, f"{place.below}/{node_name(child)}", path, skipped)
                    for child in reversed(sorted_children(node))
                )

    def _make_skipped(self, place: _Place | None) -> None:
        """Make the excluded directories above something that an exception brings back."""
        missing = []
        while place is not None and not place.made:
            place.made = True
            missing.append(place)
            place = place.skipped
        for place in reversed(missing):
            self._put(place.node, place.path, None)

    def _put(self, node: Node, path: str, origin: object) -> None:
        """Put one node at a path; a directory that is there takes the new mode, owner and time."""
        existing = self._making.find(path)
        if node.children is not None:
            if existing is not None and existing.children is None:
                raise BuildError(f"cannot copy to non-directory: /{path}", hint="a file or link is in the way")
        elif existing is not None and existing.children is not None:
            raise BuildError(f"cannot replace to directory /{path} with file")
        if node.inode is not None and node.entry.kind is Kind.FILE and self._link(node.inode, path):
            return
        self._making.draft.add(self._written(node.entry, path, node.entry.mtime_ns))
        if node.entry.kind is Kind.FILE:
            self._making.sources[path] = (node, origin)

    def _link(self, inode: Inode, path: str) -> bool:
        """Make ``path`` a further name if the file was copied already under another one."""
        first = self._first_names.setdefault(inode, path)
        if first == path:
            return False
        self._making.draft.add(Entry(path, Kind.HARDLINK, link=first))
        self._making.sources[path] = self._making.sources[first]
        return True

    def _written(self, entry: Entry, path: str, mtime_ns: int) -> Entry:
        """Return ``entry`` under its new path, with the owner and mode that the flags ask for."""
        uid, gid = self._rules.owner or (entry.uid, entry.gid)
        mode = entry.mode
        if self._rules.chmod is not None and entry.kind is not Kind.SYMLINK:
            mode = self._rules.chmod(mode, is_directory=entry.kind is Kind.DIRECTORY)
        return replace(entry, path=path, mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, data=None)


class _Place(Struct, eq=False):
    """One node on its way: its path below the copied directory, its new folder, the excluded one above it."""

    node: Node
    below: str
    folder: str
    skipped: _Place | None
    made: bool = False

    @property
    def path(self) -> str:
        return joined(self.folder, node_name(self.node))


def node_name(node: Node) -> str:
    """Return the last part of a node's path."""
    return node.entry.path.rpartition("/")[2]


def make_directory(tree: Tree, path: str, owner: Owner, now_ns: int, mode: int = 0o755) -> tuple[Entry, ...]:
    """List the layer of a WORKDIR: the directory and those above it as far as they are missing, for
    ``owner``.

    Links are followed. Nothing is listed if the directory is there. Raises BuildError if a file is in the
    way.
    """
    copying = Copying(tree, path, CopyRules(now_ns, owner, Chmod(mode)))
    copying.make_destination()
    return tuple(copied.entry for copied in copying.layer() if isinstance(copied.entry, Entry))
