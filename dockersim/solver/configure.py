"""What the instructions that run nothing do to the image's config, and what they write into its history.

One function an instruction, in a table; the spelling is that of BuildKit's ``dispatch...`` functions
(frontend/dockerfile/dockerfile2llb/convert.go).
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from dockersim.dockerfile import (
    Cmd,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Shell,
    ShellForm,
    StopSignal,
    User,
    Volume,
    expand_words,
    parse_ports,
)
from dockersim.errors import DockerfileError
from dockersim.oci import ContainerConfig, ImageConfig
from dockersim.oci import Healthcheck as HealthcheckConfig
from dockersim.solver.names import go_list, go_quoted_list
from dockersim.solver.scope import DEFAULT_PATH, Scope

DEFAULT_SHELL = ("/bin/sh", "-c")

_SIGNALS = frozenset(
    [
        "ABRT",
        "ALRM",
        "BUS",
        "CHLD",
        "CLD",
        "CONT",
        "FPE",
        "HUP",
        "ILL",
        "INT",
        "IO",
        "IOT",
        "KILL",
        "PIPE",
        "POLL",
        "PROF",
        "PWR",
        "QUIT",
        "SEGV",
        "STKFLT",
        "STOP",
        "SYS",
        "TERM",
        "TRAP",
        "TSTP",
        "TTIN",
        "TTOU",
        "URG",
        "USR1",
        "USR2",
        "VTALRM",
        "WINCH",
        "XCPU",
        "XFSZ",
    ]
)
"""Linux's signals (moby/sys signal_linux.go); not the host's, which may be macOS or Windows."""


class Draft(Struct):
    """The config of a stage in the making. ``cmd_set`` says that this very stage has had a CMD."""

    config: ImageConfig
    scope: Scope
    escape: str = "\\"
    cmd_set: bool = False

    def change(self, **fields: object) -> None:
        """Replace fields of the container's part of the config."""
        container: ContainerConfig = replace(self.config.config, **fields)
        self.config = replace(self.config, config=container)

    @property
    def container(self) -> ContainerConfig:
        """The container's part of the config."""
        return self.config.config

    def command(self, form: ShellForm | ExecForm) -> tuple[str, ...]:
        """Give the words of a command; the shell form is put behind the stage's shell."""
        if isinstance(form, ExecForm):
            return form.argv
        return (*(self.container.shell or DEFAULT_SHELL), form.text)


def configure(draft: Draft, instruction: Instruction) -> str | None:
    """Let ``instruction`` change the config; return its history entry (None: it has none)."""
    return _CONFIGURE[type(instruction)](draft, instruction)


def changes_config_only(instruction: Instruction) -> bool:
    """Tell whether ``configure`` is all there is to do for ``instruction``."""
    return type(instruction) in _CONFIGURE


def with_env(env: tuple[str, ...], name: str, value: str) -> tuple[str, ...]:
    """Set a variable in a list of ``NAME=value``; one that is there keeps its place."""
    pair = f"{name}={value}"
    names = [one.partition("=")[0] for one in env]
    if name in names:
        at = names.index(name)
        return (*env[:at], pair, *env[at + 1 :])
    return (*env, pair)


def _env(draft: Draft, env: Env) -> str:
    word = draft.scope.word(draft.escape, env.at)
    pairs = [(word(pair.name), word(pair.value)) for pair in env.pairs]
    for name, value in pairs:
        draft.scope.set(name, value, "ENV", env.at.line)
        draft.change(env=with_env(draft.container.env, name, value))
    return " ".join(["ENV", *(f"{name}={value}" for name, value in pairs)])


def _label(draft: Draft, label: Label) -> str:
    word = draft.scope.word(draft.escape, label.at)
    pairs = [(word(pair.name), word(pair.value)) for pair in label.pairs]
    draft.change(labels={**draft.container.labels, **dict(pairs)})
    return " ".join(["LABEL", *(f"{name}={value}" for name, value in pairs)])


def _user(draft: Draft, user: User) -> str:
    name = draft.scope.word(draft.escape, user.at)(user.user)
    draft.change(user=name)
    return f"USER {name}"


def _cmd(draft: Draft, cmd: Cmd) -> str:
    words = draft.command(cmd.command)
    draft.change(cmd=words, args_escaped=True)
    draft.cmd_set = True
    return f"CMD {go_quoted_list(words)}"


def _entrypoint(draft: Draft, entrypoint: Entrypoint) -> str:
    words = draft.command(entrypoint.command)
    draft.change(entrypoint=words)
    if not draft.cmd_set:
        # An inherited CMD was meant for another program.
        draft.change(cmd=())
    return f"ENTRYPOINT {go_quoted_list(words)}"


def _expose(draft: Draft, expose: Expose) -> str:
    words = [one for word in expose.ports for one in expand_words(word, draft.scope.values, draft.escape, at=expose.at)]
    ports = tuple(port for word in words for port in parse_ports(word))
    draft.change(exposed_ports=tuple(dict.fromkeys((*draft.container.exposed_ports, *ports))))
    return f"EXPOSE {go_list(ports)}"


def _volume(draft: Draft, volume: Volume) -> str:
    word = draft.scope.word(draft.escape, volume.at)
    paths = tuple(word(path) for path in volume.paths)
    if "" in paths:
        raise DockerfileError("VOLUME specified can not be an empty string", at=volume.at)
    draft.change(volumes=tuple(dict.fromkeys((*draft.container.volumes, *paths))))
    return f"VOLUME {go_list(paths)}"


def _shell(draft: Draft, shell: Shell) -> str:
    draft.change(shell=shell.argv)
    return f"SHELL {go_list(shell.argv)}"


def _stop_signal(draft: Draft, stop: StopSignal) -> str:
    name = draft.scope.word(draft.escape, stop.at)(stop.signal)
    if not _is_signal(name):
        raise DockerfileError(f"invalid signal: {name}", at=stop.at, hint="use a name such as SIGTERM, or a number")
    draft.change(stop_signal=name)
    return f"STOPSIGNAL {name}"


def _is_signal(name: str) -> bool:
    if name.isascii() and name.isdigit():
        return int(name) != 0
    upper = name.upper().removeprefix("SIG")
    return upper in _SIGNALS or upper.startswith(("RTMIN", "RTMAX"))


def _healthcheck(draft: Draft, check: Healthcheck) -> str:
    health = HealthcheckConfig(
        check.test, check.interval, check.timeout, check.start_period, check.start_interval, check.retries
    )
    draft.change(healthcheck=health)
    times = " ".join(
        f"{name}:{go_duration(value)}"
        for name, value in (
            ("Interval", check.interval),
            ("Timeout", check.timeout),
            ("StartPeriod", check.start_period),
            ("StartInterval", check.start_interval),
        )
    )
    return f"HEALTHCHECK {{Test:{go_list(check.test)} {times} Retries:{check.retries}}}"


def _maintainer(draft: Draft, maintainer: Maintainer) -> str:
    draft.config = replace(draft.config, author=maintainer.author)
    return f"MAINTAINER {maintainer.author}"


def _on_build(draft: Draft, on_build: OnBuild) -> None:
    draft.change(on_build=(*draft.container.on_build, on_build.trigger))


_CONFIGURE: dict[type, Callable[..., str | None]] = {
    Env: _env,
    Label: _label,
    User: _user,
    Cmd: _cmd,
    Entrypoint: _entrypoint,
    Expose: _expose,
    Volume: _volume,
    Shell: _shell,
    StopSignal: _stop_signal,
    Healthcheck: _healthcheck,
    Maintainer: _maintainer,
    OnBuild: _on_build,
}


def empty_config(platform: str) -> ImageConfig:
    """Give the config that FROM scratch begins with."""
    system, _, rest = platform.partition("/")
    architecture, _, variant = rest.partition("/")
    return ImageConfig(architecture, system, ContainerConfig(working_dir="/"), variant=variant)


def with_path(config: ImageConfig) -> ImageConfig:
    """Make sure that PATH is set, as BuildKit does in every stage."""
    env = config.config.env
    if any(pair.startswith("PATH=") for pair in env):
        return config
    return replace(config, config=replace(config.config, env=with_env(env, "PATH", DEFAULT_PATH)))


def working_directory(current: str, path: str) -> str:
    """Give the config's WorkingDir: an absolute path as written, a relative one joined (and then clean)."""
    if path.startswith("/"):
        return path
    return posixpath.normpath(posixpath.join("/", current, path))


def go_duration(nanoseconds: int) -> str:
    """Print a duration as Go does: ``1m30s``, ``500ms``, ``0s``."""
    if nanoseconds == 0:
        return "0s"
    for unit, size in (("ns", 1_000), ("µs", 1_000_000), ("ms", 1_000_000_000)):
        if nanoseconds < size:
            return f"{_decimal(nanoseconds, size // 1000)}{unit}"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_decimal(rest, 1_000_000_000)}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = str(part).rjust(len(str(unit)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)
