"""RUN, COPY and ADD as operations: words expanded, paths made absolute, here-documents put in their place.

BuildKit: ``dispatchRun`` and ``dispatchCopy`` in frontend/dockerfile/dockerfile2llb.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dockersim.dockerfile import Add, Copy, Heredoc, Lexing, Run, ShellForm, Switch, expand
from dockersim.errors import DockerfileError
from dockersim.filesystem import parse_chmod
from dockersim.solver.configure import Draft
from dockersim.solver.mounting import SourceFinder, run_mounts
from dockersim.solver.plan import BuildOptions, CopyOp, RunOp, Source
from dockersim.source import At

if TYPE_CHECKING:
    from dockersim.dockerfile import GitReference

_HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_DIGEST = re.compile(r"[a-z0-9]+([.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
"""Arguments that reach a RUN without an ARG, and never the cache key or history (reference, "Predefined ARGs")."""


_HOSTNAME = "BUILDKIT_SANDBOX_HOSTNAME"
"""The argument that names the machine which a RUN sees (reference, "BuildKit built-in build args")."""


def run_op(run: Run, draft: Draft, options: BuildOptions, find: SourceFinder) -> RunOp:
    """Make the operation of a RUN. Raises DockerfileError for what is not supported, naming it."""
    _refuse_unsupported(run, options)
    program = run.program
    # Quirk of BuildKit: a program in a here-document, too, is started by way of the shell.
    command = ShellForm(run.shell_text) if run.heredocs and isinstance(run.command, ShellForm) else run.command
    given = dict(options.build_args)
    return RunOp(
        draft.command(command),
        tuple(draft.scope.values.items()),
        draft.container.user,
        draft.container.working_dir or "/",
        # Quirk of BuildKit: --network=default of a RUN is no word of its own.
        options.network if run.network == "default" else run.network,
        (run.shell_text, program.body) if program else None,
        _proxies(given),
        run_mounts(run, draft.scope.word(draft.escape, run.at), draft.container.working_dir, find),
        options.add_hosts,
        given.get(_HOSTNAME, ""),
    )


def _proxies(build_args: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Give the proxies among the build arguments, in both spellings, as programs disagree about which one counts."""
    given = {name.upper(): value for name, value in build_args.items() if name.upper() in _PROXIES}
    return tuple((spelt, value) for name, value in given.items() for spelt in (name, name.lower()))


def _refuse_unsupported(run: Run, options: BuildOptions) -> None:
    if run.network == "host" and options.network != "host":  # which also allows it (buildx, build/opt.go)
        hint = "build with --network=host, or leave the flag out: a RUN here uses the host's network anyway"
        raise DockerfileError("failed to load LLB: network.host is not allowed", at=run.at, hint=hint)
    if run.security != "sandbox":
        raise DockerfileError("security.insecure is not allowed", at=run.at)
    if run.devices:
        raise DockerfileError("RUN --device is not supported", at=run.at)


def copy_op(copy: Copy | Add, source: Source, draft: Draft, body: Lexing) -> tuple[CopyOp, tuple[str, ...], str]:
    """Make the operation of a COPY or ADD; return it with the sources and destination as history shows them."""
    word = draft.scope.word(draft.escape, copy.at)
    sources = tuple(word(one) for one in copy.sources)
    destination = word(copy.destination)
    checksum = word(copy.checksum) if isinstance(copy, Add) else ""
    repositories = _repositories(sources, copy, checksum)
    urls = tuple(one for one in sources if one not in repositories and one.startswith(("http://", "https://")))
    if urls and isinstance(copy, Copy):
        raise DockerfileError("source can't be a URL for COPY", at=copy.at, hint="use ADD")
    chown, chmod = word(copy.chown), word(copy.chmod)
    _check_chmod(chmod, copy.at)
    parents = isinstance(copy, Copy) and copy.parents
    op = CopyOp(
        source,
        tuple(_pattern(one, parents=parents) for one in sources if one not in urls and one not in repositories),
        _absolute(destination, draft.container.working_dir or "/"),
        tuple((one.name, _text(one, draft, body, copy.at)) for one in copy.heredocs),
        urls,
        chown,
        chmod,
        copy.link,
        parents,
        copy.excludes,
        isinstance(copy, Add) and copy.unpack is not Switch.OFF,
        checksum,
        isinstance(copy, Add),
        isinstance(copy, Add) and copy.unpack is Switch.ON,
        tuple(repositories[one] for one in sources if one in repositories),
    )
    _check_remote(op, copy.at)
    return op, sources, destination


def _repositories(sources: tuple[str, ...], copy: Copy | Add, checksum: str) -> dict[str, GitReference]:
    """Find the Git repositories among the sources; most COPY have nothing but paths, and need no reader of them."""
    if not any("://" in source or "@" in source for source in sources):
        return {}
    from dockersim.solver.repositories import git_sources

    return git_sources(sources, copy, checksum)


def _check_remote(op: CopyOp, at: At) -> None:
    """Check --checksum as BuildKit does before anything runs."""
    if not op.checksum:
        return
    if len(op.urls) + len(op.repositories) + len(op.patterns) + len(op.inline) != 1:
        raise DockerfileError("checksum can't be specified for multiple sources", at=at)
    if not op.urls and not op.repositories:
        raise DockerfileError("checksum requires HTTP(S) or Git sources", at=at)
    if not op.repositories:
        _check_checksum(op.checksum, at)


def _check_checksum(checksum: str, at: At) -> None:
    """Check the form of a digest (opencontainers/go-digest, ``Digest.Validate``)."""
    algorithm, _, digits = checksum.partition(":")
    if not _DIGEST.fullmatch(checksum):
        raise DockerfileError("invalid checksum digest format", at=at, hint="write it as sha256:<64 hex digits>")
    if algorithm not in _HEX_DIGITS:
        raise DockerfileError("unsupported digest algorithm", at=at, hint="write it as sha256:<64 hex digits>")
    if len(digits) != _HEX_DIGITS[algorithm]:
        raise DockerfileError("invalid checksum digest length", at=at)
    if digits.strip("0123456789abcdef"):
        raise DockerfileError("invalid checksum digest format", at=at)


def _text(heredoc: Heredoc, draft: Draft, lexing: Lexing, at: At) -> str:
    if not heredoc.expand:
        return heredoc.body
    return expand(heredoc.body, draft.scope.values, "\\", lexing=lexing, at=at).text


def _check_chmod(chmod: str, at: At) -> None:
    if chmod:
        try:
            parse_chmod(chmod)
        except DockerfileError as error:
            raise DockerfileError(error.message, at=at, hint=error.hint) from None


def _pattern(source: str, *, parents: bool) -> str:
    """Clean a source, but leave its pivot (``a/./b``, only with --parents) where it is."""
    above, pivot, below = source.partition("/./")
    if parents and pivot:
        return f"{_cleaned(above)}/./{_cleaned(below)}"
    return _cleaned(source)


def _cleaned(source: str) -> str:
    """Clean a source: below its root, so that ``..`` leads nowhere else; "" is the root itself."""
    return posixpath.normpath(posixpath.join("/", source)).lstrip("/")


def _absolute(destination: str, directory: str) -> str:
    """Make a destination absolute and clean; the slash at its end, which means "into", stays."""
    into = destination.endswith(("/", "/.")) or destination in ("", ".")
    path = posixpath.normpath(posixpath.join("/", directory, destination))
    path = "/" + path.lstrip("/")
    return path if path == "/" or not into else f"{path}/"
