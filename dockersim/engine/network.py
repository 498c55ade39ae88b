"""What one build takes from elsewhere: downloads, Git repositories, and contexts that have to be fetched.

Each part is loaded when a build first needs it; most need none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from dockersim.engine.downloads import Downloads
from dockersim.engine.sources import Origin, inputs
from dockersim.engine.store import Store
from dockersim.solver import CopyOp, Event, Input, Inputs, RunMount

if TYPE_CHECKING:
    from dockersim.engine.downloads import DownloadOrigin
    from dockersim.engine.fetching import Fetching
    from dockersim.engine.remote import RemoteContexts
    from dockersim.engine.repositories import Repositories


class Manner(Struct, frozen=True):
    """How things are fetched: ``online`` False asks nobody, ``dated`` gives files of Git the time of their commit.

    ``keep_git_dir`` keeps the ``.git`` of a context, ``agent`` is the socket of an ssh agent.
    """

    online: bool = True
    dated: bool = False
    keep_git_dir: bool = False
    agent: Path | None = None


class Fetched(Struct, frozen=True):
    """What an ADD takes from the network: its downloads, and the files of its Git repositories."""

    downloads: DownloadOrigin
    repositories: tuple[Origin, ...] = ()


class Network:
    """The outside world of one build. ``environment`` is the host's, ``tell`` hears what is being fetched.

    ``fetching`` gives what another thread ends a fetch by.
    """

    def __init__(
        self,
        store: Store,
        environment: Mapping[str, str],
        manner: Manner,
        tell: Callable[[Event], None],
        fetching: Callable[[], Fetching],
    ) -> None:
        self._store = store
        self._environment = environment
        self._manner = manner
        self._tell = tell
        self._fetching = fetching

    @cached_property
    def downloads(self) -> Downloads:
        """Files of the web."""
        notes = self._store.root / "downloads"
        return Downloads(self._store.content, notes, self._fetching, online=self._manner.online)

    @cached_property
    def repositories(self) -> Repositories:
        """Git repositories."""
        from dockersim.engine.git import Git
        from dockersim.engine.repositories import Repositories

        root = self._store.root / "repositories"
        git = Git(self._environment, root / "known_hosts", self._fetching(), self._manner.agent)
        return Repositories(root, git, online=self._manner.online, dated=self._manner.dated)

    @cached_property
    def contexts(self) -> RemoteContexts:
        """Contexts that are not directories of this machine."""
        from dockersim.engine.remote import RemoteContexts

        state = self._store.root / "contexts"
        return RemoteContexts(self._store.content, self.repositories, self.downloads, state, self._tell,
                              keep_git_dir=self._manner.keep_git_dir)  # fmt: skip

    def read_inputs(self, op: CopyOp | RunMount, origin: Origin) -> Inputs:
        """Name all that ``op`` takes from ``origin`` and from elsewhere, or a mount shows."""
        files: list[Input | None] = [*inputs(op, origin)]
        if isinstance(op, CopyOp):
            files += self._inputs(op)
        known = tuple(file for file in files if file is not None)
        return Inputs(known if len(known) == len(files) else None)

    def _inputs(self, op: CopyOp) -> Iterator[Input | None]:
        yield from self.downloads.inputs(op)
        if op.repositories:
            yield from self.repositories.inputs(op)

    def close(self) -> None:
        """Let go of what was fetched."""
        if "repositories" in self.__dict__:
            self.repositories.release()

    def fetch(self, op: CopyOp) -> Fetched:
        """Have everything here that ``op`` takes from elsewhere. Raises BuildError where it is not to be had."""
        repositories = self.repositories.origins(op) if op.repositories else ()
        return Fetched(self.downloads.origin(op), repositories)
