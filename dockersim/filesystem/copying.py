"""COPY, ADD and WORKDIR as arithmetic on a tree: what a layer gets when files are put into a file system.

Nothing is mounted and nothing is written: from the tree below and the files that are copied follows which
entries the layer has, and for each file where its content comes from. So COPY needs no rights and no
snapshot, and what it will do can be told before it is done. The rules are those of BuildKit's
solver/llbsolver/file/backend.go and of tonistiigi/fsutil/copy, which it uses; ADD of an archive follows
moby's pkg/archive ``Untar``.

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
from dockersim.filesystem.differ import layer_between
from dockersim.filesystem.entry import Entry, Kind, LayerEntry, Opaque, Whiteout
from dockersim.filesystem.tree import Draft, Inode, Node, Tree, find, resolve, sorted_children

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
    that are to be kept, the highest first (perhaps none), else it is None. ``origin`` is whatever the caller
    needs to find the content again; it comes back in ``Copied``.
    """

    name: str
    node: Node
    parents: tuple[Entry, ...] | None = None
    origin: object = None


class Copied(Struct, frozen=True):
    """One entry of the new layer; a FILE has the content of the node ``source``, which came with ``origin``.

    Without an ``origin`` that node is one of the tree below: an archive had a further name for a file of it.
    """

    entry: LayerEntry
    source: Node | None = None
    origin: object = None


class Copying:
    """One COPY or ADD in the making: sources are put in one after the other, then the layer is asked for."""

    def __init__(self, tree: Tree, destination: str, rules: CopyRules) -> None:
        self._below = Tree.EMPTY if rules.link else tree
        self._draft = Draft(self._below.root, None)
        self._destination = destination
        self._rules = rules
        mode = rules.chmod.made_mode if rules.chmod else 0o755
        self._made = Entry("", Kind.DIRECTORY, mode, *(rules.owner or (0, 0)), mtime_ns=rules.now_ns)
        self._sources: dict[str, tuple[Node, object]] = {}  # where the content of the file at a path comes from
        self._first_names: dict[Inode, str] = {}
        self._marks: dict[str, LayerEntry] = {}  # of an archive, by the path of the file that stands for each

    def add(self, source: Source) -> None:
        """Copy one source to the destination. Raises BuildError where something of another kind is in the
        way.

        A destination that ends with a slash is a directory, and is made. A directory's content goes into the
        destination; a file gets a new name, or goes below the destination if that is a directory.
        """
        target = self._target(source)
        if source.node.children is not None:
            self._copy_directory(source, target)
            return
        folder = target.rpartition("/")[0]
        self._make_directories(folder, self._made)
        self._put(source.node, target, source.origin)
        self._touch(folder)

    def unpack(self, archive: Iterable[LayerEntry], origin: object = None) -> None:
        """Unpack an archive below the destination, which is made if it is missing.

        Links are followed as if the destination were the root, so that nothing leaves it; members replace
        what is in their way, of whatever kind. Owners, modes and times are the archive's; only --chown
        changes them.
        """
        root = self._resolved(self._destination)
        self._make_directories(root, replace(self._made, mode=0o755))
        folders: dict[str, int] = {}
        for member in _as_linked(archive):
            if isinstance(member, Entry):
                path = self._unpack_entry(root, member, origin)
                if member.kind is Kind.DIRECTORY and path != root:
                    folders[path] = member.mtime_ns
            else:
                self._unpack_mark(root, member)
        for path, time in folders.items():
            # What was put into a directory has moved its time; an archive's directory gets its own back.
            node = find(self._draft.root, path)
            if node is not None and node.children is not None:
                self._draft.add(replace(node.entry, mtime_ns=time))

    def make_destination(self) -> None:
        """Make the destination a directory if it is none, and those above it."""
        self._make_directories(self._resolved(self._destination), self._made)

    def layer(self) -> tuple[Copied, ...]:
        """List what the layer has, in its order, with where the content of each file comes from."""
        entries = layer_between(self._below, Tree(self._draft.root))
        return tuple(Copied(self._marks.get(entry.path, entry), *self._content(entry)) for entry in entries)

    # ---------------------------------------------------------------- where things go

    def _resolved(self, path: str) -> str:
        real = resolve(self._draft.root, path)
        if real is None:
            raise BuildError(f"{path}: too many levels of symbolic links")
        return real

    def _target(self, source: Source) -> str:
        """Find the path a source gets, and make the directories the destination asks for."""
        destination = self._resolved(self._destination)
        if source.parents is not None or self._destination.endswith("/"):
            self._make_directories(destination, self._made)
        if source.parents is not None:
            for parent in source.parents:
                destination = self._keep_parent(parent, destination)
            return _join(destination, source.name.rpartition("/")[2])
        node = find(self._draft.root, destination)
        is_directory = node is not None and node.children is not None
        if is_directory and source.node.children is None:
            return _join(destination, source.name.rpartition("/")[2])
        return destination

    def _keep_parent(self, parent: Entry, above: str) -> str:
        """Make one directory that --parents keeps, with the mode and owner it has at the source."""
        path = _join(above, parent.path.rpartition("/")[2])
        node = find(self._draft.root, path)
        if node is None:
            self._draft.add(self._written(parent, path, self._rules.now_ns))
            self._touch(above)
        elif node.children is None:
            raise BuildError(f"cannot copy to non-directory: /{path}")
        return path

    def _make_directories(self, path: str, like: Entry) -> None:
        """Make a directory and those above it as far as they are missing, each but for its path ``like``."""
        made = ""
        for name in path.split("/") if path else ():
            above, made = made, _join(made, name)
            node = find(self._draft.root, made)
            if node is not None and node.children is None:
                raise BuildError(f"mkdir /{made}: not a directory", hint="a file is in the way")
            if node is None:
                self._draft.add(replace(like, path=made))
                self._touch(above)

    def _touch(self, path: str) -> None:
        """Note that something was made in a directory: its time is now."""
        node = find(self._draft.root, path)
        if path and node is not None and node.entry.mtime_ns != self._rules.now_ns:
            self._draft.add(replace(node.entry, mtime_ns=self._rules.now_ns))

    # ---------------------------------------------------------------- what is put there

    def _copy_directory(self, source: Source, target: str) -> None:
        """Copy a directory's content into ``target``; of the directory itself only the time is copied."""
        existing = find(self._draft.root, target)
        if existing is not None and existing.children is None:
            raise BuildError(f"cannot copy to non-directory: /{target}")
        if existing is None and source.parents is not None:
            self._draft.add(self._written(source.node.entry, target, self._rules.now_ns))
            self._touch(target.rpartition("/")[0])
        self._make_directories(target, self._made)
        self._copy_content(source, target)
        here = find(self._draft.root, target)
        if target and here is not None:
            # The context's root is never sent, so that BuildKit knows no time of it.
            time = source.node.entry.mtime_ns if source.node.entry.path else self._rules.now_ns
            self._draft.add(replace(here.entry, mtime_ns=time))

    def _copy_content(self, source: Source, target: str) -> None:
        excluded = self._rules.excluded
        stack = [_Place(node, node_name(node), target, None) for node in reversed(sorted_children(source.node))]
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
        existing = find(self._draft.root, path)
        if node.children is not None:
            if existing is not None and existing.children is None:
                raise BuildError(f"cannot copy to non-directory: /{path}", hint="a file or link is in the way")
        elif existing is not None and existing.children is not None:
            raise BuildError(f"cannot replace to directory /{path} with file")
        if node.inode is not None and self._link(node.inode, path):
            return
        self._draft.add(self._written(node.entry, path, node.entry.mtime_ns))
        if node.entry.kind is Kind.FILE:
            self._sources[path] = (node, origin)

    def _link(self, inode: Inode, path: str) -> bool:
        """Make ``path`` a further name if the file was copied already under another one."""
        first = self._first_names.setdefault(inode, path)
        if first == path:
            return False
        self._draft.add(Entry(path, Kind.HARDLINK, link=first))
        self._sources[path] = self._sources[first]
        return True

    def _written(self, entry: Entry, path: str, mtime_ns: int) -> Entry:
        """Return ``entry`` under its new path, with the owner and mode that the flags ask for."""
        uid, gid = self._rules.owner or (entry.uid, entry.gid)
        mode = entry.mode
        if self._rules.chmod is not None and entry.kind is not Kind.SYMLINK:
            mode = self._rules.chmod(mode, is_directory=entry.kind is Kind.DIRECTORY)
        return replace(entry, path=path, mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, data=None)

    def _unpack_entry(self, root: str, member: Entry, origin: object) -> str:
        path = _join(root, self._inside(root, member.path))
        if path == root:
            return root  # the archive's "./" says nothing about a directory that is there
        folder = path.rpartition("/")[0]
        node = find(self._draft.root, folder)
        if node is None or node.children is None:
            self._check_above(root, member)
            self._make_directories(folder, Entry("", Kind.DIRECTORY, 0o755, mtime_ns=self._rules.now_ns))
        uid, gid = self._rules.owner or (member.uid, member.gid)
        link = member.link
        if member.kind is Kind.HARDLINK:
            link = self._existing_file(root, member)
            if link in self._sources:
                self._sources[path] = self._sources[link]
        self._draft.add(replace(member, path=path, uid=uid, gid=gid, link=link, data=None))
        self._touch(folder)
        if member.kind is Kind.FILE:
            self._sources[path] = (Node(member), origin)
        return path

    def _unpack_mark(self, root: str, mark: Whiteout | Opaque) -> None:
        """Put a file in the place of a whiteout: it has its place in the layer, and hides nothing in this one."""
        folder, _, hidden = mark.path.rpartition("/")
        name = f".wh.{hidden}"
        if isinstance(mark, Opaque):
            folder, name = mark.path, ".wh..wh..opq"
        # Deviation: to later steps of the same build BuildKit shows the whiteout of an archive as a file, and what it
        # hides as well; here that is hidden at once, as it is in the image.
        path = self._unpack_entry(root, Entry(_join(folder, name), Kind.FILE), None)
        above = path.rpartition("/")[0]
        self._marks[path] = replace(mark, path=above if isinstance(mark, Opaque) else _join(above, hidden))

    def _check_above(self, root: str, member: Entry) -> None:
        """Raise BuildError where the member is below a file, or below a link that leads nowhere."""
        base = find(self._draft.root, root) or self._draft.root
        names = member.path.split("/")[:-1]
        for depth in range(1, len(names) + 1):
            above = "/".join(names[:depth])
            node = find(base, resolve(base, above) or "")
            if node is None and find(base, self._inside(root, above)) is None:
                return  # it will be made
            if node is None or node.children is None:
                problem = _no_place(member, above, dangling=node is None)
                raise BuildError(problem, hint="the archive is at odds with itself")

    def _existing_file(self, root: str, member: Entry) -> str:
        """Find the file that a hard link of an archive is a further name of."""
        path = _join(root, self._inside(root, member.link))
        node = find(self._draft.root, path)
        if node is None or node.children is not None:
            reason = "no such file or directory" if node is None else "operation not permitted"
            raise BuildError(f"link /{member.link} /{member.path}: {reason}", hint="a hard link needs its file")
        return path

    def _inside(self, root: str, path: str) -> str:
        """Follow the links above the last part of ``path`` as if the directory ``root`` were the root."""
        base = find(self._draft.root, root)
        real = resolve(base, path, follow_last=False) if base is not None else None
        if real is None:
            raise BuildError(f"{path}: too many levels of symbolic links")
        return real

    def _content(self, entry: LayerEntry) -> tuple[Node | None, object]:
        if not isinstance(entry, Entry) or entry.kind is not Kind.FILE:
            return None, None
        return self._sources.get(entry.path) or (find(self._draft.root, entry.path), None)


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


class _Place(Struct, eq=False):
    """One node on its way: its path below the copied directory, its new folder, the excluded one above it."""

    node: Node
    below: str
    folder: str
    skipped: _Place | None
    made: bool = False

    @property
    def path(self) -> str:
        return _join(self.folder, node_name(self.node))


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


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name
