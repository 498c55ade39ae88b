"""Which variables an instruction sees, and where each value came from.

A stage's variables are those of its base image's Env, of ENV and of ARG, later ones over earlier ones; that is what
words are expanded with and what a RUN finds in its environment. Only ENV reaches the image's config.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, field

from dockersim.dockerfile import STEP_NAME, Dockerfile, expand
from dockersim.errors import DockerfileError
from dockersim.solver.plan import BuildOptions, VariableUse
from dockersim.source import At

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""BuildKit, util/system/path.go: DefaultPathEnvUnix."""


class Scope(Struct):
    """The variables of one stage at one point. ``arguments`` are the declared ARGs in order, None if never given."""

    values: dict[str, str] = field(default_factory=dict)
    origins: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    arguments: dict[str, str | None] = field(default_factory=dict)

    def copy(self) -> Scope:
        """Return a scope that can go its own way."""
        return Scope(dict(self.values), dict(self.origins), dict(self.arguments))

    def set(self, name: str, value: str, origin: str, line: int | None) -> None:
        """Give a variable a value; a name that is set again keeps its place."""
        self.values[name] = value
        self.origins[name] = (origin, line)

    def word(self, escape: str, at: At) -> Callable[[str], str]:
        """Give the function that expands a word with the values as they are now."""
        values = dict(self.values)

        def expanded(word: str) -> str:
            return expand(word, values, escape, at=at).text

        return expanded

    def in_history(self) -> dict[str, str]:
        """Give every declared ARG with its effective value, "" if it has none (``RUN |2 A=1 B= ...``)."""
        return {name: self.values.get(name, value or "") for name, value in self.arguments.items()}

    def uses(self, text: str, escape: str) -> tuple[VariableUse, ...]:
        """List the variables in ``text``, with their values and where these came from."""
        if "$" not in text:
            return ()
        try:
            expansion = expand(text, self.values, escape, lexing=STEP_NAME)
        except DockerfileError:
            return ()  # the instruction's own words are expanded one by one; this is only for showing
        return tuple(self._use(name) for name in dict.fromkeys([*expansion.used, *expansion.unset]))

    def _use(self, name: str) -> VariableUse:
        if name not in self.values:
            return VariableUse(name, None, "unset")
        origin, line = self.origins[name]
        return VariableUse(name, self.values[name], origin, line)


def global_scope(dockerfile: Dockerfile, options: BuildOptions) -> Scope:
    """Give the variables outside of stages: the platform's, and the ARGs before the first FROM."""
    scope = Scope()
    for name, value in platform_args(options).items():
        scope.set(name, value, "platform", None)
    scope.set("TARGETSTAGE", options.target or "default", "--target", None)
    given = dict(options.build_args)
    for instruction in dockerfile.global_args:
        for one in instruction.declarations:
            if one.name in given:
                scope.set(one.name, given[one.name], "--build-arg", None)
            elif one.default is not None:
                value = expand(one.default, scope.values, dockerfile.escape, at=instruction.at).text
                scope.set(one.name, value, "ARG", instruction.at.line)
    return scope


def platform_args(options: BuildOptions) -> dict[str, str]:
    """Give the ARGs that BuildKit defines for every build (reference, "Automatic platform ARGs")."""
    return {**_parts("BUILD", options.build_platform), **_parts("TARGET", options.platform)}


def _parts(side: str, platform: str) -> dict[str, str]:
    system, _, rest = platform.partition("/")
    architecture, _, variant = rest.partition("/")
    parts = {"PLATFORM": platform, "OS": system, "ARCH": architecture, "VARIANT": variant}
    return {side + name: value for name, value in parts.items()}
