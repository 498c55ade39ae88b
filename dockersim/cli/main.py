"""The tree of commands; the program is in ``__main__``."""

from __future__ import annotations

import atexit
import gc
import io
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from dockersim.cli.boundary import EXPECTED, report, report_bug
from dockersim.cli.session import Session
from dockersim.errors import DockersimError

Table = Mapping[str, tuple[str, str]]
"""Names of commands, each with ``module:function`` below ``dockersim.cli`` and one line of help."""

COMMON: Final[Table] = {
    "run": ("containers:run", "Create and run a new container from an image"),
    "exec": ("containers:execute", "Execute a command in a running container"),
    "ps": ("containers:ps", "List containers"),
    "build": ("build:build", "Build an image from a Dockerfile"),
    "pull": ("shipping:pull", "Download an image from a registry"),
    "push": ("shipping:push", "Upload an image to a registry"),
    "images": ("images:images", "List images"),
    "login": ("shipping:login", "Authenticate to a registry"),
    "logout": ("shipping:logout", "Log out from a registry"),
    "version": ("machine:version", "Show the version information"),
    "info": ("machine:info", "Show what this machine can do, and what is in the store"),
}
MANAGEMENT: Final[Table] = {
    "builder": ("main:builder", "Manage builds"),
    "container": ("main:container", "Manage containers"),
    "image": ("main:image", "Manage images"),
    "system": ("main:system", "Look at all of it, and tidy up"),
}
COMMANDS: Final[Table] = {
    "diff": ("comparing:diff", "Inspect changes to a container's files, or what differs between two images"),
    "export": ("archives:export", "Export a container's filesystem as a tar archive"),
    "history": ("images:history", "Show the history of an image"),
    "import": ("archives:import_", "Import the contents from a tarball to create a filesystem image"),
    "inspect": ("inspect:inspect", "Return low-level information on images and containers"),
    "load": ("archives:load", "Load an image from a tar archive or STDIN"),
    "logs": ("containers:logs", "Fetch the logs of a container"),
    "rm": ("containers:rm", "Remove one or more containers"),
    "rmi": ("images:rmi", "Remove one or more images"),
    "save": ("archives:save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "stop": ("containers:stop", "Stop one or more running containers"),
    "tag": ("images:tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
}
OURS: Final[Table] = {
    "demo": ("demo.command:demo", "The whole tutorial in one command"),
    "step": ("step:step", "Walk through a build one instruction at a time, forwards and backwards"),
    "plan": ("plan:plan", "Tell which steps would be CACHED, and why, without building"),
    "context": ("context:context", "Show what is in a build context, what is sent of it, and what uses it"),
    "base": ("main:base", "Base images that are made on this machine"),
    "registry": ("main:registry", "The practice registry"),
    "lab": ("lab:lab", "Open JupyterLab on the lessons"),
}

BUILDER: Final[Table] = {
    "build": COMMON["build"],
    "prune": ("builder:prune", "Remove build cache"),
}
IMAGE: Final[Table] = {
    "build": COMMON["build"],
    "diff": COMMANDS["diff"],
    "history": COMMANDS["history"],
    "import": COMMANDS["import"],
    "inspect": ("inspect:image_inspect", "Display detailed information on one or more images"),
    "load": COMMANDS["load"],
    "ls": COMMON["images"],
    "prune": ("pruning:images", "Remove unused images"),
    "pull": COMMON["pull"],
    "push": COMMON["push"],
    "rm": COMMANDS["rmi"],
    "save": COMMANDS["save"],
    "tag": COMMANDS["tag"],
}
CONTAINER: Final[Table] = {
    "diff": COMMANDS["diff"],
    "exec": COMMON["exec"],
    "export": COMMANDS["export"],
    "inspect": ("inspect:container_inspect", "Display detailed information on one or more containers"),
    "logs": COMMANDS["logs"],
    "ls": COMMON["ps"],
    "prune": ("pruning:containers", "Remove all stopped containers"),
    "rm": COMMANDS["rm"],
    "run": COMMON["run"],
    "stop": COMMANDS["stop"],
}
SYSTEM: Final[Table] = {
    "df": ("system:df", "Show disk usage"),
    "info": COMMON["info"],
    "prune": ("system:prune", "Remove unused data"),
}
BASE: Final[Table] = {
    "add": ("bases:add", "Make a base image"),
    "ls": ("bases:ls", "List the base images that can be made here"),
}
REGISTRY: Final[Table] = {
    "serve": ("practice:serve", "Serve the practice registry"),
    "status": ("practice:status", "Tell where it is and what it has"),
    "page": ("practice:page", "Tell where its page is, which shows what it holds and every request"),
    "rm": ("freeing:rm", "Remove a tag or an image from it; tells first what that frees"),
    "garbage-collect": ("freeing:garbage_collect", "Free the blobs that no image of it needs any more"),
    "stop": ("practice:stop", "Stop it; what it has stays"),
}

DOCKERS_ALONE: Final[Mapping[str, str]] = {
    **dict.fromkeys(("attach", "commit", "compose", "config", "cp", "create", "events", "manifest", "network"), ""),
    **dict.fromkeys(("node", "pause", "plugin", "rename", "secret", "service", "stack", "stats", "swarm", "top"), ""),
    **dict.fromkeys(("trust", "unpause", "update", "volume", "wait"), ""),
    **dict.fromkeys(("start", "restart"), "dockersim run starts another container of the image"),
    "buildx": "dockersim build builds as BuildKit does",
    "kill": "dockersim stop -t 0",
    "port": "dockersim ps shows the ports",
    "search": "dockersim registry status lists what can be pulled",
}
"""docker's commands that are not here, with what to do instead."""

ALIASES: Final[Mapping[str, str]] = {"list": "ls", "remove": "rm"}
"""docker's longer names: ``docker image list``, ``docker container remove``."""


class Commands(click.Group):
    """A group whose commands are imported when they are called, and listed without being imported."""

    def __init__(self, *args: Any, sections: Mapping[str, Table], **more: Any) -> None:
        super().__init__(*args, **more)
        self._sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command."""
        return [name for table in self._sections.values() for name in table]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return the command."""
        cmd_name = ALIASES.get(cmd_name, cmd_name)
        for table in self._sections.values():
            if cmd_name in table:
                module, _, function = table[cmd_name][0].partition(":")
                found: click.Command = getattr(import_module(f"dockersim.cli.{module}"), function)
                return found
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed; a name of no command may be a slip of the finger, or one of docker's."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand:
            if ctx.parent is None and args[0] in DOCKERS_ALONE:
                raise DockersimError(f"dockersim has no 'docker {args[0]}'", hint=DOCKERS_ALONE[args[0]]) from None
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.list_commands(ctx), ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their help, section by section."""
        for title, table in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, help_line) for name, (_, help_line) in table.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and exit with its code; if not ``standalone_mode``, return the code instead.

        In both modes errors are printed here, so that a notebook shows what a terminal shows.
        """
        if not standalone_mode:
            return self._run(args, prog_name, complete_var, extra)
        sys.excepthook = report_bug
        # A short-lived process: looking for garbage costs a tenth of a cached build and finds none.
        gc.set_threshold(100_000)
        # A Dockerfile need not be UTF-8, nor a terminal know every sign: show what cannot be shown as its number.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        # When all is done and told, a Ctrl-C must not turn the exit code into a failure any more.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
        sys.exit(self._run(args, prog_name, complete_var, extra))

    def _run(
        self, args: Sequence[str] | None, prog_name: str | None, complete_var: str | None, extra: dict[str, Any]
    ) -> int:
        try:
            ended = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
            return ended if isinstance(ended, int) else 0
        except EXPECTED as error:
            return report(error)


def _group(name: str, help_line: str, table: Table) -> Commands:
    return Commands(name, sections={"Commands": table}, help=help_line, no_args_is_help=True)


builder = _group("builder", "Manage builds.", BUILDER)
image = _group("image", "Manage images.", IMAGE)
container = _group("container", "Manage containers.", CONTAINER)
system = _group("system", "Look at all that is here, and tidy up.", SYSTEM)
base = _group("base", "Base images that are made on this machine, without a registry.", BASE)
registry = _group(
    "registry", "The practice registry: it plays Docker Hub on this machine, and needs no account.", REGISTRY
)


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from dockersim.cli.machine import release

        click.echo(f"dockersim version {release()}")
        context.exit()


@click.command(
    cls=Commands,
    sections={
        "Common commands": COMMON,
        "Management commands": MANAGEMENT,
        "Commands": COMMANDS,
        "Not in docker": OURS,
    },
    no_args_is_help=True,
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of images, cache and containers (default: DOCKERSIM_HOME, else your data directory)",
)
@click.option("-D", "--debug", is_flag=True, help="Enable debug mode: tell more of what a build warns of")
@click.option(
    "-v", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version"
)
@click.pass_context
def main(context: click.Context, root: Path | None, debug: bool) -> None:
    """Build real container images one instruction at a time, forwards and backwards, without Docker."""
    if context.obj is None:
        context.obj = Session()
        context.call_on_close(context.obj.close)
    context.call_on_close(context.obj.tell_warnings)
    if root is not None:
        context.obj.root = root
    context.obj.debug = context.obj.debug or debug
