"""Which paths of a tree a COPY takes: literal names and wildcards, links followed inside the tree.

BuildKit does this in solver/llbsolver/file and tonistiigi/fsutil/copy (``ResolveWildcards``): a source named
literally must be there, a wildcard may match nothing; what is named, or hit by a wildcard, is followed if it is a
link; links below a directory that is copied stay links.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from dockersim.dockerfile import has_wildcard, match_pattern
from dockersim.dockerfile.ignorepattern import IgnorePattern
from dockersim.errors import ContextError
from dockersim.filesystem.entry import Entry
from dockersim.filesystem.tree import Node, Tree, sorted_children


class Matched(Struct, frozen=True):
    """One source that is copied: the path by which it was found, and the node it leads to.

    ``parents`` are the directories above it that --parents keeps, the highest first; ``base`` is the one they lie in,
    at the pivot or at the root.
    """

    name: str
    node: Node
    parents: tuple[Entry, ...] = ()
    base: Entry | None = None

    @property
    def below(self) -> str:
        """The path below the base, which is what --exclude goes by with --parents."""
        return "/".join([*(parent.path for parent in self.parents), self.name.rpartition("/")[2]])


def sources_of(tree: Tree, pattern: str) -> tuple[Matched, ...]:
    """Find what ``pattern`` (no slash first, cleaned) takes from ``tree``. Raises ContextError as BuildKit would."""
    if not has_wildcard(pattern):
        return (_literal(tree, pattern),)
    found = []
    for path in _candidates(tree, pattern):
        if match_pattern(pattern, path):
            node = _follow(tree, path)
            if node is None:
                raise ContextError(f'"/{path}": not found')
            found.append(Matched(path, node))
    return tuple(found)


def sources_with_parents(tree: Tree, pattern: str) -> tuple[Matched, ...]:
    """Find what ``pattern`` takes with --parents, where ``**`` stands for any number of directories.

    ``/./`` in the pattern is the pivot: only directories behind it are kept. What matches is taken as it is, a link
    as a link; of a directory that matches all that is below it. Raises ContextError where a name without wildcard
    is not there.
    """
    start, pivot, rest = pattern.partition("/./")
    bases = sources_of(tree, start) if pivot else (Matched("", tree.root),)
    rest = rest if pivot else pattern
    if not rest:  # quirk of BuildKit: "everything" cannot be said by naming the place itself
        raise ContextError(f'"/{start if pivot else ""}": not found', hint="name what is in it, as with **")
    found = [one for base in bases if base.node.children is not None for one in _below(tree, base, rest)]
    if not has_wildcard(pattern) and (
        not found or tree.get(found[0].name) is None
    ):  # no link is followed to a name, not even to the pivot
        raise ContextError(f'"/{_unescape(pattern).replace("/./", "/")}": not found')
    return tuple(found)


def _below(tree: Tree, base: Matched, pattern: str) -> Iterator[Matched]:
    if not has_wildcard(pattern):
        node = tree.get(_join(base.node.entry.path, _unescape(pattern)))  # links on the way are not followed
        if node is not None:
            yield _with_parents(tree, base, _unescape(pattern), node)
        return
    wanted = IgnorePattern.parse(pattern)
    waiting = [(child, _name(child)) for child in reversed(sorted_children(base.node))]
    while waiting:
        node, path = waiting.pop()
        if wanted.matches(path):
            yield _with_parents(tree, base, path, node)
        elif node.children is not None and wanted.may_match_below(path.split("/")):
            waiting.extend((child, f"{path}/{_name(child)}") for child in reversed(sorted_children(node)))


def _with_parents(tree: Tree, base: Matched, path: str, node: Node) -> Matched:
    parts = path.split("/")[:-1]
    places = (_join(base.node.entry.path, "/".join(parts[: count + 1])) for count in range(len(parts)))
    above = (_follow(tree, place) for place in places)
    entries = tuple(replace(one.entry, path=name) for one, name in zip(above, parts, strict=True) if one is not None)
    return Matched(_join(base.name, path), node, entries, base.node.entry)


def _name(node: Node) -> str:
    return node.entry.path.rpartition("/")[2]


def _join(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder and path else folder or path


def _literal(tree: Tree, pattern: str) -> Matched:
    name = _unescape(pattern)
    node = _follow(tree, name)
    if node is None:
        raise ContextError(f'"/{name}": not found')
    return Matched(name, node)


def _follow(tree: Tree, path: str) -> Node | None:
    resolved = tree.resolve(path)
    if resolved is None:
        raise ContextError("too many links", hint=f"the links at /{path} lead in a circle")
    return tree.get(resolved)


def _candidates(tree: Tree, pattern: str) -> Iterator[str]:
    """Give every path with as many parts as the pattern, below the parts that have no wildcard."""
    parts = pattern.split("/")
    fixed = next(index for index, part in enumerate(parts) if has_wildcard(part))
    start = tree.resolve("/".join(_unescape(part) for part in parts[:fixed]))
    prefix = "/".join(_unescape(part) for part in parts[:fixed])
    node = tree.get(start) if start is not None else None
    if node is not None:
        yield from _descend(tree, prefix, node, len(parts) - fixed)


def _descend(tree: Tree, prefix: str, node: Node, depth: int) -> Iterator[str]:
    for child in tree.children(node.entry.path):
        name = child.entry.path.rpartition("/")[2]
        path = f"{prefix}/{name}" if prefix else name
        if depth == 1:
            yield path
        elif child.children is not None:
            yield from _descend(tree, path, child, depth - 1)


def _unescape(text: str) -> str:
    r"""Take the ``\`` away from escaped characters."""
    if "\\" not in text:
        return text
    plain, escaped = [], False
    for character in text:
        if character == "\\" and not escaped:
            escaped = True
            continue
        plain.append(character)
        escaped = False
    return "".join(plain)
