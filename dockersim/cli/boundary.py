"""The boundary: whatever goes wrong ends here, as one line on stderr and an exit code.

Errors of the tree in ``dockersim.errors`` are for the learner, and so are the operating system's, put into words.
Anything else is a bug of ours: one line says so, and DOCKERSIM_DEBUG=1 shows where it is. The codes are docker's
(cli/cobra.go, cmd/docker/docker.go): 125 for a flag it does not know, 1 for what could not be done.
"""

from __future__ import annotations

import errno
import os
import sys
from types import TracebackType
from typing import Final

import click

from dockersim.errors import Cancelled, DockersimError
from dockersim.printable import printable, printable_lines, shortened

FAILED: Final = 1
USAGE: Final = 125
"""docker's exit code for a flag or its value that it does not understand."""
INTERRUPTED: Final = 130
"""128 and the number of SIGINT: what shells give for Ctrl-C."""

_REPORT: Final = "https://github.com/dockersim/dockersim/issues"
_DISK: Final = {
    errno.ENOSPC: "the disk is full; free some space, or set DOCKERSIM_HOME to a larger disk",
    errno.EDQUOT: "your disk quota is used up; free some space, or set DOCKERSIM_HOME to another disk",
    errno.EROFS: "the disk is read-only; set DOCKERSIM_HOME to a directory that can be written",
}


class Ended(Exception):
    """A command has said all there is to say and ends with ``code``."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


EXPECTED: Final = (
    Ended,
    click.ClickException,
    click.Abort,
    click.exceptions.Exit,
    DockersimError,
    OSError,
    KeyboardInterrupt,
)
"""What ``report`` has words for. Everything else is a bug, and goes up to ``report_bug``."""


def report(error: BaseException) -> int:
    """Print what one of the EXPECTED errors means and return the exit code."""
    match error:
        case Ended():
            return error.code
        case click.exceptions.Exit():
            return error.exit_code
        case click.UsageError():
            return _usage(error)
        case click.ClickException():
            return _said(error.format_message(), error.exit_code)
        case KeyboardInterrupt() | Cancelled():
            return _said("", INTERRUPTED)
        case click.Abort():
            interrupted = isinstance(error.__cause__, KeyboardInterrupt)
            return _said("" if interrupted else "Aborted!", INTERRUPTED if interrupted else FAILED)
        case DockersimError():
            return _said(str(error), FAILED)
        case BrokenPipeError():
            return _nobody_reads()
        case OSError():
            return _said(os_error_words(error), FAILED)
        case _:
            raise error


def os_error_words(error: OSError) -> str:
    """Put an error of the operating system into words, with the path it is about."""
    known = _DISK.get(error.errno or 0)
    why = known or error.strerror or str(error)
    return f"{shown(os.fsdecode(error.filename))}: {why}" if isinstance(error.filename, str | bytes) else why


def shown(typed: str) -> str:
    """Write what somebody has typed into a message: on one line, obeying nothing in it, and no longer than is read."""
    return shortened(printable(typed))


def _said(line: str, code: int) -> int:
    if line:
        click.echo(printable_lines(line), err=True)
    return code


def _usage(error: click.UsageError) -> int:
    """Say what was typed wrong as docker does: the fault, the command's form, where to read more."""
    context = error.ctx
    if context is None:  # click does not tell which command it was
        return _said(*_fault(error, "dockersim", "dockersim"))
    path, program = context.command_path, context.command_path.split()[0]
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())
        return 0
    if isinstance(error, click.exceptions.NoSuchCommand):
        near = f"; did you mean {error.possibilities[0]}?" if error.possibilities else ""
        said = f"{program}: unknown command: {path} {shown(error.command_name)}{near}"
        return _said(f"{said}\n\nRun '{path} --help' for more information", FAILED)
    fault, code = _fault(error, program, path)
    usage = " ".join(context.get_usage().split())
    return _said(f"{fault}\n\n{usage}\n\nRun '{path} --help' for more information", code)


def _fault(error: click.UsageError, program: str, path: str) -> tuple[str, int]:
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        near = f"; did you mean {error.possibilities[0]}?" if error.possibilities else ""
        kind = "flag" if name.startswith("--") else "shorthand flag"
        return f"unknown {kind}: {shown(name)}{near}", USAGE
    if isinstance(error, click.BadOptionUsage):
        return f"flag needs an argument: {error.option_name}", USAGE
    is_argument = isinstance(error, click.MissingParameter) and isinstance(error.param, click.Argument)
    if is_argument or type(error) is click.UsageError:
        arity = _arity(error.ctx.command) if error.ctx else ""
        return f"{program}: '{path}' {arity}" if arity else error.message, FAILED
    return shortened(error.format_message()), USAGE


def _arity(command: click.Command) -> str:
    """Say how many arguments a command takes, in docker's words (cli/required.go)."""
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    least = sum(one.required for one in arguments)
    if any(one.nargs < 0 for one in arguments):
        return f"requires at least {_arguments(least)}"
    if least < len(arguments):
        return f"requires at most {_arguments(len(arguments))}"
    return f"requires {_arguments(least)}" if least else "accepts no arguments"


def _arguments(count: int) -> str:
    return f"{count} argument" if count == 1 else f"{count} arguments"


def _nobody_reads() -> int:
    """End quietly when the reader of our output has gone (``dockersim history x | head -1``)."""
    # What is still buffered must not complain again when the interpreter flushes it at the very end.
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (OSError, ValueError, AttributeError):
            continue
    return FAILED


def report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a bug as one line: what ``sys.excepthook`` is set to. DOCKERSIM_DEBUG=1 shows the traceback instead."""
    if issubclass(kind, KeyboardInterrupt):  # before the first thing was done, or after the last
        return
    if os.environ.get("DOCKERSIM_DEBUG"):
        import traceback  # it takes its time to import, and is hardly ever needed

        traceback.print_exception(kind, error, trace)
        return
    what = shown(f"{kind.__name__}: {error}".partition("\n")[0])
    line = f"this is a bug in dockersim ({what}); please report it at {_REPORT} with what DOCKERSIM_DEBUG=1 shows"
    click.echo(line, err=True)
