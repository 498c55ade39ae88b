"""The file tree that a stack of layers makes: immutable, and cheap to change.

A layer says only what changed; the file system a container sees is what is left when all of them are applied
in turn, lowest first (image-spec, layer.md, "Applying Changesets"; containerd does it in pkg/archive/tar.go).
Applying makes a new tree that shares every directory the layer does not touch with the old one, so that
keeping the tree of every step costs next to nothing, and two trees are compared by skipping what they share.

>>> base = Tree.EMPTY.apply([Entry("bin", Kind.SYMLINK, link="usr/bin"), Entry("usr/bin/sh", Kind.FILE)])
>>> step = base.apply([Whiteout("usr/bin/sh"), Entry("bin/ls", Kind.FILE)])
>>> [node.entry.path for node in step.walk()]
['bin', 'usr', 'usr/bin', 'usr/bin/ls']
>>> step.resolve("bin/ls"), step.resolve("bin/../../../etc/x")
('usr/bin/ls', 'etc/x')
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from dockersim.digest import DiffID
from dockersim.errors import ContentError
from dockersim.filesystem.entry import Entry, Kind, LayerEntry, Opaque, Whiteout

LINK_LIMIT = 255
"""How many symbolic links one path may lead through; the limit of containerd's continuity/fs ``RootPath``."""

PARTS_LIMIT = 4096
"""How many parts all those links together may put in the place of one path: more than fit into Linux' PATH_MAX."""

THROUGH_LINKS_LIMIT = 200_000
"""How many paths of a layer may lead through links, each of which takes its time to follow."""

UNLISTED_LIMIT = 200_000
"""How many directories a layer may have without listing them. One name of 4 KB may mean 2,000, and a layer has millions
of names; docker and BuildKit list every directory, others leave a few thousand out."""


class Inode:
    """What all names of one file share: nodes with the same inode object are hard links of each other."""

    __slots__ = ()


class Node(Struct, frozen=True):
    """One path of a tree: what stands there, the layer that says so, and for a directory what is in it.

    ``entry.kind`` is never HARDLINK: a further name of a file is a node with the file's own entry (under its
    new path), the file's layer, and the same ``inode``. ``children`` maps names to nodes, and is None for all
    but directories; nobody may change it. ``inode`` is None for what has one name only.
    """

    entry: Entry
    layer: DiffID | None = None
    children: Mapping[str, Node] | None = None
    inode: Inode | None = None


class Tree(Struct, frozen=True, eq=False):
    """A whole file system, as layers make it. Two trees are told apart by ``differ.diff``, not by ``==``."""

    root: Node
    EMPTY: ClassVar[Tree]

    def apply(self, layer: Iterable[LayerEntry], source: DiffID | None = None) -> Tree:
        """Return this tree with one layer on top; ``source`` names the layer in the nodes that come from it.

        Costs in proportion to the layer. Missing parents are made 0755 root. A path below a symbolic link of
        the tree goes to where the link points, inside the root, as containerd unpacks it. Raises ContentError
        for a path below a file, and for a hard link to what is not there.
        """
        draft = Draft(self.root, source)
        draft.add_all(layer)
        return Tree(draft.root)

    def get(self, path: str) -> Node | None:
        """Find the node at ``path`` as it is written, following no link, not even in the middle."""
        return find(self.root, path)

    def resolve(self, path: str, *, follow_last: bool = True) -> str | None:
        """Follow the links in ``path`` inside this root, as the kernel does after chroot; None if they go in
        circles.

        The path may be absolute and have ``.`` and ``..``. The rest of a path behind the last thing that
        exists is kept, so that the answer is where something new would be made.
        """
        return resolve(self.root, path, follow_last=follow_last)

    def children(self, path: str = "") -> tuple[Node, ...]:
        """List what is in the directory ``path``, names by byte value; nothing for what is no directory."""
        node = self.get(path)
        return tuple(sorted_children(node)) if node else ()

    def walk(self, path: str = "") -> Iterator[Node]:
        """Yield everything below ``path`` in the order of a layer: depth first, names by byte value."""
        node = self.get(path)
        stack = sorted_children(node)[::-1] if node else []
        while stack:
            node = stack.pop()
            yield node
            if node.children:
                stack.extend(reversed(sorted_children(node)))


Tree.EMPTY = Tree(Node(Entry("", Kind.DIRECTORY, 0o755), None, {}))


def in_byte_order(names: Iterable[str]) -> list[str]:
    """Sort names as their bytes on disk sort, which for odd names is not the order of their characters."""
    listed = list(names)
    if "".join(listed).isascii():
        return sorted(listed)
    return sorted(listed, key=lambda name: name.encode("utf-8", "surrogateescape"))


def sorted_children(node: Node) -> list[Node]:
    """List the children of a node, names by byte value."""
    children = node.children
    return [children[name] for name in in_byte_order(children)] if children else []


def find(root: Node, path: str) -> Node | None:
    """Find the node at ``path`` below ``root``, following no link."""
    node = root
    for name in path.split("/") if path else ():
        children = node.children
        if children is None or (child := children.get(name)) is None:
            return None
        node = child
    return node


def resolve(root: Node, path: str, *, follow_last: bool = True) -> str | None:
    """Follow the links in ``path`` inside ``root``; see ``Tree.resolve``."""
    done: list[Node | None] = [root]  # the node of every resolved part; None where nothing stands
    names: list[str] = []
    todo = _parts(path)
    links = parts = 0
    while todo:
        name = todo.pop()
        if name == "..":
            if names:  # the root is its own parent
                names.pop()
                done.pop()
            continue
        above = done[-1]
        node = above.children.get(name) if above is not None and above.children is not None else None
        if node is None or node.entry.kind is not Kind.SYMLINK or (not todo and not follow_last):
            names.append(name)
            done.append(node)
            continue
        target = _parts(node.entry.link)
        links, parts = links + 1, parts + len(target)
        if links > LINK_LIMIT or parts > PARTS_LIMIT:
            return None
        if node.entry.link.startswith("/"):
            names, done = [], [root]
        todo.extend(target)
    return "/".join(names)


def _parts(path: str) -> list[str]:
    """Split a path into the parts that mean something, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


class Draft:
    """A tree in the making: directories that the layer touches are copied once, and then changed in place."""

    def __init__(self, root: Node, source: DiffID | None) -> None:
        children = dict(root.children or {})
        self.root = Node(root.entry, root.layer, children)
        self.source = source
        self._unlisted = self._through_links = 0
        self._open: dict[str, dict[str, Node]] = {"": children}  # copied directories by path, free of links

    def add_all(self, layer: Iterable[LayerEntry]) -> None:
        """Apply a whole layer.

        Marks go first wherever they stand: "whiteout files MUST only apply to resources in lower/parent
        layers".
        """
        entries: list[Entry] = []
        marks: list[Whiteout | Opaque] = []
        for item in layer:
            if isinstance(item, Entry):
                entries.append(item)
            else:
                marks.append(item)
        if marks:
            self._apply_marks(marks, {entry.path for entry in entries if entry.kind is Kind.DIRECTORY})
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Put one entry into the tree; what stands there and is of another kind gives way."""
        path = entry.path
        if not path:
            self._add_root(entry)
            return
        parent, _, name = path.rpartition("/")
        siblings = self._open.get(parent)
        if siblings is None:
            real, siblings = self._enter(parent)
            if real != parent:
                self._count_link()
                path = f"{real}/{name}" if real else name
                entry = replace(entry, path=path)
        old = siblings.get(name)
        if entry.kind is Kind.DIRECTORY:
            if old is not None and old.children is not None:
                siblings[name] = Node(entry, self.source, old.children)
            else:
                children: dict[str, Node] = {}
                self._open[path] = children
                siblings[name] = Node(entry, self.source, children)
            return
        if old is not None and old.children is not None:
            self._forget(path)
        siblings[name] = self._link(entry) if entry.kind is Kind.HARDLINK else Node(entry, self.source)

    def _add_root(self, entry: Entry) -> None:
        if entry.kind is not Kind.DIRECTORY:
            raise ContentError(f"the root of a layer is a {entry.kind.value}, not a directory")
        self.root = Node(entry, self.source, self.root.children)

    def _link(self, entry: Entry) -> Node:
        """Make the node of a further name of a file, and mark both names as one file."""
        where = resolve(self.root, entry.link, follow_last=False)
        target = find(self.root, where) if where else None
        if where is None or target is None or target.children is not None:
            raise ContentError(f"/{entry.path}: a hard link to /{entry.link}, which is no file of this layer")
        inode = target.inode
        if inode is None:
            inode = Inode()
            parent, _, name = where.rpartition("/")
            self._enter(parent)[1][name] = Node(target.entry, target.layer, None, inode)
        return Node(replace(target.entry, path=entry.path), target.layer, None, inode)

    def _apply_marks(self, marks: Iterable[Whiteout | Opaque], directories: set[str]) -> None:
        """Delete what is marked; where the layer brings a directory of its own, no link in its place is followed."""
        for mark in marks:
            folder = mark.path.rpartition("/")[0] if isinstance(mark, Whiteout) else mark.path
            node = find(self.root, folder) if folder in directories else None
            if node is not None and node.children is None:
                continue  # a link or file that the directory replaces: there is nothing below it
            if isinstance(mark, Whiteout):
                self._delete(mark.path)
            else:
                self._empty(mark)

    def _delete(self, path: str) -> None:
        """Take ``path`` and what is below it away; nothing there is no error, as in containerd."""
        parent, _, name = path.rpartition("/")
        real = resolve(self.root, parent)
        above = find(self.root, real) if real is not None else None
        if real is None or above is None or not above.children or name not in above.children:
            return
        _, siblings = self._enter(real)
        del siblings[name]
        self._forget(f"{real}/{name}" if real else name)

    def _empty(self, mark: Opaque) -> None:
        """Take everything below an opaque directory away."""
        real = resolve(self.root, mark.path)
        node = find(self.root, real) if real is not None else None
        if real is None or node is None or not node.children:
            return
        real, children = self._enter(real)
        for name in children:
            self._forget(f"{real}/{name}" if real else name)
        children.clear()

    def _enter(self, path: str) -> tuple[str, dict[str, Node]]:
        """Return the real path of a directory and its children, free to change; make it if it is missing."""
        real = resolve(self.root, path)
        if real is None:
            raise ContentError(f"/{path}: too many symbolic links")
        children = self._open[""]
        at = ""
        for name in real.split("/") if real else ():
            at = f"{at}/{name}" if at else name
            mine = self._open.get(at)
            if mine is None:
                mine = self._open[at] = self._copy(children, name, at)
            children = mine
        return real, children

    def _count_link(self) -> None:
        self._through_links += 1
        if self._through_links > THROUGH_LINKS_LIMIT:
            raise ContentError(f"the archive has more than {THROUGH_LINKS_LIMIT} paths that lead through links")

    def _copy(self, siblings: dict[str, Node], name: str, path: str) -> dict[str, Node]:
        """Put a copy, free to change, in the place of one directory, or a new one if there is none."""
        old = siblings.get(name)
        if old is None:
            self._unlisted += 1
            if self._unlisted > UNLISTED_LIMIT:
                raise ContentError(f"the archive has more than {UNLISTED_LIMIT} directories that it does not list")
            old = Node(Entry(path, Kind.DIRECTORY, 0o755), self.source, {})
        if old.children is None:
            raise ContentError(f"/{path}: is a {old.entry.kind.value}, not a directory")
        children = dict(old.children)
        siblings[name] = Node(old.entry, old.layer, children)
        return children

    def _forget(self, path: str) -> None:
        """Stop knowing the copies at and below a directory that is no longer in the tree."""
        paths = [path]
        while paths:
            at = paths.pop()
            paths.extend(f"{at}/{name}" for name in self._open.pop(at, ()))
