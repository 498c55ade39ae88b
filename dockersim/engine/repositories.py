"""Git repositories that ADD and build contexts name: the server is asked for the commit, which is checked out once.

BuildKit does this in source/git. Below ROOT/repositories lie the checkouts, each named by its cache key, and notes of
which commit a ref meant when it was last asked for, so that a prediction needs no network.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import finalize

from msgspec import to_builtins
from msgspec.structs import replace

from dockersim.content.disk import locked, told_plainly, write_whole
from dockersim.digest import hex_of, sha256
from dockersim.dockerfile import NO_RULES
from dockersim.dockerfile.passwords import without_password
from dockersim.engine.checkout import check_out
from dockersim.engine.commit import Commit, ask, is_commit
from dockersim.engine.context import Context
from dockersim.engine.git import Git
from dockersim.engine.keeping import hold
from dockersim.engine.sources import ContextOrigin
from dockersim.errors import BuildError
from dockersim.solver import CopyOp, Input

if TYPE_CHECKING:
    from dockersim.dockerfile import GitReference

_NO_KEY = "failed to load cache key"


class Repositories:
    """The repositories of one build, kept below ``root``.

    ``online`` False asks no server: only what is noted is known. ``dated`` gives files the time of their commit where
    nothing else is asked for, so that a build can be reproduced.
    """

    def __init__(self, root: Path, git: Git, *, online: bool = True, dated: bool = False) -> None:
        self._root = root
        self._git = git
        self.online = online
        self._dated = dated
        self._asked: dict[tuple[str, str], Commit] = {}
        self._held: dict[Path, int] = {}
        self.release = finalize(self, _close, self._held)  # who never ends a build lets go with it, too
        """Let those who prune have the checkouts."""

    def inputs(self, op: CopyOp) -> Iterator[Input | None]:
        """Name the repositories of ``op`` for its key, by their commits; None for one that nothing is known of."""
        # Deviation: BuildKit takes an ADD of a Git repository from the cache also where another commit has the same
        # files; here the commit must be the same.
        for number, reference in enumerate(op.repositories, 1):
            commit = self.find(reference)
            name = "the Git repository" if number == 1 else f"the Git repository {number}"
            yield Input(name, "git", commit.key(self._settled(reference))) if commit else None

    def origins(self, op: CopyOp) -> tuple[ContextOrigin, ...]:
        """Have the files of all repositories of ``op`` here. Raises BuildError where they are not to be had."""
        return tuple(ContextOrigin(Context(self.checkout(one), NO_RULES)) for one in op.repositories)

    def find(self, reference: GitReference) -> Commit | None:
        """Find out which commit is meant, asking each server once a build; None if it is not known here.

        Raises BuildError if the server cannot be asked, or it is another commit than the one that must be.
        """
        reference = self._settled(reference)
        commit = _named(reference) or self._asked.get((reference.remote, reference.ref))
        if commit is None and not self.online:
            commit = self._noted(reference)
            if commit is None:
                return None
        if commit is None:
            commit = self._ask(reference)
            self._asked[reference.remote, reference.ref] = commit
        _check(reference, commit)
        return commit

    def kept(self, reference: GitReference) -> Path | None:
        """Give the folder of the files if they are here already."""
        wanted = self._settled(reference)
        commit = self.find(wanted)
        place = self._place(commit.key(wanted)) if commit else None
        return place if place is not None and place.is_dir() and self._hold(place).is_dir() else None

    def checkout(self, reference: GitReference) -> Path:
        """Give the folder of the files, fetching them if they are not here. Raises BuildError."""
        wanted = self._settled(reference)
        commit = self.find(wanted)
        if commit is None:
            message = f"it is not known which commit {without_password(wanted.remote)} stands at"
            raise BuildError(f"{_NO_KEY}: {message}")
        place = self._hold(self._place(commit.key(wanted)))
        with locked(place.with_name(f"{place.name}.lock")):
            if not place.is_dir():
                self._git.begin()
                check_out(self._git, wanted, commit, place)
        return place

    def _settled(self, reference: GitReference) -> GitReference:
        # Deviation: BuildKit's ADD gives the files of a Git repository the time of the checkout, whatever mtime= and
        # SOURCE_DATE_EPOCH say; here these count, as they do for a Git repository that is the build context.
        dated = replace(reference, mtime="commit") if self._dated and not reference.mtime else reference
        return replace(dated, remote=f"https://{dated.remote}", looks_local=False) if dated.looks_local else dated

    def _hold(self, place: Path) -> Path:
        """See to it that a checkout is not pruned while this build may read it."""
        if place not in self._held:
            with told_plainly("hold a repository in", place.parent):
                place.parent.mkdir(parents=True, exist_ok=True)
                self._held[place] = hold(place)
        return place

    def _place(self, key: str) -> Path:
        return self._root / "checkouts" / hex_of(sha256(key.encode("utf-8", "surrogateescape")))[:32]

    # ------------------------------------------------------------ the network

    def _ask(self, reference: GitReference) -> Commit:
        self._git.begin()
        commit = ask(self._git, reference)
        write_whole(self._note(reference), json.dumps(to_builtins(commit)).encode("utf-8", "surrogateescape"))
        return commit

    # ------------------------------------------------------------ what is noted

    def _note(self, reference: GitReference) -> Path:
        asked = f"{reference.remote}#{reference.ref}".encode("utf-8", "surrogateescape")
        return self._root / "refs" / f"{hex_of(sha256(asked))[:32]}.json"

    def _noted(self, reference: GitReference) -> Commit | None:
        """Read which commit a ref meant when it was last asked for."""
        try:
            fields: dict[str, Any] = json.loads(self._note(reference).read_bytes())
            return Commit(**fields)
        except (OSError, ValueError, TypeError):
            return None  # no note, or one cut short: the server is asked anew


def _close(held: dict[Path, int]) -> None:
    while held:
        os.close(held.popitem()[1])


def _named(reference: GitReference) -> Commit | None:
    """Give the commit that the reference itself names, so that nobody has to be asked."""
    if is_commit(reference.ref):
        return Commit(reference.ref, reference.ref)
    if not reference.fetch_by_commit:
        return None
    if not is_commit(reference.checksum):
        message = "fetch-by-commit requires a full commit SHA as checksum or ref"
        raise BuildError(f"{_NO_KEY}: {message}", hint="write checksum=<commit>")
    ref = reference.ref if reference.ref.startswith("refs/") or not reference.ref else f"refs/heads/{reference.ref}"
    return Commit(ref or reference.checksum, reference.checksum)


def _check(reference: GitReference, commit: Commit) -> None:
    found = [sha for sha in (commit.sha, commit.peeled) if sha]
    if not any(sha.startswith(reference.checksum) for sha in found):
        message = f"{_NO_KEY}: expected checksum to match {reference.checksum}, got {' or '.join(found)}"
        raise BuildError(message, hint="the ref has moved, or is not the one that the checksum was taken of")
