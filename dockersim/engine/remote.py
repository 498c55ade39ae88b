"""Contexts that have to be fetched: a Git repository, or what lies at an address of the web.

BuildKit: ``DetectGitContext`` and ``DetectHTTPContext`` in frontend/dockerui/context.go.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from dockersim.content import ContentStore
from dockersim.dockerfile import Switch
from dockersim.dockerfile.gitreference import GitReference, parse_git_reference
from dockersim.dockerfile.passwords import without_password
from dockersim.engine.archives import open_archive
from dockersim.engine.context import open_whole
from dockersim.engine.downloads import Downloads
from dockersim.engine.opening import Remote
from dockersim.engine.repositories import Repositories
from dockersim.engine.sources import ContextOrigin, Origin
from dockersim.errors import ContextError
from dockersim.filesystem import Entry, Node, Tree
from dockersim.solver import NamedContext, SourceAwaited

_FILE = "context"
"""What BuildKit calls the one file that it has downloaded as a context."""

Tell = Callable[[SourceAwaited], None]


class TreeOrigin(Struct, frozen=True):
    """Files whose digests are known, and how they are opened."""

    tree: Tree
    opener: Callable[[Node], BinaryIO]

    def digested(self, entry: Entry) -> Entry:
        """The digest is known already."""
        return entry

    def open(self, node: Node) -> BinaryIO:
        """Open the content of a FILE."""
        return self.opener(node)


class RemoteContexts:
    """Fetches contexts. ``state`` is where digests of files are kept, ``tell`` hears what is being fetched."""

    def __init__(
        self,
        content: ContentStore,
        repositories: Repositories,
        downloads: Downloads,
        state: Path,
        tell: Tell,
        *,
        keep_git_dir: bool = False,
    ) -> None:
        self._content = content
        self._repositories = repositories
        self._downloads = downloads
        self._state = state
        self._tell = tell
        self._keep_git_dir = keep_git_dir

    def main(self, address: str) -> Remote:
        """Fetch the context of a build. Raises ContextError or BuildError if it is not to be had."""
        name = without_password(address)
        reference = parse_git_reference(address)
        if reference is not None:
            kept = replace(reference, keep_git_dir=Switch.ON) if self._keep_git_dir else reference
            return Remote(self.repository(kept, f"[internal] load git source {name}"), name)
        download = self.file(address, "[internal] load remote build context")
        archive = self._unpacked(download)
        return Remote(archive, name) if archive else Remote(download, name, _FILE)

    def named(self, one: NamedContext) -> Origin:
        """Fetch a context that has a name; a download is not laid open, but is one file called ``context``."""
        name = without_password(one.value)
        reference = parse_git_reference(one.value)
        if reference is not None:
            return self.repository(reference, f"[internal] load git source {name}")
        return self.file(one.value, f"[context {one.name}] {name}")

    def repository(self, reference: GitReference, vertex: str) -> Origin:
        """Check a Git repository out; ``vertex`` is BuildKit's name for that."""
        self._tell(SourceAwaited(vertex))
        place = self._repositories.kept(reference)
        if place is None and not self._repositories.online:
            raise _unknown(reference.remote)
        commit = self._repositories.find(reference)
        if commit is not None:
            self._tell(SourceAwaited(vertex, f"{commit.sha}\t{commit.ref}"))
        return ContextOrigin(open_whole(place or self._repositories.checkout(reference), self._state))

    def file(self, address: str, vertex: str) -> TreeOrigin:
        """Download a file; the tree holds nothing but it."""
        self._tell(SourceAwaited(vertex))
        found = self._downloads.fetch(address)
        if found is None:
            raise _unknown(address)
        entry = replace(found.node.entry, path=_FILE)
        return TreeOrigin(Tree.EMPTY.apply([entry]), lambda node: self._content.open(found.digest))

    def _unpacked(self, download: TreeOrigin) -> TreeOrigin | None:
        """Lay a download open that is an archive; one that is none is a Dockerfile, and alone in its context."""
        with download.open(download.tree.children()[0]) as stream:
            archive = open_archive(stream, self._content.root)
        if archive is None:
            return None
        entries = (entry for entry in archive.entries if isinstance(entry, Entry))
        return TreeOrigin(Tree.EMPTY.apply(entries), archive.open)


def _unknown(what: str) -> ContextError:
    message = f"{without_password(what)} is not here, and a prediction fetches nothing"
    return ContextError(message, hint="build it once")
