"""How steps are named and keyed: BuildKit's vertex names, history texts, and the normal form for the cache.

The spelling is that of frontend/dockerfile/dockerfile2llb/convert.go (``prefixCommand``, ``runCommandString``,
``commitToHistory``), since learners compare what they see here with what docker shows them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from dockersim.solver.key import CacheKey, Input
from dockersim.solver.plan import CopyOp, RunMount, RunOp, WorkdirOp


def command_words(op: RunOp) -> str:
    """Spell a command as BuildKit's errors do: the words with spaces between them, quotes and breaks escaped."""
    words = " ".join(op.argv)
    return words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")


def vertex_name(text: str, index: int, total: int, stage_name: str, *, trigger: bool) -> str:
    """Give the name under which BuildKit shows a step: ``[build 2/4] RUN make``.

    ``stage_name`` is "" in a build with a single source. The number is padded to the width of ``total``.
    """
    stage = f"{stage_name} " if stage_name else ""
    return f"[{stage}{index:>{len(str(total))}}/{total}] {'ONBUILD ' if trigger else ''}{text}"


def run_history(argv: tuple[str, ...], arguments: Mapping[str, str]) -> str:
    """Give the history entry of a RUN: the ARGs in scope are counted and listed before the command."""
    words = [f"{name}={value}" for name, value in arguments.items()]
    count = [f"|{len(words)}"] if words else []
    return f"RUN {' '.join([*count, *words, *argv])} # buildkit"


def copy_history(keyword: str, op: CopyOp, sources: tuple[str, ...], destination: str) -> str:
    """Give the history entry of a COPY or ADD; here-documents come after the files, most flags are not shown."""
    words = [keyword.upper()]
    if op.parents:
        words.append("--parents")
    if op.chown:
        words.append(f"--chown={op.chown}")
    if op.chmod:
        words.append(f"--chmod={op.chmod}")
    words += [*sources, *(f"<<{name}" for name, _ in op.inline), destination]
    return f"{' '.join(words)} # buildkit"


def go_list(words: tuple[str, ...]) -> str:
    """Print a list as Go's ``%v`` does: ``[a b]``."""
    return f"[{' '.join(words)}]"


def go_quoted_list(words: tuple[str, ...]) -> str:
    """Print a list as Go's ``%q`` does: ``["a" "b"]``."""
    return f"[{' '.join(json.dumps(word, ensure_ascii=False) for word in words)}]"


def key_of(op: RunOp | CopyOp | WorkdirOp, parent: str, files: tuple[Input, ...]) -> CacheKey:
    """Make the cache key of a step on top of the step with key ``parent``.

    What counts is what BuildKit counts (ORACLE.md, "Cache"): for RUN the words, environment, user, directory and
    network; for COPY the cleaned sources, the absolute destination, the flags and the files; for WORKDIR the
    directory and who owns it. How it was spelt does not count, nor at which address a name of --add-host is.
    """
    match op:
        case RunOp():
            options: tuple[tuple[str, str], ...] = ()
            if op.network != "default":
                options += (("--network", op.network),)
            if op.hosts:  # the names only (BuildKit, ``ExecOp.CacheMap`` drops the addresses)
                options += (("--add-host", " ".join(name for name, _ in op.hosts)),)
            if op.hostname:
                options += (("hostname", op.hostname),)
            if op.script is not None:
                options += (("script", op.script[1]),)
            options += tuple(_mount_option(one) for one in op.mounts)
            words = f"RUN {json.dumps(list(op.argv), ensure_ascii=False)}"
            return CacheKey(parent, words, op.environment, op.user, op.directory, options, files)
        case CopyOp():
            return CacheKey(parent, _copy_words(op), options=_copy_options(op), inputs=files)
        case WorkdirOp(path, user):
            return CacheKey(parent, f"WORKDIR {path}", user=user)


def linked(parent: str, key: CacheKey) -> str:
    """Name what a linked copy and the layers below make together (BuildKit's merge vertex)."""
    return CacheKey(parent, f"LINK {key.digest}").digest


def _mount_option(one: RunMount) -> tuple[str, str]:
    """Spell what of a mount counts for the key: how it is mounted.

    Where its files come from does not count, as the files themselves do, nor with whom a cache is shared (BuildKit,
    ``ExecOp.CacheMap``).
    """
    mount = one.mount
    words = [f"type={mount.type.value}", "ro" if mount.read_only else "rw"]
    facts = {
        "id": mount.id,
        "size": str(mount.size or ""),
        "required": "true" if mount.required else "",
        "env": mount.env or "",
        "mode": "" if mount.mode is None else f"{mount.mode:04o}",
        "uid": "" if mount.uid is None else str(mount.uid),
        "gid": "" if mount.gid is None else str(mount.gid),
    }
    words += [f"{name}={value}" for name, value in facts.items() if value]
    return f"--mount {mount.target or mount.id}", ",".join(words)


def _copy_words(op: CopyOp) -> str:
    sources = [f"/{pattern}" for pattern in op.patterns]
    sources += [f"/{url_file_name(url)}" for url in op.urls]
    sources += ["git:" for _ in op.repositories]  # which one does not count, only the commit does
    sources += [f"<<{name}" for name, _ in op.inline]
    return " ".join(["ADD" if op.add else "COPY", *sources, op.destination])


def url_file_name(url: str) -> str:
    """Give the name that a download gets: the last part of its path, decoded.

    >>> url_file_name("https://example.com/a/b%20c.txt?d=/e"), url_file_name("https://example.com/")
    ('b c.txt', '__unnamed__')
    """
    try:
        path = urlsplit(url).path
    except ValueError:
        path = ""  # no address at all; asking for it will say so
    name = unquote(path, errors="surrogateescape").rstrip("/").rpartition("/")[2]
    return name if name.strip(".") and "\0" not in name else "__unnamed__"


def _copy_options(op: CopyOp) -> tuple[tuple[str, str], ...]:
    unpacked = {op.unpack for _ in op.patterns} | {op.unpack_urls for _ in op.urls}
    flags = {
        "--chown": op.chown,
        "--chmod": op.chmod.lstrip("0") or "0" if op.chmod.isdecimal() else op.chmod,
        "--link": "true" if op.link else "",
        "--parents": "true" if op.parents else "",
        "--exclude": " ".join(op.exclude),
        "--unpack": "" if unpacked <= {op.add} else "false",
    }
    inline = tuple((f"<<{name}", text) for name, text in op.inline)
    return tuple((name, value) for name, value in flags.items() if value) + inline
