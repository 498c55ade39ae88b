"""The eighteen instructions as types: what each was given, not yet expanded.

BuildKit: frontend/dockerfile/instructions/commands.go. `Instruction` is a closed union: a ``match`` over it
is checked for completeness. Which fields are words that variables can stand in is said at each class.
"""

from __future__ import annotations

from msgspec import Struct

from dockersim.dockerfile.flags import Switch
from dockersim.dockerfile.gotext import SPACE
from dockersim.dockerfile.heredoc import Heredoc, is_heredoc
from dockersim.dockerfile.mounts import Device, MountFlag
from dockersim.source import At


class Source(Struct, frozen=True, kw_only=True):
    """Where an instruction stands and how it was written; the base of them all.

    ``raw`` is the logical line as BuildKit shows it in the names of steps: continued lines joined, without
    the text of here-documents. ``comments`` are the lines of comment right above it. ``flags`` are the flags
    as written.
    """

    at: At
    raw: str
    keyword: str
    comments: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


class ShellForm(Struct, frozen=True):
    """A command as text, to be given to the stage's shell."""

    text: str


class ExecForm(Struct, frozen=True):
    """A command as a JSON array: the program and its arguments, without a shell."""

    argv: tuple[str, ...]


Command = ShellForm | ExecForm


class Pair(Struct, frozen=True):
    """A name and value of ENV or LABEL; ``old_form`` says it was written ``NAME value``, without a ``=``."""

    name: str
    value: str
    old_form: bool = False


class Declaration(Struct, frozen=True):
    """A name that ARG declares; ``default`` is None if none was given; ``doc`` comes from the comment above."""

    name: str
    default: str | None = None
    doc: str = ""


class From(Source, frozen=True, kw_only=True):
    """Starts a stage. ``image`` and ``platform`` are expanded with the global ARGs only.

    ``name`` is the stage's name in lower case or empty, ``name_as_written`` what the Dockerfile says.
    """

    image: str
    name: str = ""
    name_as_written: str = ""
    platform: str = ""
    doc: str = ""


class Run(Source, frozen=True, kw_only=True):
    """Runs a command. The command is not expanded (a shell does that); mount options are.

    ``given`` names the flags that were given, for what is true only of an explicit default.
    """

    command: Command
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[MountFlag, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    devices: tuple[Device, ...] = ()
    given: tuple[str, ...] = ()

    @property
    def script(self) -> Heredoc | None:
        """The here-document that is the whole command, as in ``RUN <<EOF``; None where a shell reads it."""
        if self.heredocs and isinstance(self.command, ShellForm) and is_heredoc(self.command.text):
            return self.heredocs[0]
        return None

    @property
    def program(self) -> Heredoc | None:
        """A script with a ``#!`` line; it is put at ``/dev/pipes/NAME`` and that path is the command."""
        script = self.script
        return script if script and script.body.startswith("#!") else None

    @property
    def shell_text(self) -> str:
        """What the shell is given: the command, the body of a script, or the path of a program.

        A here-document that feeds a command stays one: its text follows the command, for the shell to read.
        """
        if isinstance(self.command, ExecForm):
            return ""
        if self.program:
            return f"/dev/pipes/{self.program.name}"
        if self.script:
            return self.script.body
        return self.command.text + "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in self.heredocs)

    @property
    def summary(self) -> str:
        """The first line of a script, for the name of the step: ``RUN <<EOF (set -e...)``; else empty."""
        if not self.script:
            return ""
        first, *others = self.script.content.strip(SPACE).replace("\r\n", "\n").split("\n")
        return first + ("..." if others else "")


class Copy(Source, frozen=True, kw_only=True):
    """Copies files. ``sources``, ``destination``, ``chown`` and ``chmod`` are expanded, ``from_`` is not.

    ``heredocs`` are the sources that stand in the Dockerfile itself: files called after their delimiter,
    whose text is expanded too unless the delimiter was quoted.
    """

    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[Heredoc, ...] = ()
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()


class Add(Source, frozen=True, kw_only=True):
    """Copies files, unpacks archives, fetches URLs and Git repositories.

    Expanded are ``sources``, ``destination``, ``chown``, ``chmod`` and ``checksum``.
    """

    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[Heredoc, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    excludes: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: Switch = Switch.UNSET
    unpack: Switch = Switch.UNSET


class Env(Source, frozen=True, kw_only=True):
    """Sets environment variables. Names and values are expanded, all with the values before this line."""

    pairs: tuple[Pair, ...]


class Arg(Source, frozen=True, kw_only=True):
    """Declares build arguments. Names and defaults are expanded, one after the other."""

    declarations: tuple[Declaration, ...]


class Label(Source, frozen=True, kw_only=True):
    """Attaches metadata. Names and values are expanded."""

    pairs: tuple[Pair, ...]


class Workdir(Source, frozen=True, kw_only=True):
    """Sets, and makes, the working directory. ``path`` is expanded."""

    path: str


class User(Source, frozen=True, kw_only=True):
    """Sets the user. ``user`` is expanded."""

    user: str


class Cmd(Source, frozen=True, kw_only=True):
    """Sets the default command. Never expanded."""

    command: Command


class Entrypoint(Source, frozen=True, kw_only=True):
    """Sets the program of the container. Never expanded."""

    command: Command


class Expose(Source, frozen=True, kw_only=True):
    """Says which ports the program listens on. ``ports`` are sorted, and expanded into words."""

    ports: tuple[str, ...]


class Volume(Source, frozen=True, kw_only=True):
    """Marks mount points. ``paths`` are expanded."""

    paths: tuple[str, ...]


class Shell(Source, frozen=True, kw_only=True):
    """Sets the shell of later shell forms. Never expanded."""

    argv: tuple[str, ...]


class StopSignal(Source, frozen=True, kw_only=True):
    """Sets the signal that stops the container. ``signal`` is expanded."""

    signal: str


class Healthcheck(Source, frozen=True, kw_only=True):
    """Says how to check the container. Never expanded.

    ``test`` is the image configuration's: ``("NONE",)``, ``("CMD", ...)`` or ``("CMD-SHELL", text)``;
    durations are in nanoseconds, 0 where not given.
    """

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class OnBuild(Source, frozen=True, kw_only=True):
    """Keeps an instruction for builds from this image; ``trigger`` is its text, with its here-documents."""

    trigger: str


class Maintainer(Source, frozen=True, kw_only=True):
    """Names the author, the old way. Never expanded."""

    author: str


Instruction = (
    From
    | Run
    | Copy
    | Add
    | Env
    | Arg
    | Label
    | Workdir
    | User
    | Cmd
    | Entrypoint
    | Expose
    | Volume
    | Shell
    | StopSignal
    | Healthcheck
    | OnBuild
    | Maintainer
)
