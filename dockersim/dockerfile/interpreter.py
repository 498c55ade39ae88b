"""From nodes to typed instructions: argument counts, flags, values.

BuildKit: frontend/dockerfile/instructions/parse.go. Errors carry BuildKit's words; `interpret` puts the place
to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypedDict

from dockersim.dockerfile import instructions as i
from dockersim.dockerfile.arguments import KEYWORDS
from dockersim.dockerfile.flags import Flags, Kind, read_flags
from dockersim.dockerfile.gotext import SPACE, parse_duration, quote
from dockersim.dockerfile.heredoc import Heredoc, is_heredoc, parse_heredoc
from dockersim.dockerfile.mounts import MountFlag, parse_device
from dockersim.dockerfile.node import Node, point_out
from dockersim.dockerfile.suggest import nearest
from dockersim.errors import DockerfileError

_STAGE_NAME: Final = re.compile(r"[a-z][a-z0-9-_.]*")
_ONBUILD: Final = re.compile(r"[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*", re.IGNORECASE)
_LEAST_DURATION: Final = 10**6
_COPY_FLAGS: Final = {
    "chown": Kind.TEXT, "from": Kind.TEXT, "chmod": Kind.TEXT, "link": Kind.SWITCH, "exclude": Kind.TEXTS,
    "parents": Kind.SWITCH,
}  # fmt: skip
_ADD_FLAGS: Final = {
    "chown": Kind.TEXT, "chmod": Kind.TEXT, "link": Kind.SWITCH, "keep-git-dir": Kind.SWITCH, "checksum":
    Kind.TEXT, "unpack": Kind.SWITCH, "exclude": Kind.TEXTS,
}  # fmt: skip
_RUN_FLAGS: Final = {"mount": Kind.TEXTS, "network": Kind.TEXT, "security": Kind.TEXT, "device": Kind.TEXTS}
_HEALTH_FLAGS: Final = dict.fromkeys(("interval", "timeout", "start-period", "start-interval", "retries"), Kind.TEXT)


def interpret(node: Node) -> i.Instruction:
    """Give a node its meaning; DockerfileError says what is wrong with it, and where."""
    read = _READERS.get(node.name)
    try:
        if read is None:
            suggestion = nearest(node.name, KEYWORDS)
            hint = f"did you mean {suggestion}?" if suggestion else ""
            raise DockerfileError(f"unknown instruction: {node.keyword}", hint=hint)
        return read(node)
    except DockerfileError as error:
        at = point_out(error.message, node.at, node.raw, node.column)
        raise DockerfileError(error.message, at=at, hint=error.hint) from None


class _Source(TypedDict):
    at: Any
    raw: str
    keyword: str
    comments: tuple[str, ...]
    flags: tuple[str, ...]


def _source(node: Node) -> _Source:
    return {
        "at": node.at,
        "raw": node.raw.strip(SPACE),
        "keyword": node.keyword,
        "comments": node.comments,
        "flags": node.flags,
    }


def _no_flags(node: Node) -> None:
    read_flags(node.flags, {})


def _exactly_one(node: Node) -> str:
    if len(node.words) != 1:
        raise DockerfileError(f"{node.name} requires exactly one argument")
    return node.words[0]


def _at_least_one(node: Node) -> tuple[str, ...]:
    if not node.words:
        raise DockerfileError(f"{node.name} requires at least one argument")
    return node.words


def _doc(comments: tuple[str, ...], name: str) -> str:
    """Find the comment that describes ``name``: it begins with it."""
    if not name:
        return ""
    return next((line.removeprefix(f"{name} ") for line in comments if line.startswith(f"{name} ")), "")


def _from(node: Node) -> i.From:
    separator, written = node.words[1:] if len(node.words) == 3 else ("", "")
    if separator.lower() == "as":
        if not _STAGE_NAME.fullmatch(written.lower()):
            problem = "name can't start with a number or contain symbols"
            raise DockerfileError(f"invalid name for build stage: {quote(written)}, {problem}")
    elif len(node.words) != 1:
        raise DockerfileError("FROM requires either one or three arguments")
    flags = read_flags(node.flags, {"platform": Kind.TEXT})
    return i.From(
        **_source(node),
        image=node.words[0],
        name=written.lower(),
        name_as_written=written,
        platform=flags.text("platform"),
        doc=_doc(node.comments, written.lower()),
    )


def _command(node: Node) -> i.Command:
    return i.ExecForm(node.words) if node.json else i.ShellForm(" ".join(node.words))


def _run(node: Node) -> i.Run:
    flags = read_flags(node.flags, _RUN_FLAGS)
    mounts = tuple(map(MountFlag, flags.texts("mount")))
    devices = tuple(map(parse_device, flags.texts("device")))
    for mount in mounts:
        mount.check()
    network, security = flags.text("network", "default"), flags.text("security", "sandbox")
    if network not in ("default", "none", "host"):
        raise DockerfileError(f"invalid network mode {quote(network)}", hint="it is default, none or host")
    if security not in ("insecure", "sandbox"):
        raise DockerfileError(f"security {quote(security)} is not valid", hint="it is sandbox or insecure")
    return i.Run(
        **_source(node),
        command=_command(node),
        heredocs=node.heredocs,
        mounts=mounts,
        network=network,
        security=security,
        devices=devices,
        given=flags.given,
    )


def _sources(node: Node) -> tuple[tuple[str, ...], tuple[Heredoc, ...], str]:
    """Tell apart what COPY and ADD take: paths, here-documents, and the destination."""
    words, destination = node.words[:-1], node.words[-1]
    if is_heredoc(destination):
        raise DockerfileError(f"{node.name} cannot accept a heredoc as a destination")
    contents = {heredoc.name: heredoc.content for heredoc in node.heredocs}
    paths: list[str] = []
    heredocs: list[Heredoc] = []
    for word in words:
        heredoc = parse_heredoc(word) if is_heredoc(word) else None
        if heredoc is None:
            paths.append(word)
        else:
            content = contents.get(heredoc.name, "")
            heredocs.append(Heredoc(heredoc.name, heredoc.expand, heredoc.chomp, heredoc.descriptor, content))
    return tuple(paths), tuple(heredocs), destination


def _two_or_more(node: Node) -> None:
    if len(node.words) < 2:
        problem = f"{node.name} requires at least two arguments, but only one was provided"
        raise DockerfileError(f"{problem}. Destination could not be determined")


def _copy(node: Node) -> i.Copy:
    _two_or_more(node)
    flags = read_flags(node.flags, _COPY_FLAGS)
    sources, heredocs, destination = _sources(node)
    return i.Copy(
        **_source(node),
        sources=sources,
        destination=destination,
        heredocs=heredocs,
        from_=flags.text("from"),
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=flags.is_on("link"),
        parents=flags.is_on("parents"),
        excludes=flags.texts("exclude"),
    )


def _add(node: Node) -> i.Add:
    _two_or_more(node)
    flags = read_flags(node.flags, _ADD_FLAGS)
    sources, heredocs, destination = _sources(node)
    return i.Add(
        **_source(node),
        sources=sources,
        destination=destination,
        heredocs=heredocs,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=flags.is_on("link"),
        excludes=flags.texts("exclude"),
        checksum=flags.text("checksum"),
        keep_git_dir=flags.switch("keep-git-dir"),
        unpack=flags.switch("unpack"),
    )


def _pairs(node: Node) -> tuple[i.Pair, ...]:
    _no_flags(node)
    words = _at_least_one(node)
    if len(words) % 3:
        raise DockerfileError(f"Bad input to {node.name}, too many arguments")
    if not all(words[::3]):
        raise DockerfileError(f"{node.name} names can not be blank")
    triples = zip(words[::3], words[1::3], words[2::3], strict=True)
    return tuple(i.Pair(name, value, not delimiter) for name, value, delimiter in triples)


def _arg(node: Node) -> i.Arg:
    declarations = []
    for word in _at_least_one(node):
        name, equals, value = word.partition("=")
        if equals and not name:
            raise DockerfileError("ARG names can not be blank")
        declarations.append(i.Declaration(name, value if equals else None, _doc(node.comments, name)))
    return i.Arg(**_source(node), declarations=tuple(declarations))


def _workdir(node: Node) -> i.Workdir:
    path = _exactly_one(node)
    _no_flags(node)
    return i.Workdir(**_source(node), path=path)


def _user(node: Node) -> i.User:
    user = _exactly_one(node)
    _no_flags(node)
    return i.User(**_source(node), user=user)


def _maintainer(node: Node) -> i.Maintainer:
    author = _exactly_one(node)
    _no_flags(node)
    return i.Maintainer(**_source(node), author=author)


def _cmd(node: Node) -> i.Cmd:
    _no_flags(node)
    return i.Cmd(**_source(node), command=_command(node))


def _entrypoint(node: Node) -> i.Entrypoint:
    _no_flags(node)
    return i.Entrypoint(**_source(node), command=_command(node))


def _expose(node: Node) -> i.Expose:
    ports = _at_least_one(node)
    _no_flags(node)
    return i.Expose(**_source(node), ports=tuple(sorted(ports)))


def _volume(node: Node) -> i.Volume:
    words = _at_least_one(node)
    _no_flags(node)
    paths = tuple(word.strip(SPACE) for word in words)
    if "" in paths:
        raise DockerfileError("VOLUME specified can not be an empty string")
    return i.Volume(**_source(node), paths=paths)


def _shell(node: Node) -> i.Shell:
    _no_flags(node)
    words = _at_least_one(node)
    if not node.json:
        hint = 'as in SHELL ["/bin/sh", "-c"]'
        raise DockerfileError("SHELL requires the arguments to be in JSON form", hint=hint)
    return i.Shell(**_source(node), argv=words)


def _stop_signal(node: Node) -> i.StopSignal:
    return i.StopSignal(**_source(node), signal=_exactly_one(node))


def _healthcheck(node: Node) -> i.Healthcheck:
    kind, words = _at_least_one(node)[0], node.words[1:]
    if kind.upper() == "NONE":
        if words:
            raise DockerfileError("HEALTHCHECK NONE takes no arguments")
        return i.Healthcheck(**_source(node), test=("NONE",))
    flags = read_flags(node.flags, _HEALTH_FLAGS)
    if kind.upper() != "CMD":
        raise DockerfileError(f"Unknown type {quote(kind.upper())} in HEALTHCHECK (try CMD)")
    if not words:
        raise DockerfileError("Missing command after HEALTHCHECK CMD")
    return i.Healthcheck(
        **_source(node),
        test=("CMD", *words) if node.json else ("CMD-SHELL", " ".join(words)),
        interval=_duration(flags, "interval"),
        timeout=_duration(flags, "timeout"),
        start_period=_duration(flags, "start-period"),
        start_interval=_duration(flags, "start-interval"),
        retries=_retries(flags.text("retries")),
    )


def _duration(flags: Flags, name: str) -> int:
    if not (text := flags.text(name)):
        return 0
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise DockerfileError(str(error), hint="write it as 30s or 1m30s") from None
    if duration and duration < _LEAST_DURATION:
        raise DockerfileError(f"Interval {quote(name)} cannot be less than 1ms")
    return duration


def _retries(text: str) -> int:
    if not text:
        return 0
    digits = text[1:] if text[0] in "+-" else text
    if not digits or digits.strip("0123456789"):
        raise DockerfileError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    count = int(digits.lstrip("0")[:11] or "0") * (-1 if text[0] == "-" else 1)
    if not -(2**31) <= count < 2**31:
        raise DockerfileError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    if count < 0:
        raise DockerfileError(f"--retries cannot be negative ({count})")
    return count


def _onbuild(node: Node) -> i.OnBuild:
    keyword = _at_least_one(node)[0].upper()
    _no_flags(node)
    if keyword == "ONBUILD":
        raise DockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if keyword in ("MAINTAINER", "FROM"):
        raise DockerfileError(f"{keyword} isn't allowed as an ONBUILD trigger")
    trigger = _ONBUILD.sub("", node.raw, count=1)
    texts = "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in node.heredocs)
    return i.OnBuild(**_source(node), trigger=trigger + texts)


_READERS: Final[dict[str, Callable[[Node], i.Instruction]]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": lambda node: i.Env(pairs=_pairs(node), **_source(node)),
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": lambda node: i.Label(pairs=_pairs(node), **_source(node)),
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
