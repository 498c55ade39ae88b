"""The files of one commit, laid out as BuildKit has them (source/git, ``checkout``).

Everything is made in a directory that belongs to this process, and moved to its place when it is whole. Nothing in it
is followed: a subdir that is a link is refused, and later the files are read as those of any context are.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from posixpath import normpath
from typing import TYPE_CHECKING

from dockersim.content.disk import told_plainly
from dockersim.dockerfile import Switch
from dockersim.dockerfile.passwords import without_password
from dockersim.engine.commit import Commit
from dockersim.engine.git import Git, GitFailed
from dockersim.errors import BuildError
from dockersim.snapshots.sweep import room_in

if TYPE_CHECKING:
    from dockersim.dockerfile import GitReference

_SECOND = 1_000_000_000


def check_out(git: Git, wanted: GitReference, commit: Commit, place: Path) -> None:
    """Fetch ``commit`` and lay the files that are ``wanted`` out at ``place``. Raises BuildError."""
    staging = place.parent.parent / "staging"
    with told_plainly("check a repository out in", staging), room_in(staging) as room:
        _Checkout(git, wanted, commit, room).make().rename(place)


class _Checkout:
    """One checkout in the making, in a directory of its own."""

    def __init__(self, git: Git, wanted: GitReference, commit: Commit, room: Path) -> None:
        self._git = git
        self._wanted = wanted
        self._commit = commit
        self._subdir = normpath(f"/{wanted.subdir}").strip("/")
        self._files = room / "files"
        self._keep = wanted.keep_git_dir is Switch.ON and not self._subdir
        self._git_dir = self._files / ".git" if self._keep else room / "git"

    def make(self) -> Path:
        """Make it and return the directory that holds what is wanted."""
        self._files.mkdir(0o755)
        try:
            self._fetch()
            self._call("checkout", "--quiet", "--force", "--detach", f"{self._commit.sha}^{{commit}}")
            self._update_submodules()
        except GitFailed as error:
            message = f"failed to fetch remote {without_password(self._wanted.remote)}: {error.message}"
            raise BuildError(message) from error
        self._tidy()
        if self._wanted.mtime == "commit":
            _date(self._files, self._committed_at())
        return self._below()

    def _call(self, *words: str) -> str:
        return self._git.work(self._git_dir, self._files, self._wanted.remote, *words)

    # ------------------------------------------------------------ fetching

    def _fetch(self) -> None:
        """Fetch the one commit; from a server that does not give single commits, everything."""
        kind = ["--object-format=sha256"] if len(self._commit.sha) > 40 else []
        self._call("init", "--quiet", "--template=", *kind)
        self._call("remote", "add", "origin", self._wanted.remote)
        named = self._keep and self._commit.ref.startswith("refs/")
        what = f"{self._commit.sha}:{self._commit.ref}" if named else self._commit.sha
        try:
            self._call("fetch", "--quiet", "--no-tags", "--update-head-ok", "--depth=1", "--", "origin", what)
        except GitFailed:
            self._call("fetch", "--quiet", "--tags", "--", "origin", "+refs/*:refs/remotes/origin/*")
            if named:
                self._call("update-ref", self._commit.ref, self._commit.sha)

    def _update_submodules(self) -> None:
        if self._wanted.submodules is Switch.OFF or not os.path.lexists(self._files / ".gitmodules"):
            return
        words = ("submodule", "--quiet", "update", "--init", "--recursive")
        try:
            self._call(*words, "--depth=1")
        except GitFailed:
            self._call(*words)  # as above: not every server gives single commits

    # ------------------------------------------------------------ what is left of it

    def _tidy(self) -> None:
        """Take out what tells of this machine and not of the repository."""
        if self._keep:
            _forget_passwords(self._git_dir)
            return
        # Deviation: BuildKit leaves a file .git in each submodule, which names a directory of the builder; here it
        # is taken out.
        for folder, _, names in os.walk(self._files):
            if ".git" in names:
                os.unlink(os.path.join(folder, ".git"))

    def _committed_at(self) -> int:
        return int(self._call("log", "-1", "--format=%ct", f"{self._commit.sha}^{{commit}}"))

    def _below(self) -> Path:
        """Go down to the subdir, through nothing but directories."""
        found = self._files
        for name in self._subdir.split("/") if self._subdir else ():
            found = found / name
            if not os.path.lexists(found) or not stat.S_ISDIR(found.lstat().st_mode):
                message = f"invalid subdir {self._subdir}: {found.relative_to(self._files)} is not a directory"
                raise BuildError(message, hint=f"that is so at commit {self._commit.sha[:7]}")
        return found


def _forget_passwords(git_dir: Path) -> None:
    """Take passwords out of a repository and those of its submodules, which lie in it."""
    for folder, _, names in os.walk(git_dir):
        if "FETCH_HEAD" in names:
            os.unlink(os.path.join(folder, "FETCH_HEAD"))
        if "config" in names and not os.path.islink(config := os.path.join(folder, "config")):
            text = Path(config).read_text(encoding="utf-8", errors="surrogateescape")
            Path(config).write_text(without_password(text), encoding="utf-8", errors="surrogateescape")


def _date(top: Path, seconds: int) -> None:
    """Give every file and directory this time, links themselves, too."""
    time = (seconds * _SECOND, seconds * _SECOND)
    for folder, directories, names in os.walk(top, topdown=False):
        for name in (*directories, *names):
            os.utime(os.path.join(folder, name), ns=time, follow_symlinks=False)
    os.utime(top, ns=time)
