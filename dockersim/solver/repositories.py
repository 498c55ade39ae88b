"""The Git repositories that an ADD names, with what its flags say of them (BuildKit: ``dispatchCopy``)."""

from __future__ import annotations

import re

from msgspec.structs import replace

from dockersim.dockerfile import Add, Copy, Switch
from dockersim.dockerfile.gitreference import GitReference, parse_git_reference
from dockersim.errors import DockerfileError
from dockersim.source import At

_COMMIT = re.compile(r"[a-fA-F0-9]+")


def git_sources(sources: tuple[str, ...], copy: Copy | Add, checksum: str) -> dict[str, GitReference]:
    """Find the Git repositories among ``sources``, with the flags of the instruction put into them.

    Raises DockerfileError in BuildKit's words: for COPY, which takes none, and for flags that contradict the query.
    """
    return {source: found for source in sources if (found := _git_source(source, copy, checksum)) is not None}


def _git_source(source: str, copy: Copy | Add, checksum: str) -> GitReference | None:
    found = parse_git_reference(source)
    if found is None or found.looks_local:
        return None
    if isinstance(copy, Copy):
        raise DockerfileError("source can't be a git ref for COPY", at=copy.at, hint="use ADD")
    if Switch.UNSET not in (copy.keep_git_dir, found.keep_git_dir) and copy.keep_git_dir is not found.keep_git_dir:
        raise DockerfileError("inconsistent keep-git-dir configuration", at=copy.at)
    if checksum and found.checksum and checksum != found.checksum:
        raise DockerfileError(f'checksum mismatch "{checksum}" != "{found.checksum}"', at=copy.at)
    wanted = found.checksum or checksum
    _check_commit(wanted, copy.at)
    keep = copy.keep_git_dir if found.keep_git_dir is Switch.UNSET else found.keep_git_dir
    return replace(found, checksum=wanted, keep_git_dir=keep)


def _check_commit(checksum: str, at: At) -> None:
    if checksum and not _COMMIT.fullmatch(checksum):
        message = f"invalid checksum {checksum} for Git URL, expected hex commit hash"
        raise DockerfileError(message, at=at, hint="write the commit as git log shows it")
