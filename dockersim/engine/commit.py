"""Which commit a ref of a remote repository means: ``git ls-remote``, and how its answer is read.

BuildKit does this in source/git, ``resolveMetadataFromURL`` and ``getDefaultBranch``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from dockersim.dockerfile import Switch
from dockersim.dockerfile.passwords import without_password
from dockersim.engine.git import Git, GitFailed
from dockersim.errors import BuildError

if TYPE_CHECKING:
    from dockersim.dockerfile import GitReference

_COMMIT_LENGTHS = (40, 64)
"""Hex digits of a commit's name, in sha1 and in sha256 repositories."""

_HINT = "check the address and the network; a private repository cannot be asked for without its token or key"


class Commit(Struct, frozen=True):
    """What a ref means: its name in full, the object it names, and the commit behind that if it is a tag."""

    ref: str
    sha: str
    peeled: str = ""

    def key(self, wanted: GitReference) -> str:
        """Name what is taken of the repository, as BuildKit does (``shaToCacheKey``): where it came from is no matter.

        A tag counts as the commit it names, unless the repository's own files are wanted, too.
        """
        keep = wanted.keep_git_dir is Switch.ON
        key = self.sha if keep or not self.peeled else self.peeled
        if keep:
            key += f".git#{self.ref}"
        if wanted.subdir.strip("/"):
            key += f":{wanted.subdir}"
        if wanted.submodules is Switch.OFF:
            key += "(skip-submodules)"
        return f"{key}(mtime=commit)" if wanted.mtime == "commit" else key


def is_commit(text: str) -> bool:
    """Tell whether ``text`` is a commit in full (BuildKit, ``IsCommitSHA``)."""
    return len(text) in _COMMIT_LENGTHS and not text.strip("0123456789abcdef")


def ask(git: Git, reference: GitReference) -> Commit:
    """Ask the server. Raises BuildError if it does not answer, or has no such ref."""
    ref = reference.ref or _default_branch(git, reference.remote)
    answer = _list(git, reference.remote, ref, f"{ref}^{{}}")
    commit = choose(ref, answer)
    if commit is None or not is_commit(commit.sha) or not is_commit(commit.peeled or commit.sha):
        message = f"failed to load cache key: repository does not contain ref {ref}"
        raise BuildError(message, hint=f"that is what {without_password(reference.remote)} answers")
    return commit


def choose(ref: str, answer: str) -> Commit | None:
    """Choose among the refs that ``git ls-remote`` lists: a ref in full, else a branch, else a tag; None for none.

    >>> choose("v1", "aa\\trefs/tags/v1\\nbb\\trefs/tags/v1^{}\\n")
    Commit(ref='refs/tags/v1', sha='aa', peeled='bb')
    >>> choose("v1", "aa\\trefs/tags/v1\\ncc\\trefs/heads/v1\\n")
    Commit(ref='refs/heads/v1', sha='cc', peeled='')
    """
    listed = {name: sha for sha, _, name in (line.partition("\t") for line in answer.splitlines())}
    tag = f"refs/tags/{ref.removeprefix('refs/tags/')}"
    for name in (f"refs/{ref.removeprefix('refs/')}", f"refs/heads/{ref.removeprefix('refs/heads/')}"):
        if name in listed and name != tag:
            return Commit(name, listed[name])
    return Commit(tag, listed[tag], listed.get(f"{tag}^{{}}", "")) if tag in listed else None


def _default_branch(git: Git, remote: str) -> str:
    """Ask for the branch that HEAD means."""
    for line in _list(git, remote, "HEAD", symbolic=True).splitlines():
        words, _, name = line.partition("\t")
        if name == "HEAD" and words.startswith("ref: refs/heads/"):
            return words.removeprefix("ref: refs/heads/")
    raise BuildError(f"could not find default branch for repository: {without_password(remote)}", hint="name a ref")


def _list(git: Git, remote: str, *patterns: str, symbolic: bool = False) -> str:
    try:
        return git.ask(remote, "ls-remote", *(["--symref"] if symbolic else []), "--", remote, *patterns)
    except GitFailed as error:
        message = f"failed to load cache key: failed to fetch remote {without_password(remote)}: {error.message}"
        raise BuildError(message, hint=_HINT) from error
