"""Which paths of a tree a COPY takes: literal names and wildcards, links followed inside the tree.

BuildKit does this in solver/llbsolver/file and tonistiigi/fsutil/copy (``ResolveWildcards``): a source named
literally must be there, a wildcard may match nothing; what is named, or hit by a wildcard, is followed if it is a
link; links below a directory that is copied stay links.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dockersim.dockerfile import has_wildcard, match_pattern
from dockersim.errors import ContextError
from dockersim.filesystem.tree import Node, Tree


@dataclass(frozen=True, slots=True)
class Matched:
    """One source that is copied: the path by which it was found, and the node it leads to."""

    name: str
    node: Node


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


def _literal(tree: Tree, pattern: str) -> Matched:
    name = _unescape(pattern)
    node = _follow(tree, name)
    if node is None:
        raise ContextError(f'"/{name}": not found')
    return Matched(name, node)


def _follow(tree: Tree, path: str) -> Node | None:
    resolved = tree.resolve(path)
    return None if resolved is None else tree.get(resolved)


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
